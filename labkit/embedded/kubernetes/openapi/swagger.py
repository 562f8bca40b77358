"""OpenAPI v2, for the kubectls (before 1.29) that do not make do with v3.

They ask for one document of everything in protobuf (:data:`MEDIA_TYPE`), and find in it the fields that ``explain``
describes and whether PATCH knows ``fieldValidation`` and ``dryRun``. So it is written in that form, which is gnostic's
``OpenAPIv2.proto``, from what the v3 documents are made of.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
from collections.abc import Iterable
from typing import Any

import orjson

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.openapi import operations
from labkit.embedded.kubernetes.openapi.publish import VERSION
from labkit.embedded.kubernetes.schema import definitions

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"  # as it is asked for
CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"  # as it is answered: "@" is not allowed

_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}  # their numbers in PathItem
_PROSE = {  # what v2 says of the types that are not what they seem
    definitions.INT_OR_STRING: {"type": "string", "format": "int-or-string"},
    definitions.QUANTITY: {"type": "string"},
}


@functools.cache
def swagger() -> tuple[bytes, str]:
    """The document, compressed with gzip, and its entity tag."""
    packed = gzip.compress(_document(), compresslevel=6, mtime=0)
    return packed, hashlib.sha512(packed).hexdigest().upper()


def _document() -> bytes:
    names: set[str] = set(operations.COMMON)
    paths: list[bytes] = []
    for kind in kinds.KINDS:
        names |= operations.schemas_of(kind)
        paths += [_pair(path, _path_item(item)) for path, item in operations.paths_of(kind).items()]
    schemas = [_pair(name, _definition(name, schema)) for name, schema in definitions.described(names).items()]
    info = _text(1, "Kubernetes") + _text(2, VERSION)
    return b"".join([_text(1, "2.0"), _part(2, info), _part(8, _all(2, paths)), _part(9, _all(1, schemas))])


# -- paths


def _path_item(item: Json) -> bytes:
    methods = [_part(number, _operation(item[method])) for method, number in _METHODS.items() if method in item]
    return b"".join(methods) + _all(9, map(_parameter, item.get("parameters", ())))


def _operation(operation: Json) -> bytes:
    found = [_text(1, tag) for tag in operation["tags"]]
    found += [_text(3, operation["description"]), _text(5, operation["operationId"])]
    found += [_text(6, operations.JSON), _text(7, "*/*")]
    found.append(_all(8, map(_parameter, operation.get("parameters", ()))))
    responses = [_pair(code, _response(each)) for code, each in operation["responses"].items() if code.isdigit()]
    found.append(_part(9, _all(1, responses)))
    found.append(_all(13, _extensions(operation)))
    return b"".join(found)


def _parameter(parameter: Json) -> bytes:
    in_path = parameter["in"] == "path"
    sort = parameter["schema"]["type"]
    fields = (_number(1, 1) if in_path else b"") + _text(2, parameter["in"]) + _text(3, parameter["description"])
    fields += _text(4, parameter["name"]) + (_text(5, sort) if in_path else _text(6, sort))
    # ParametersItem > Parameter > NonBodyParameter > path or query
    return _part(1, _part(2, _part(4 if in_path else 3, fields)))


def _response(response: Json) -> bytes:
    return _part(1, _text(1, response["description"]))


# -- schemas


def _definition(name: str, schema: Json) -> bytes:
    if name in _PROSE:
        schema = {**{key: schema[key] for key in ("description",) if key in schema}, **_PROSE[name]}
    return _schema(schema)


def _schema(schema: Json) -> bytes:
    found: list[bytes] = []
    name = definitions.reference(schema)
    if name:
        found.append(_text(1, f"#/definitions/{name}"))
    for number, key in ((2, "format"), (4, "description")):
        if key in schema:
            found.append(_text(number, schema[key]))
    found += [_text(19, each) for each in schema.get("required", ())]
    if isinstance(schema.get("additionalProperties"), dict):
        found.append(_part(21, _part(1, _schema(schema["additionalProperties"]))))
    if "type" in schema:
        found.append(_part(22, _text(1, schema["type"])))
    if "items" in schema:
        found.append(_part(23, _part(1, _schema(schema["items"]))))
    if "properties" in schema:
        below = [_pair(field, _schema(each)) for field, each in schema["properties"].items()]
        found.append(_part(25, _all(1, below)))
    found.append(_all(31, _extensions(schema)))
    return b"".join(found)


def _extensions(holder: Json) -> Iterable[bytes]:
    """Every ``x-…``, in YAML: JSON is YAML."""
    for key, value in holder.items():
        if key.startswith("x-"):
            yield _pair(key, _part(2, orjson.dumps(value)))


# -- protobuf


def _pair(name: str, value: bytes) -> bytes:
    """A ``Named…`` message: an entry of what is a map in JSON."""
    return _text(1, name) + _part(2, value)


def _all(number: int, parts: Iterable[bytes]) -> bytes:
    return b"".join([_part(number, part) for part in parts])


def _text(number: int, text: Any) -> bytes:
    return _part(number, str(text).encode())


def _part(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
