"""Architectures of well-known served models, by Hugging Face name."""

from difflib import get_close_matches
from functools import cache

from atoll.catalogue.tables import Row, rows
from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.reason import Fault, InvalidObjectError, Reason

NEAREST = 3


def architecture(name: str, *, field: str = "") -> Architecture:
    """Look up an architecture by its Hugging Face name, upper or lower case.

    Args:
        name: such as ``Qwen/Qwen3-32B``.
        field: path of the field that carries the name, for the fault.

    Raises:
        InvalidObjectError: with ``UnknownArchitecture``, naming the nearest known names.
    """
    found = _by_name().get(name.casefold())
    if found is None:
        raise InvalidObjectError(
            Fault(reason=Reason.UNKNOWN_ARCHITECTURE, field=field, message=_unknown(name)),
        )
    return found


def names() -> tuple[str, ...]:
    """Names of all known architectures, in alphabetical order."""
    return tuple(found.name for found in _by_name().values())


@cache
def _by_name() -> dict[str, Architecture]:
    return {row["name"].casefold(): _parse(row) for row in rows("architectures.csv")}


def _parse(row: Row) -> Architecture:
    return Architecture(
        name=row["name"],
        layers=int(row["layers"]),
        hidden=int(row["hidden"]),
        heads=int(row["heads"]),
        kv_heads=int(row["kv_heads"]),
        head_dim=int(row["head_dim"]),
        ffn=int(row["ffn"]),
        vocabulary=int(row["vocabulary"]),
        moe_ffn=int(row["moe_ffn"]),
        experts=int(row["experts"]),
        experts_per_token=int(row["experts_per_token"]),
        shared_experts=int(row["shared_experts"]),
        dense_layers=int(row["dense_layers"]),
        kv_lora_rank=int(row["kv_lora_rank"]),
        sliding_window=int(row["sliding_window"]),
        full_attention_layers=int(row["full_attention_layers"]),
        native=Quantisation(row["native"]),
        max_context=int(row["max_context"]),
        tied_embedding=row["tied_embedding"] == "1",
    )


def _unknown(name: str) -> str:
    """Name the nearest: people forget the organisation or a suffix far oftener than they mean something unknown."""
    folded = {key.rsplit("/", 1)[-1]: found.name for key, found in _by_name().items()}
    near = get_close_matches(name.casefold().rsplit("/", 1)[-1], folded, n=NEAREST, cutoff=0.3)
    nearest = ", ".join(folded[key] for key in near)
    others = f"{len(folded)} are known, such as {', '.join(names()[:NEAREST])}"
    hint = f"nearest known: {nearest}" if nearest else others
    return f"'{name}' is not in the catalogue ({hint}); use one of these or give the architecture's values inline"
