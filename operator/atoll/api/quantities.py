"""Durations and quantities as Kubernetes writes them, in seconds, thousandths of a core, bytes and MiB."""

import re
from fractions import Fraction

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS = {"ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "h": Fraction(3600)}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_FACTORS = {
    "": Fraction(1),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
}


def seconds(duration: str) -> float:
    """A Go duration (``1200ms``, ``1h30m``), seconds."""
    return float(sum(Fraction(number) * _SECONDS[unit] for number, unit in _DURATION.findall(duration)))


def millicores(quantity: int | str) -> int:
    """A cpu quantity, thousandths of a core, rounded down."""
    return int(_number(quantity) * 1000)


def mebibytes(quantity: int | str) -> int:
    """A memory or storage quantity, MiB, rounded down."""
    return int(_number(quantity) / 2**20)


def bytes_of(quantity: int | str) -> float:
    """A quantity of bytes, or of bytes/s."""
    return float(_number(quantity))


def _number(quantity: int | str) -> Fraction:
    found = _QUANTITY.fullmatch(str(quantity))
    if found is None:
        raise ValueError(f"{quantity!r} is no Kubernetes quantity such as 500m, 4 or 64Gi")
    return Fraction(found[1]) * _FACTORS[found[2] or ""]
