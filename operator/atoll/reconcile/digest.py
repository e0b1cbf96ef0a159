"""Short digests of values, the same in every process: what differs from before is told by comparing them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass


def digest(content: object) -> str:
    """Ten hexadecimal digits of the SHA-256 of values of any depth: dataclasses, mappings, sequences, sets, scalars."""
    return hashlib.sha256(json.dumps(_plain(content), sort_keys=True).encode()).hexdigest()[:10]


def _plain(value: object) -> object:
    """The value as JSON has it; sets in order, since the order in which Python walks them differs by process."""
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(map(str, value))
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
