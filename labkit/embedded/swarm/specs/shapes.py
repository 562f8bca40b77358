"""Go's structs, as far as JSON is concerned: what a body of a request is decoded into.

dockerd decodes bodies into structs, and clients rely on what follows from that: names match in any case, unknown
fields vanish, ``null`` leaves a field alone, a wrong type is refused with the struct's and the field's name, and
fields with ``omitempty`` are left out again when they are printed. :func:`decode` does all of it by a table of
the structs (:mod:`labkit.embedded.swarm.specs.tables`).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from labkit.embedded.swarm.errors import BadRequest
from labkit.embedded.swarm.objects import Json

_UNSIGNED = {"uint64": 2**64, "uint32": 2**32, "uint16": 2**16}
_SIGNED = {"int64": 2**63, "int": 2**63, "int32": 2**31, "time.Duration": 2**63}


@dataclass(frozen=True)
class Scalar:
    """A bool, number or string; ``go`` is the Go type's name, ``base`` the JSON side of it."""

    go: str
    base: str = ""


@dataclass(frozen=True)
class ListOf:
    item: Any
    pointers: bool = False  # []*T in Go

    @property
    def go(self) -> str:
        return f"[]{'*' if self.pointers else ''}{self.item.go}"


@dataclass(frozen=True)
class MapOf:
    item: Any

    @property
    def go(self) -> str:
        return f"map[string]{self.item.go}"


@dataclass(frozen=True)
class Field:
    """``kind`` and when it is printed: ``pointer``: when it was given, zero or not; ``always``; else when not zero."""

    kind: Any
    pointer: bool = False
    always: bool = False


class Struct:
    """A Go struct. ``fields`` in Go's order; an embedded struct's fields stand among them under their own names."""

    def __init__(self, go: str, **fields: Any) -> None:
        self.go = go
        self.name = go.rpartition(".")[2]
        self.fields = {name: kind if isinstance(kind, Field) else Field(kind) for name, kind in fields.items()}
        self.by_lower = {name.lower(): name for name in self.fields}

    def __repr__(self) -> str:
        return f"Struct({self.go})"


STRING = Scalar("string", "string")
BOOL = Scalar("bool", "bool")
BYTES = Scalar("[]uint8", "bytes")
FLOAT32 = Scalar("float32", "float")
INT, INT32, INT64, UINT32, UINT64 = (Scalar(name, "integer") for name in ("int", "int32", "int64", "uint32", "uint64"))
DURATION = Scalar("time.Duration", "integer")
STRINGS = ListOf(STRING)
STRING_MAP = MapOf(STRING)
ANY = Scalar("interface {}", "any")


def text(go: str) -> Scalar:
    """A string type with a name of its own, like ``swarm.NodeRole``."""
    return Scalar(go, "string")


def pointer(kind: Any) -> Field:
    return Field(kind, pointer=True)


def always(kind: Any) -> Field:
    return Field(kind, always=True)


def decode(value: Any, struct: Struct) -> Json:
    """``value`` (decoded JSON) as dockerd would have it in ``struct``, zero values left out as ``omitempty`` does.

    Raises:
        BadRequest: ``invalid JSON: json: cannot unmarshal string into Go struct field X.Y of type uint64``.
    """
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise _mismatch(_kind(value), f"Go value of type {struct.go}")
    return _struct(value, struct, ())


def _struct(value: Json, struct: Struct, path: tuple[str, ...]) -> Json:
    given: Json = {}
    for key, item in value.items():  # in the order of the text: the first mistake is the one that is named
        name = key if key in struct.fields else struct.by_lower.get(key.lower())
        if name is None or item is None:
            continue
        given[name] = _value(item, struct.fields[name].kind, struct, (*path, name))
    out: Json = {}
    for name, field in struct.fields.items():
        if name in given:
            if field.pointer or field.always or isinstance(field.kind, Struct) or not _zero(given[name]):
                out[name] = given[name]
        elif field.always:
            out[name] = zero_of(field.kind)
    return out


def zero_of(kind: Any) -> Any:
    """Go's zero value of a kind, as JSON prints it."""
    if isinstance(kind, Struct):
        return _struct({}, kind, ())
    if isinstance(kind, MapOf | ListOf):
        return None
    return {"string": "", "bool": False, "integer": 0, "float": 0}.get(kind.base)


def _zero(value: Any) -> bool:
    return value in ("", 0, False, None) or value == [] or value == {}


def _value(item: Any, kind: Any, struct: Struct, path: tuple[str, ...]) -> Any:
    where = f"Go struct field {struct.name}.{'.'.join(path)} of type "
    if isinstance(kind, Struct):
        if not isinstance(item, dict):
            raise _mismatch(_kind(item), where + kind.go)
        return _struct(item, kind, path)
    if isinstance(kind, ListOf):
        if not isinstance(item, list):
            raise _mismatch(_kind(item), where + kind.go)
        return [_value(one, kind.item, struct, path) for one in item if one is not None or not kind.pointers]
    if isinstance(kind, MapOf):
        if not isinstance(item, dict):
            raise _mismatch(_kind(item), where + kind.go)
        return {key: _value(one, kind.item, struct, path) for key, one in item.items()}
    if item is None:
        return zero_of(kind)
    return _scalar(item, kind, where + kind.go)


def _scalar(item: Any, kind: Scalar, where: str) -> Any:
    base = kind.base
    if base == "any":
        return item
    is_number = isinstance(item, int | float) and not isinstance(item, bool)
    if base == "string" and isinstance(item, str):
        return item
    if base == "bool" and isinstance(item, bool):
        return item
    if base == "float" and is_number:
        return item
    if base == "bytes" and isinstance(item, str):
        return _base64(item)
    if base == "integer" and is_number:
        if isinstance(item, int) and _fits(item, kind.go):
            return item
        raise _mismatch(f"number {item}", where)
    raise _mismatch(_kind(item), where)


def _fits(item: int, go: str) -> bool:
    if go in _UNSIGNED:
        return 0 <= item < _UNSIGNED[go]
    return -_SIGNED[go] <= item < _SIGNED[go]


def _base64(item: str) -> str:
    try:
        base64.b64decode(item, validate=True)
    except (binascii.Error, ValueError):
        at = next((index for index, char in enumerate(item) if not (char.isalnum() or char in "+/")), len(item))
        raise BadRequest(f"invalid JSON: illegal base64 data at input byte {at}") from None
    return item


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _mismatch(what: str, where: str) -> BadRequest:
    return BadRequest(f"invalid JSON: json: cannot unmarshal {what} into {where}")
