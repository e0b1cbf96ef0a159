"""Any JSON to a struct of ``v1alpha1``, or the one fault that its owner should mend first.

The API server has refused most of this already; objects from files, and objects that were stored under an older schema,
have met no API server. Whatever is given, nothing but InvalidObjectError is raised.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar

import msgspec

from atoll.api.quantities import seconds
from atoll.api.schema import OpenApi, struct_schema
from atoll.api.v1alpha1.base import Schema, bounds_of
from atoll.domain.objects import Kind
from atoll.domain.reason import Fault, InvalidObjectError, Reason

S = TypeVar("S", bound=Schema)

DEEPEST = 32
"""Levels of nesting; our deepest kind has eight."""

_SHOWN = 80
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LABEL_KEY = re.compile(
    r"(?:(?=.{1,253}/)[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?(?=.{1,63}$)[A-Za-z0-9](?:[-\w.]*[A-Za-z0-9])?", re.ASCII
)
_LABEL = re.compile(r"(?:(?=.{1,63}$)[A-Za-z0-9](?:[-\w.]*[A-Za-z0-9])?)?", re.ASCII)
_PLAIN = re.compile(r"[-A-Za-z0-9_./]{1,80}")
_WORDS = {"float": "a number", "int": "an integer", "str": "text", "bool": "true or false", "object": "a map"}
_WORDS |= {"array": "a list", "null": "nothing"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What we read of an object's metadata; empty outside a cluster where it is the server's to set."""

    name: str
    namespace: str
    uid: str
    generation: int
    created: str


def invalid(field: str, message: str, reason: Reason = Reason.INVALID_SPEC) -> InvalidObjectError:
    """The error for one field."""
    return InvalidObjectError(Fault(reason=reason, field=field, message=message))


def shown(value: object) -> str:
    """A value as a message may carry it: escaped and short."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def metadata(obj: object, kind: Kind, *, longest: int = 63, dns_1035: bool = True) -> Metadata:
    """Name and versions of an object of a kind.

    Args:
        obj: any JSON.
        kind: what it should be; items of a list carry no kind of their own.
        longest: name, characters.
        dns_1035: the name must start with a letter, for Services are named after it.
    """
    if not isinstance(obj, Mapping):
        raise invalid("", f"{shown(obj)} is no {kind.name}: expected a map with metadata and spec")
    if obj.get("kind", kind.name) != kind.name:
        raise invalid("kind", f"{shown(obj['kind'])} given where a {kind.name} is expected")
    if obj.get("apiVersion", kind.api_version) != kind.api_version:
        raise invalid("apiVersion", f"{shown(obj['apiVersion'])} is not known: use {kind.api_version}")
    found = obj.get("metadata")
    if not isinstance(found, Mapping):
        raise invalid("metadata", f"{shown(found)} given: expected a map with a name")
    name = found.get("name")
    pattern, words = (_DNS_1035, "a letter") if dns_1035 else (_DNS_1123, "a letter or digit")
    if not isinstance(name, str) or len(name) > longest or not pattern.fullmatch(name):
        raise invalid(
            "metadata.name",
            f"{shown(name)} is no name of a {kind.name}: use at most {longest} lower-case letters, digits and hyphens,"
            f" starting with {words}",
        )
    _check_labels(found.get("labels"))
    generation = found.get("generation")
    return Metadata(
        name=name,
        namespace=_text(found.get("namespace")) or ("default" if kind.namespaced else ""),
        uid=_text(found.get("uid")),
        generation=generation if isinstance(generation, int) else 0,
        created=_text(found.get("creationTimestamp")),
    )


def check_label_keys(keys: Iterable[str], field: str) -> None:
    """Refuse what is no key of a label: the schema cannot, and pods that carry it would be refused one by one."""
    for key in keys:
        if not _LABEL_KEY.fullmatch(key):
            raise invalid(
                f"{field}{_step(key)}",
                f"{shown(key)} is no key of a label: use at most 63 letters, digits, hyphens, underscores and dots, "
                "after a DNS name and / where there is one",
            )


def _check_labels(labels: object) -> None:
    """As the API server does; files have met none."""
    if labels is None:
        return
    if not isinstance(labels, Mapping):
        raise invalid("metadata.labels", f"{shown(labels)} given: expected a map of texts")
    check_label_keys((str(key) for key in labels), "metadata.labels")
    for key, value in labels.items():
        if value is not None and not isinstance(value, str):
            raise invalid(f"metadata.labels{_step(str(key))}", f"{shown(value)} is not text: put it in quotes")
        if value and not _LABEL.fullmatch(value):
            raise invalid(
                f"metadata.labels{_step(str(key))}",
                f"{shown(value)} is no value of a label: use at most 63 letters, digits, hyphens, underscores and dots",
            )


def decode(value: object, struct: type[S], path: str) -> S:
    """A spec or status, typed and checked.

    Args:
        value: any JSON; null members count as absent, as for the API server.
        struct: what it should be.
        path: where it stands in its object, such as ``spec``.
    """
    cleaned = _cleaned(value, path, 0)
    try:
        decoded = msgspec.convert(cleaned, struct)
    except msgspec.ValidationError as error:
        raise InvalidObjectError(_fault(str(error), cleaned, struct, path)) from error
    _check(cleaned, schema_of(struct), path)
    return decoded


@cache
def schema_of(struct: type[Schema]) -> OpenApi:
    """The OpenAPI schema of a struct."""
    return struct_schema(struct, defaults=True)


def _step(key: str) -> str:
    """One step of a path; a key that is no plain word is shown as the text that it is."""
    return f".{key}" if _PLAIN.fullmatch(key) else f"[{shown(key)}]"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _cleaned(value: object, path: str, depth: int) -> Any:
    """Without nulls in maps, and with nothing that JSON cannot say."""
    if depth > DEEPEST:
        raise invalid(path[:200], f"nested deeper than {DEEPEST} levels")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise invalid(path, f"key {shown(key)} is not text: put it in quotes")
            _refuse_surrogates(key, path)
        return {
            key: _cleaned(item, f"{path}{_step(key)}", depth + 1) for key, item in value.items() if item is not None
        }
    if isinstance(value, list | tuple):
        return [_cleaned(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise invalid(path, f"{value} is not finite: give a number")
    if isinstance(value, str):
        _refuse_surrogates(value, path)
        return value
    if value is None or isinstance(value, int | float):
        return value
    raise invalid(path, f"{shown(value)} is not JSON")


def _refuse_surrogates(text: str, path: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise invalid(path, f"{shown(text)} is not valid Unicode") from None


_AT = re.compile(r"(?s)(.*?)(?: - at (?:`key` in )?`\$(.*)`)?")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)


def _fault(error: str, value: Any, struct: type[Schema], path: str) -> Fault:
    """The library's message in our words: full path, value seen, and the mend."""
    found = _AT.fullmatch(error)
    problem, inner = (found[1], found[2] or "") if found else (error, "")
    seen, schema = _follow(value, schema_of(struct), inner)
    field = f"{path}{inner}"
    if unknown := _UNKNOWN.fullmatch(problem):
        known = list(schema.get("properties", ()))
        near = get_close_matches(unknown[1], known, n=1)
        mend = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        return Fault(
            reason=Reason.INVALID_SPEC,
            field=f"{field}{_step(unknown[1])}",
            message=f"no such field; {mend}",
        )
    if missing := _MISSING.fullmatch(problem):
        description = schema.get("properties", {}).get(missing[1], {}).get("description", "")
        return Fault(
            reason=Reason.INVALID_SPEC, field=f"{field}.{missing[1]}", message=f"missing: set it. {description}".strip()
        )
    if "enum" in schema:
        problem = f"use one of {', '.join(schema['enum'])}"
    elif "pattern" in schema and "matching regex" in problem:
        problem = f"{schema.get('description', '')} Must match {schema['pattern']}".strip()
    elif "description" in schema and ", got " in problem:
        problem = f"{problem}. {schema['description']}"
    problem = re.sub(r"`(\w+)(?: \| null)?`", lambda word: _WORDS.get(word[1], word[0]), problem)
    return Fault(reason=Reason.INVALID_SPEC, field=field, message=f"{shown(seen)} is refused: {problem}")


_STEP = re.compile(r"\.([A-Za-z]+)|\[([0-9]+)\]|\[\.\.\.\]")


def _follow(value: Any, schema: OpenApi, inner: str) -> tuple[Any, OpenApi]:
    """What stands at a path, and its schema; a member of a map is not named by the library, so the map is given."""
    for step in _STEP.finditer(inner):
        name, index = step[1], step[2]
        if name and isinstance(value, Mapping) and name in value:
            value, schema = value[name], schema.get("properties", {}).get(name, {})
        elif index and isinstance(value, Sequence) and int(index) < len(value):
            value, schema = value[int(index)], schema.get("items", {})
        else:
            break
    return value, schema


def _check(value: Any, schema: OpenApi, path: str) -> None:
    """What the API server checks beside types: keys of lists, bounds of durations, and patterns to the very end."""
    if isinstance(value, str) and value.endswith("\n") and str(schema.get("pattern", "")).endswith("$"):
        raise invalid(path, f"{shown(value)} is refused: remove the line break at its end")
    for rule in schema.get("x-kubernetes-validations", ()):
        if (bounds := bounds_of(rule["rule"])) and not seconds(bounds[0]) <= seconds(value) <= seconds(bounds[1]):
            raise invalid(path, f"{shown(value)} is refused: {rule['message']}")
    if isinstance(value, Mapping) and "properties" in schema:
        for name, item in value.items():
            _check(item, schema["properties"][name], f"{path}.{name}")
    elif isinstance(value, Mapping) and "additionalProperties" in schema:
        for name, item in value.items():
            _check(item, schema["additionalProperties"], f"{path}{_step(name)}")
    elif isinstance(value, list):
        _refuse_duplicates(value, schema, path)
        for index, item in enumerate(value):
            _check(item, schema["items"], f"{path}[{index}]")


def _refuse_duplicates(items: list[Any], schema: OpenApi, path: str) -> None:
    list_type = schema.get("x-kubernetes-list-type", "atomic")
    if list_type == "atomic":
        return
    keys = schema.get("x-kubernetes-list-map-keys", ())
    seen: set[Any] = set()
    for index, item in enumerate(items):
        identity = tuple(item.get(key) for key in keys) if list_type == "map" else item
        if identity in seen:
            raise invalid(f"{path}[{index}]", f"{shown(identity)} is given twice: remove one")
        seen.add(identity)
