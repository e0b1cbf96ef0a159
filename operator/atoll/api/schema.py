"""Structs to structural OpenAPI schemas, as apiextensions.k8s.io/v1 wants them.

Inlined, without ``$ref`` and without unions with null: an optional field may be absent.
"""

from typing import Any

import msgspec
from msgspec import inspect

from atoll.api.v1alpha1.base import Schema

OpenApi = dict[str, Any]


def struct_schema(struct: type[Schema], *, defaults: bool) -> OpenApi:
    """The object schema of a struct.

    Args:
        struct: one of ``v1alpha1``.
        defaults: write defaults, as for spec; a status has none, for nobody has seen it yet.
    """
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)  # noqa: S101  # for the type checker
    return _object(info, defaults=defaults)


def _object(info: inspect.StructType, *, defaults: bool) -> OpenApi:
    schema: OpenApi = {
        "type": "object",
        "description": (info.cls.__doc__ or "").strip(),
        "properties": {field.encode_name: _field(field, defaults=defaults) for field in info.fields},
    }
    required = [field.encode_name for field in info.fields if field.required]
    if required:
        schema["required"] = required
    if issubclass(info.cls, Schema) and info.cls.rules:
        schema["x-kubernetes-validations"] = [rule._asdict() for rule in info.cls.rules]
    return schema


def _field(field: inspect.Field, *, defaults: bool) -> OpenApi:
    schema = _type(field.type, defaults=defaults)
    if defaults and not field.required:
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        if default is not None:
            schema["default"] = filled(default)
    return schema


def filled(value: Any) -> Any:
    """A struct as JSON with its defaults written out and what is None left out.

    The API server checks rules on a default before it fills in the defaults below it, so defaults are written whole.
    """
    if isinstance(value, msgspec.Struct):
        members = ((field.encode_name, getattr(value, field.name)) for field in msgspec.structs.fields(value))
        return {name: filled(member) for name, member in members if member is not None}
    if isinstance(value, tuple):
        return [filled(item) for item in value]
    return msgspec.to_builtins(value)


def sparse(value: msgspec.Struct) -> Any:
    """A struct as JSON with defaults left out."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _type(info: inspect.Type, *, defaults: bool) -> OpenApi:  # noqa: C901, PLR0911  # one arm per type
    match info:
        case inspect.Metadata():
            inner = _type(info.type, defaults=defaults)
            return inner | (info.extra_json_schema or {})
        case inspect.StructType():
            return _object(info, defaults=defaults)
        case inspect.EnumType():
            return {"type": "string", "enum": [member.value for member in info.cls], "maxLength": 63}
        case inspect.StrType():
            return _given(type="string", minLength=info.min_length, maxLength=info.max_length, pattern=info.pattern)
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType():
            return _given(type="integer", format="int64", minimum=info.ge, maximum=info.le)
        case inspect.FloatType():
            least = info.ge if info.gt is None else info.gt
            exclusive = None if info.gt is None else True
            return _given(type="number", minimum=least, exclusiveMinimum=exclusive, maximum=info.le)
        case inspect.VarTupleType():
            items = _type(info.item_type, defaults=defaults)
            return _given(type="array", minItems=info.min_length, maxItems=info.max_length, items=items)
        case inspect.DictType(value_type=inspect.AnyType()):
            return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        case inspect.DictType():
            values = _type(info.value_type, defaults=defaults)
            return _given(type="object", maxProperties=info.max_length, additionalProperties=values)
        case inspect.UnionType():
            return _union(info, defaults=defaults)
        case _:
            raise TypeError(f"no structural schema for {info}")


def _union(info: inspect.UnionType, *, defaults: bool) -> OpenApi:
    """``X | None`` is X that may be absent; ``int | str`` is Kubernetes' int-or-string."""
    members = [member for member in info.types if not isinstance(member, inspect.NoneType)]
    if len(members) == 1:
        return _type(members[0], defaults=defaults)
    texts = [_type(member, defaults=defaults) for member in members if isinstance(member, inspect.StrType)]
    numbers = [_type(member, defaults=defaults) for member in members if isinstance(member, inspect.IntType)]
    if len(members) != 2 or not texts or not numbers:
        raise TypeError(f"no structural schema for {info}")
    text, number = texts[0], numbers[0]
    return {
        "x-kubernetes-int-or-string": True,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "minimum": number["minimum"],
        "maximum": number["maximum"],
        "maxLength": text["maxLength"],
        "pattern": text["pattern"],
    }


def _given(**keywords: Any) -> OpenApi:
    return {key: value for key, value in keywords.items() if value is not None}
