"""From bytes to objects.

A body is ``k8s\\0`` and then a ``runtime.Unknown``: apiVersion, kind and the bytes of the object proper. Protobuf as
Kubernetes uses it is proto2 by gogo: everything that is no pointer in Go is written, zero or not, and lists of numbers
are not packed (packed ones are read too). What comes out is what ``encoding/json`` would print of the Go object.
"""

from __future__ import annotations

import base64
import datetime
import struct
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from labkit.embedded.kubernetes.errors import BadRequest
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.protobuf import fields
from labkit.embedded.kubernetes.protobuf.fields import Field

MAGIC = b"k8s\x00"
_MAX_DEPTH = 64
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# apiVersion → the table's name of its group.
_GROUPS = {
    "v1": "core.v1",
    "apps/v1": "apps.v1",
    "authentication.k8s.io/v1": "authentication.v1",
    "authorization.k8s.io/v1": "authorization.v1",
    "autoscaling/v1": "autoscaling.v1",
    "autoscaling/v2": "autoscaling.v2",
    "batch/v1": "batch.v1",
    "certificates.k8s.io/v1": "certificates.v1",
    "coordination.k8s.io/v1": "coordination.v1",
    "discovery.k8s.io/v1": "discovery.v1",
    "events.k8s.io/v1": "events.v1",
    "meta.k8s.io/v1": "meta.v1",
    "networking.k8s.io/v1": "networking.v1",
    "policy/v1": "policy.v1",
    "rbac.authorization.k8s.io/v1": "rbac.v1",
    "scheduling.k8s.io/v1": "scheduling.v1",
    "storage.k8s.io/v1": "storage.v1",
}


class _Malformed(ValueError):
    """No protobuf, or not of this message; the words are those of Go's decoder."""


def is_protobuf(body: bytes) -> bool:
    """Whether a body has the envelope, whatever its media type says."""
    return body[:4] == MAGIC


def decode(body: bytes, *, api_version: str = "", kind: str = "") -> Json:
    """The object in a body of type ``application/vnd.kubernetes.protobuf``.

    ``api_version`` and ``kind`` are what it is taken to be when it does not say so itself.

    Raises:
        BadRequest: It is no such body, or of a kind that is not known here.
    """
    if not is_protobuf(body):
        shown = " ".join(map(str, MAGIC))
        raise _unrecognized(
            kind, f"provided data does not appear to be a protobuf message, expected prefix [{shown}]", body
        )
    try:
        version, name, raw = _envelope(body)
    except _Malformed as error:
        raise _unrecognized(kind, str(error), body) from None
    version, name = version or api_version, name or kind
    message = _message_of(version, name)
    if message is None:
        raise BadRequest(f'no kind "{name}" is registered for version "{version}" in scheme')
    try:
        found = _message(memoryview(raw), message, 0)
    except RecursionError:  # raw extensions in raw extensions
        raise _unrecognized(kind, "proto: nesting too deep", body) from None
    except _Malformed as error:
        short = version.rpartition("/")[2]
        raise BadRequest(f'{name} in version "{short}" cannot be handled as a {kind or name}: {error}') from None
    return {"kind": name, "apiVersion": version, **found}


def _unrecognized(kind: str, problem: str, body: bytes) -> BadRequest:
    must_be = f" (must be of type {kind})" if kind else ""
    summary = body[:30].hex() + (" ..." if len(body) > 30 else "")
    return BadRequest(f"the object provided is unrecognized{must_be}: {problem} ({summary or 'empty'})")


def _envelope(body: bytes) -> tuple[str, str, bytes]:
    version = name = ""
    raw = b""
    for number, wire, value in _wire(memoryview(body)[4:]):
        if number in (1, 2, 3, 4) and wire != _BYTES:
            raise _Malformed(f"proto: wrong wireType = {wire} for field {number}")
        if number == 1:
            for inner, inner_wire, text in _wire(value):
                if inner_wire == _BYTES and inner == 1:
                    version = _text(text)
                elif inner_wire == _BYTES and inner == 2:
                    name = _text(text)
        elif number == 2:
            raw = bytes(value)
        elif number == 3 and len(value):
            raise _Malformed(f'unsupported content encoding "{_text(value)}"')
    return version, name, raw


def _message_of(version: str, kind: str) -> str | None:
    common = f"meta.v1.{kind}"
    if fields.message(common) is not None and kind in ("DeleteOptions", "Status"):
        return common  # these are registered in every group
    group = _GROUPS.get(version)
    name = f"{group}.{kind}"
    return name if group is not None and fields.message(name) is not None else None


# -- messages


def _message(data: memoryview, name: str, depth: int) -> Json:
    if depth > _MAX_DEPTH:
        raise _Malformed("proto: nesting too deep")
    table = fields.message(name) or {}
    found: Json = {}
    for number, wire, value in _wire(data):
        field = table.get(number)
        if field is None:
            continue  # of a newer version than this one
        if field.mapped:
            _put_pair(found, field, wire, value, depth)
        elif field.repeated:
            found.setdefault(field.name, []).extend(_items(field, wire, value, depth))
        else:
            _put(found, field, _value(field, wire, value, depth))
    return found


def _put(found: Json, field: Field, value: Any) -> None:
    if not field.name:
        found.update(value)
    elif value is None or (not field.keeps_zero and value in ("", 0) and not isinstance(value, dict)):
        found.pop(field.name, None)
    else:
        found[field.name] = value


def _put_pair(found: Json, field: Field, wire: int, value: Any, depth: int) -> None:
    if wire != _BYTES:
        raise _Malformed(f"proto: wrong wireType = {wire} for field {field.name}")
    key, item = "", None
    for number, inner_wire, inner in _wire(value):
        if number == 1 and inner_wire == _BYTES:
            key = _text(inner)
        elif number == 2:
            item = _value(field, inner_wire, inner, depth)
    found.setdefault(field.name, {})[key] = _ZERO.get(field.type) if item is None else item


def _items(field: Field, wire: int, value: Any, depth: int) -> Iterator[Any]:
    if field.type in ("int", "bool") and wire == _BYTES:  # packed
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            yield _scalar(field.type, number)
    else:
        yield _value(field, wire, value, depth)


def _value(field: Field, wire: int, value: Any, depth: int) -> Any:
    sort = field.type
    expected = {"int": _VARINT, "bool": _VARINT, "double": _FIXED64}.get(sort, _BYTES)
    if wire != expected:
        raise _Malformed(f"proto: wrong wireType = {wire} for field {field.name}")
    if field.wrapped:
        return [_text(item) for number, inner, item in _wire(value) if number == 1 and inner == _BYTES]
    if sort in ("int", "bool"):
        return _scalar(sort, value)
    if sort == "string":
        return _text(value)
    if sort == "bytes":
        return base64.b64encode(value).decode()
    if sort == "double":
        return struct.unpack("<d", value)[0]
    special = SPECIAL.get(sort)
    return _message(value, sort, depth + 1) if special is None else special(value)


_ZERO: dict[str, Any] = {"string": "", "bytes": "", "int": 0, "bool": False, "Quantity": "0"}


def _scalar(sort: str, number: int) -> int | bool:
    if sort == "bool":
        return number != 0
    return number - (1 << 64) if number >= 1 << 63 else number


def _text(value: memoryview) -> str:
    return bytes(value).decode("utf-8", "replace")


# -- messages that are something else in JSON


def _numbers(data: memoryview) -> dict[int, int]:
    return {number: int(_scalar("int", value)) for number, wire, value in _wire(data) if wire == _VARINT}


def _only_bytes(data: memoryview) -> bytes:
    found = b""
    for number, wire, value in _wire(data):
        if number == 1 and wire == _BYTES:
            found = bytes(value)
    return found


def _moment(data: memoryview, format_: str) -> str | None:
    if not len(data):
        return None  # Go's zero time
    numbers = _numbers(data)
    try:
        moment = datetime.datetime.fromtimestamp(numbers.get(1, 0), datetime.UTC)
    except (ValueError, OverflowError, OSError):
        raise _Malformed("proto: time out of range") from None
    return moment.replace(microsecond=min(max(numbers.get(2, 0), 0) // 1000, 999_999)).strftime(format_)


def _time(data: memoryview) -> str | None:
    return _moment(data, "%Y-%m-%dT%H:%M:%SZ")


def _micro_time(data: memoryview) -> str | None:
    return _moment(data, "%Y-%m-%dT%H:%M:%S.%fZ")


def _duration(data: memoryview) -> str:
    """As Go prints durations: ``1h0m5s``, ``0s``, ``1.5s``."""
    nanos = _numbers(data).get(1, 0)
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    seconds, rest = divmod(nanos, 1_000_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    text = f"{seconds}{fraction}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return sign + (f"{hours}h{text}" if hours else text)


def _int_or_string(data: memoryview) -> int | str:
    numbers, text = {}, ""
    for number, wire, value in _wire(data):
        if wire == _VARINT:
            numbers[number] = int(_scalar("int", value))
        elif wire == _BYTES and number == 3:
            text = _text(value)
    return text if numbers.get(1, 0) == 1 else numbers.get(2, 0)


def _quantity(data: memoryview) -> str:
    return _text(memoryview(_only_bytes(data))) or "0"


def _raw(data: memoryview) -> Any:
    raw = _only_bytes(data)
    if not raw:
        return None
    if is_protobuf(raw):
        return decode(raw)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise _Malformed("invalid JSON in a raw extension") from None


SPECIAL: dict[str, Callable[[memoryview], Any]] = {
    "Time": _time,
    "MicroTime": _micro_time,
    "Duration": _duration,
    "IntOrString": _int_or_string,
    "Quantity": _quantity,
    "RawExtension": _raw,
    "FieldsV1": _raw,
}


# -- the wire


def _wire(data: memoryview) -> Iterator[tuple[int, int, Any]]:
    """Number, wire type and value of each field: an int, or what the bytes are."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number <= 0:
            raise _Malformed(f"proto: illegal tag {number} (wire type {wire})")
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise _Malformed(f"proto: illegal wireType {wire}")
        if at + size > end:
            raise _Malformed("unexpected EOF")
        yield number, wire, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise _Malformed("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
        if shift >= 70:
            raise _Malformed("proto: integer overflow")
