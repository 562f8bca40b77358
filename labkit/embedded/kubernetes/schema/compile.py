"""Checkers compiled from the definitions: every field known and of its type, in the form in which it is kept.

A definition becomes, once, a closure over its fields. It does what the real API server's decoding into Go structs and
encoding from them does to an object:

- a value of a wrong type is :class:`~labkit.embedded.kubernetes.errors.BadRequest`, in the words of ``encoding/json``
  (``json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32``);
- an unknown field is left out and reported by its path, as ``sigs.k8s.io/json`` names it (``spec.containers[0].foo``);
- null is as good as absent, and so is an empty value of an optional field that is no pointer (``hostNetwork: false``);
- a struct that Go writes even when it is empty is filled in (``resources: {}``, ``status: {}``);
- quantities, times and base64 take their canonical form.

An object of which nothing has to change comes back as it is, the very same one, and so does every part of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labkit.embedded import gojson
from labkit.embedded.kubernetes.errors import BadRequest
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.schema import definitions, go, scalars
from labkit.embedded.kubernetes.schema.scalars import Malformed, Mismatch

# A place in an object: (what it is in, key or index), None at the top. Only made into words when there is something
# to say, so that walking down costs one small tuple a level.
Place = tuple[Any, str | int] | None
Check = Callable[[Any, Place, list[Place]], Any]
_MOST_UNKNOWN = 100  # sigs.k8s.io/json stops counting there


@dataclass(frozen=True, slots=True)
class Checked:
    """An object whose every field is known and of the right type, and what had to be left out for that."""

    obj: Json
    unknown: tuple[str, ...] = ()  # paths of unknown fields, as they are printed: spec.containers[0].foo


@functools.cache
def checker(kind: Kind) -> Callable[[Json], Checked]:
    """The checker of a kind's objects. It raises BadRequest for a value of a wrong type."""
    return checker_of(kind.group, kind.version, kind.kind)


@functools.cache
def checker_of(group: str, version: str, kind: str) -> Callable[[Json], Checked]:
    """The same for a body that is no resource of its own: ``Scale``, ``Eviction``, ``Binding``, ``DeleteOptions``."""
    check = _compiled(definitions.name_of(group, version, kind))

    def run(obj: Json) -> Checked:
        unknown: list[Place] = []
        try:
            checked = check(obj, None, unknown)
        except (Mismatch, Malformed) as error:
            raise BadRequest(f'{kind} in version "{version}" cannot be handled as a {kind}: {error}') from None
        if not unknown:
            return Checked(checked)
        return Checked(checked, tuple(dict.fromkeys(words(place) for place in unknown))[:_MOST_UNKNOWN])

    return run


def blank(kind: Kind, part: str) -> Json:
    """What the API server writes for a part of an object that nobody has filled: ``{"replicas": 0}`` for a status."""
    schema = definitions.definition(kind)["properties"][part]
    found: Json = _empty(definitions.reference(schema))
    return found


def words(place: Place) -> str:
    """A place as it is printed: ``spec.containers[0].env[1].name``."""
    parts: list[str] = []
    while place is not None:
        place, step = place
        parts.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(parts)).removeprefix(".")


_SELF_READING: dict[str, Callable[[Any], Any]] = {
    definitions.QUANTITY: scalars.quantity,
    definitions.INT_OR_STRING: scalars.int_or_string,
    definitions.TIME: scalars.time,
    definitions.MICRO_TIME: scalars.micro_time,
}
_EMPTY_SCALARS: dict[str, Any] = {
    definitions.QUANTITY: "0",
    definitions.INT_OR_STRING: 0,
    "string": "",
    "integer": 0,
    "boolean": False,
    "number": 0,
}


@functools.cache
def _compiled(name: str) -> Check:
    """The check of a definition. What it refers to is compiled when an object first has it: most pods have no RBD."""
    reader = _SELF_READING.get(name)
    if reader is not None:
        return _reading(reader)
    definition = definitions.named(name)
    if "properties" not in definition:
        return _anything
    return _struct(name, definition)


def _reading(reader: Callable[[Any], Any]) -> Check:
    def check(value: Any, place: Place, unknown: list[Place]) -> Any:
        return reader(value)

    return check


def _anything(value: Any, place: Place, unknown: list[Place]) -> Any:
    """``FieldsV1``, raw extensions: kept as they are."""
    return value


def _referring(name: str) -> Check:
    found: Check | None = None

    def check(value: Any, place: Place, unknown: list[Place]) -> Any:
        nonlocal found
        if found is None:
            found = _compiled(name)
        return found(value, place, unknown)

    return check


def _struct(name: str, definition: Json) -> Check:
    title = name.rpartition(".")[2]
    go_type = f"v1.{title}"
    go_fields = go.fields_of(name)
    required = frozenset(definition.get("required", ()))
    plain: dict[str, type] = {}  # fields whose non-empty values of that type need no second look
    rules: dict[str, tuple[Check, bool, bool]] = {}  # check, whether an empty value stays, whether null stays
    fills: list[tuple[str, Callable[[], Any]]] = []
    for key, schema in definition["properties"].items():
        field = go_fields.get(key, go.PLAIN)
        kept = field.kept if field.kept is not None else key in required
        target = definitions.reference(schema)
        scalar = {"string": str, "boolean": bool}.get(schema.get("type", ""))
        if scalar and schema.get("format") != "byte":
            plain[key] = scalar
        is_struct = bool(target) and target not in _SELF_READING
        is_time = target in (definitions.TIME, definitions.MICRO_TIME)
        # encoding/json writes a time that is not set as null, unless it has omitzero as creationTimestamp does
        null_stays = is_time and field.in_place and key != "creationTimestamp"
        # an empty struct, quantity or int-or-string is a value, whether it is pointed at or stands in place
        rules[key] = (_check_of(schema, field.type), kept or field.pointer or bool(target), null_stays)
        if field.in_place or (kept and not field.pointer and not is_struct):
            make = None if is_time else _filling(target or schema["type"])
            if make is not None:
                fills.append((key, make))

    def check(value: Any, place: Place, unknown: list[Place]) -> Any:
        if type(value) is not dict:
            raise Mismatch(gojson.kind(value), go_type)
        out: Json | None = None
        key = ""
        try:
            for key, item in value.items():
                if item and plain.get(key) is type(item):
                    continue
                rule = rules.get(key)
                if rule is None:
                    unknown.append((place, key))
                    if out is None:
                        out = dict(value)
                    del out[key]
                    continue
                deeper, stays, null_stays = rule
                if item is None:
                    if not null_stays:
                        if out is None:
                            out = dict(value)
                        del out[key]
                    continue
                new = deeper(item, (place, key), unknown)
                if not stays and not new:
                    if out is None:
                        out = dict(value)
                    del out[key]
                elif new is not item:
                    if out is None:
                        out = dict(value)
                    out[key] = new
        except Mismatch as mismatch:
            mismatch.fields.append(key)
            mismatch.struct = mismatch.struct or title
            raise
        for key, make in fills:
            if key not in (value if out is None else out):
                if out is None:
                    out = dict(value)
                out[key] = make()
        return value if out is None else out

    return check


def _check_of(schema: Json, named: str = "") -> Check:
    """The check of a field's schema. ``named`` is its Go type where that has a name of its own."""
    target = definitions.reference(schema)
    if target:
        return _reading(_SELF_READING[target]) if target in _SELF_READING else _referring(target)
    kind = schema.get("type")
    if kind == "array":
        return _list(schema, named)
    if kind == "object":
        return _map(schema, named) if "additionalProperties" in schema else _anything
    if kind == "string" and schema.get("format") == "byte":
        return _reading(scalars.encoded)
    if kind == "integer":
        bits = schema.get("format", "int64")
        return _reading(scalars.integer(scalars.INT32 if bits == "int32" else scalars.INT64, named or bits))
    return _exactly({"string": str, "boolean": bool, "number": float}[str(kind)], named or go_type_of(schema))


def _exactly(wanted: type, named: str) -> Check:
    def check(value: Any, place: Place, unknown: list[Place]) -> Any:
        if type(value) is wanted or (wanted is float and type(value) is int):
            return value
        raise Mismatch(gojson.kind(value), named)

    return check


def _list(schema: Json, named: str) -> Check:
    items = schema["items"]
    named = named or go_type_of(schema)
    each = _check_of(items, named[2:] if named.startswith("[]") else "")
    scalar = {"string": str, "boolean": bool}.get(items.get("type", ""))
    zero = _filling(definitions.reference(items) or items.get("type", ""))

    def check(value: Any, place: Place, unknown: list[Place]) -> Any:
        if type(value) is not list:
            raise Mismatch(gojson.kind(value), named)
        out: list[Any] | None = None
        for index, item in enumerate(value):
            if type(item) is scalar:
                continue
            new = (zero and zero()) if item is None else each(item, (place, index), unknown)
            if new is not item:
                if out is None:
                    out = list(value)
                out[index] = new
        return value if out is None else out

    return check


def _map(schema: Json, named: str) -> Check:
    values = schema["additionalProperties"]
    named = named or go_type_of(schema)
    each = _check_of(values, named.partition("]")[2])
    scalar = {"string": str}.get(values.get("type", "")) if values.get("format") != "byte" else None
    zero = _filling(definitions.reference(values) or values.get("type", ""))

    def check(value: Any, place: Place, unknown: list[Place]) -> Any:
        if type(value) is not dict:
            raise Mismatch(gojson.kind(value), named)
        out: Json | None = None
        for key, item in value.items():
            if type(item) is scalar:
                continue
            new = (zero and zero()) if item is None else each(item, (place, key), unknown)
            if new is not item:
                if out is None:
                    out = dict(value)
                out[key] = new
        return value if out is None else out

    return check


def _filling(target: str) -> Callable[[], Any] | None:
    """What makes the empty value of a definition or a JSON type; a new one each time, for whoever fills it on."""
    if target in _EMPTY_SCALARS:
        value = _EMPTY_SCALARS[target]
        return lambda: value
    if target in ("array", "object", "") or "properties" not in definitions.named(target):
        return None
    return lambda: _empty(target)


def _empty(name: str) -> Any:
    return _compiled(name)({}, None, [])


def go_type_of(schema: Json) -> str:
    """The Go type that a schema stands for: ``int32``, ``[]v1.Container``, ``map[string]string``."""
    target = definitions.reference(schema)
    if target:
        return _GO_NAMES.get(target) or f"v1.{target.rpartition('.')[2]}"
    kind = schema.get("type")
    if kind == "array":
        return f"[]{go_type_of(schema['items'])}"
    if kind == "object":
        return f"map[string]{go_type_of(schema.get('additionalProperties', {}))}"
    if kind == "string":
        return "[]uint8" if schema.get("format") == "byte" else "string"
    if kind == "integer":
        return str(schema.get("format", "int64"))
    return {"boolean": "bool", "number": "float64"}.get(str(kind), "interface {}")


_GO_NAMES = {
    definitions.QUANTITY: "resource.Quantity",
    definitions.INT_OR_STRING: "intstr.IntOrString",
    definitions.TIME: "v1.Time",
    definitions.MICRO_TIME: "v1.MicroTime",
    definitions.FIELDS_V1: "v1.FieldsV1",
}
