"""Kubernetes resource quantities as exact numbers (apimachinery ``resource.Quantity``)."""

import re
from decimal import Decimal
from typing import Any

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal("1e3"),
    "M": Decimal("1e6"),
    "G": Decimal("1e9"),
    "T": Decimal("1e12"),
    "P": Decimal("1e15"),
    "E": Decimal("1e18"),
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)")

MEBIBYTE = 1024**2


def parse_quantity(value: Any) -> Decimal:
    """The number that a quantity stands for, in cores or bytes; ValueError where it is none."""
    match = _QUANTITY.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"{value!r} is no Kubernetes quantity such as 500m, 4 or 64Gi")
    number, exponent, suffix = match.groups()
    return Decimal(number) * (Decimal(10) ** int(exponent) if exponent else _SUFFIXES[suffix or ""])


def millicores(value: int) -> str:
    """Thousandths of a core, written as Kubernetes normalises them."""
    return str(value // 1000) if value % 1000 == 0 else f"{value}m"


def mebibytes(value: int) -> str:
    """MiB, written as Kubernetes normalises them."""
    return f"{value // 1024}Gi" if value and value % 1024 == 0 else f"{value}Mi"
