"""The decoder: special types, what is malformed, and that nothing but BadRequest comes out of it."""

import base64
import json
import pathlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes.errors import BadRequest
from labkit.embedded.kubernetes.protobuf import decode, fields
from labkit.embedded.kubernetes.protobuf.decode import MAGIC, SPECIAL

RECORDED = [
    base64.b64decode(row["body"]) for row in json.loads(pathlib.Path(__file__).with_name("recorded.json").read_text())
]


def varint(value):
    value &= 0xFFFF_FFFF_FFFF_FFFF
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(found) + bytes((value,))


def part(number, value):
    """A field: an int, text, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def body(version, kind, raw):
    return MAGIC + part(1, part(1, version) + part(2, kind)) + part(2, raw) + part(3, "") + part(4, "")


def decoded(version, kind, *parts):
    obj = decode(body(version, kind, b"".join(parts)))
    assert (obj.pop("apiVersion"), obj.pop("kind")) == (version, kind)
    return obj


def test_every_type_in_the_table_is_known():
    for group, texts in fields._TEXTS.items():
        assert texts.isascii()
        for message in fields._messages(group):
            numbers = fields.message(f"{group}.{message}")
            for field in numbers.values():
                scalar = field.type in ("string", "int", "bool", "double", "bytes")
                assert scalar or field.type in SPECIAL or fields.message(field.type), (message, field)


def test_times():
    moment = part(1, 1_750_000_000) + part(2, 123_456_000)
    lease = decoded("coordination.k8s.io/v1", "Lease", part(2, part(3, moment)), part(1, part(8, moment)))
    assert lease == {
        "spec": {"acquireTime": "2025-06-15T15:06:40.123456Z"},
        "metadata": {"creationTimestamp": "2025-06-15T15:06:40Z"},
    }
    assert decoded("v1", "Pod", part(1, part(8, b""))) == {"metadata": {}}


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0s"),
        (1_500_000_000, "1.5s"),
        (3_605_000_000_000, "1h0m5s"),
        (60_000_000_000, "1m0s"),
        (-1_000_000_000, "-1s"),
    ],
)
def test_durations(nanos, text):
    assert SPECIAL["Duration"](memoryview(part(1, nanos))) == text


def test_negative_numbers_and_false():
    options = decoded("v1", "DeleteOptions", part(1, -5), part(3, 0), part(4, "Background"), part(5, "All"))
    assert options == {
        "gracePeriodSeconds": -5,
        "orphanDependents": False,
        "propagationPolicy": "Background",
        "dryRun": ["All"],
    }


def test_delete_options_are_of_every_group():
    assert decode(body("apps/v1", "DeleteOptions", part(1, 0))) == {
        "kind": "DeleteOptions",
        "apiVersion": "apps/v1",
        "gracePeriodSeconds": 0,
    }


def test_lists_of_numbers_packed_or_not():
    unpacked = decoded("v1", "Pod", part(2, part(14, part(4, 1) + part(4, 2))))
    packed = decoded("v1", "Pod", part(2, part(14, part(4, varint(1) + varint(2)))))
    assert unpacked == packed == {"spec": {"securityContext": {"supplementalGroups": [1, 2]}}}


def test_maps_with_nothing_in_them():
    entry = part(1, "k")
    assert decoded("v1", "ConfigMap", part(2, entry), part(3, entry)) == {"data": {"k": ""}, "binaryData": {"k": ""}}


def test_messages_that_hold_only_a_list():
    extra = part(1, "scopes") + part(2, part(1, "a") + part(1, "b"))
    review = decoded("authorization.k8s.io/v1", "SubjectAccessReview", part(2, part(5, extra)))
    assert review == {"spec": {"extra": {"scopes": ["a", "b"]}}}


def test_managed_fields_and_raw_extensions_are_json():
    entry = part(1, "m") + part(7, part(1, b'{"f:a":{}}'))
    pod = decoded("v1", "Pod", part(1, part(17, entry)))
    assert pod["metadata"]["managedFields"] == [{"manager": "m", "fieldsV1": {"f:a": {}}}]
    revision = decoded("apps/v1", "ControllerRevision", part(2, part(1, b'{"x":1}')), part(3, 4))
    assert revision == {"data": {"x": 1}, "revision": 4}


def test_unknown_fields_are_of_newer_versions():
    assert decoded("v1", "Pod", part(999, "x"), part(998, 7), varint(997 << 3 | 5) + b"1234") == {}


def test_the_kind_may_come_from_the_path():
    assert decode(MAGIC + part(2, part(2, b"")), api_version="v1", kind="Secret") == {
        "kind": "Secret",
        "apiVersion": "v1",
        "data": {"": ""},
    }


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", r"does not appear to be a protobuf message, expected prefix \[107 56 115 0\]"),
        (b"{}", "does not appear to be a protobuf message"),
        (MAGIC + b"\x0a\xff", "unexpected EOF"),
        (MAGIC + b"\x0b", "illegal wireType 3"),
        (MAGIC + b"\x00\x00", "illegal tag 0"),
        (MAGIC + b"\x08\x00", "wrong wireType = 0 for field 1"),
        (MAGIC + b"\xff" * 12, "integer overflow"),
        (MAGIC + part(3, "gzip"), 'unsupported content encoding "gzip"'),
        (body("v1", "Podd", b""), 'no kind "Podd" is registered for version "v1"'),
        (body("v9", "Pod", b""), 'no kind "Pod" is registered for version "v9"'),
        (body("v1", "Pod", part(1, 7)), 'Pod in version "v1" cannot be handled as a Pod: proto: wrong wireType'),
        (body("v1", "Pod", part(1, part(17, part(7, part(1, b"{"))))), "invalid JSON in a raw extension"),
        (body("v1", "Pod", part(1, part(8, part(1, 1 << 60)))), "time out of range"),
        (body("v1", "Event", struct.pack("<BI", 0x0A, 0)), "Event"),
    ],
)
def test_what_is_malformed_is_a_bad_request(data, words):
    with pytest.raises(BadRequest, match=words):
        decode(data)


def test_raw_extensions_in_raw_extensions_end():
    raw = b"{}"
    for _ in range(500):
        raw = body("apps/v1", "ControllerRevision", part(2, part(1, raw)))
    with pytest.raises(BadRequest):
        decode(raw)


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused(data):
    for candidate in (data, MAGIC + data, body("v1", "Pod", data), body("apps/v1", "Deployment", data)):
        try:
            decode(candidate)
        except BadRequest:
            pass


@given(st.sampled_from(RECORDED), st.data())
def test_damaged_bodies_decode_or_are_refused(recorded, data):
    damaged = bytearray(recorded)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    for candidate in (bytes(damaged), bytes(damaged[:cut])):
        try:
            json.dumps(decode(candidate))
        except BadRequest:
            pass
