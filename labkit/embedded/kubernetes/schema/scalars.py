"""Values that read themselves: quantities, times, int-or-string, base64. Each refuses in the words of its Go type.

Each function takes a JSON value and gives the one to keep, which is the very value when it was canonical already: the
real API server parses these and writes them anew (``1000m`` becomes ``1``, ``2020-01-01T00:00:00.5Z`` loses its half).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from labkit.embedded import gojson
from labkit.embedded.kubernetes import quantity as quantities

INT32 = 2**31
INT64 = 2**63
_QUANTITY_WORDS = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)(.*)", re.DOTALL)
_LAYOUT = "2006-01-02T15:04:05Z07:00"
_MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


class Mismatch(Exception):
    """A JSON value of a type that its Go field cannot take. Collects the field's path on its way up."""

    def __init__(self, value: str, go: str) -> None:
        super().__init__(value, go)
        self.value = value  # "string", "number 1.5", "object"
        self.go = go
        self.struct = ""
        self.fields: list[str] = []

    def __str__(self) -> str:
        if not self.struct:
            return f"json: cannot unmarshal {self.value} into Go value of type {self.go}"
        path = ".".join(reversed(self.fields))
        return f"json: cannot unmarshal {self.value} into Go struct field {self.struct}.{path} of type {self.go}"


class Malformed(Exception):
    """A value of the right type that its own parser does not understand."""


def integer(limit: int, go: str) -> Callable[[Any], Any]:
    """Reads whole numbers from ``-limit`` up to ``limit - 1``."""

    def read(value: Any) -> Any:
        if type(value) is int and -limit <= value < limit:
            return value
        word = gojson.kind(value)
        raise Mismatch(f"{word} {value!r}" if word == "number" else word, go)

    return read


_int32 = integer(INT32, "int32")
_known: dict[str, str] = {}  # quantities are few and come again and again


def quantity(value: Any) -> Any:
    if type(value) is str:
        known = _known.get(value)
        if known is not None:
            return known if known != value else value
    elif type(value) not in (int, float):
        raise Malformed(_QUANTITY_WORDS)
    try:
        canonical = quantities.canonical(value.strip() if type(value) is str else value)
    except quantities.QuantityError as error:
        raise Malformed(str(error)) from None
    if len(_known) < 10_000:
        _known[str(value)] = canonical
    return canonical if canonical != value else value


def int_or_string(value: Any) -> Any:
    return value if type(value) is str else _int32(value)


def time(value: Any) -> Any:
    if type(value) is not str:
        raise Mismatch(gojson.kind(value), "string")
    if len(value) == 20 and value[19] == "Z" and value[10] == "T":
        try:
            datetime.fromisoformat(value)
            return value
        except ValueError:
            pass  # to be worded below
    return _moment(value, _LAYOUT).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_time(value: Any) -> Any:
    if type(value) is not str:
        raise Mismatch(gojson.kind(value), "string")
    if len(value) == 27 and value[26] == "Z" and value[10] == "T" and value[19] == ".":
        try:
            datetime.fromisoformat(value)
            return value
        except ValueError:
            pass
    return _moment(value, _MICRO_LAYOUT).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _moment(text: str, layout: str) -> datetime:
    """What ``time.Parse`` makes of it, in UTC, or its complaint (which names the first part that does not fit)."""
    found = _TIME.match(text)
    if found is None or (layout == _MICRO_LAYOUT and not found[7]):
        raise Malformed(f'parsing time "{text}" as "{layout}": {_unfit(text, layout)}')
    if found[9]:
        raise Malformed(f'parsing time "{text}": extra text: "{found[9]}"')
    year, month, day, hour, minute, second = (int(found[index]) for index in range(1, 7))
    micros = int((found[7] or "0")[:6].ljust(6, "0"))
    zone = "+00:00" if found[8] in "Zz" else found[8]
    for part, bad in (
        ("month", not 1 <= month <= 12), ("hour", hour > 23), ("minute", minute > 59), ("second", second > 59),
        ("day", not 1 <= day <= 31),
    ):  # fmt: skip
        if bad:
            raise Malformed(f'parsing time "{text}": {part} out of range')
    try:
        offset = datetime.strptime(zone, "%z").tzinfo
        moment = datetime(year, month, day, hour, minute, second, micros, tzinfo=offset).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Malformed(f'parsing time "{text}": day out of range') from None
    if moment.year < 1000:  # strftime would leave out leading zeros
        raise Malformed(f'parsing time "{text}": year outside of range [0,9999]')
    return moment


_PARTS = (
    (r"\d{4}", "2006"), ("-", "-"), (r"\d\d", "01"), ("-", "-"), (r"\d\d", "02"), ("T", "T"), (r"\d\d", "15"),
    (":", ":"), (r"\d\d", "04"), (":", ":"), (r"\d\d", "05"),
)  # fmt: skip


def _unfit(text: str, layout: str) -> str:
    rest = text
    for pattern, element in _PARTS:
        found = re.match(pattern, rest)
        if found is None:
            return f'cannot parse "{rest}" as "{element}"'
        rest = rest[found.end() :]
    fraction = re.match(r"\.\d+", rest)
    if fraction is None and layout == _MICRO_LAYOUT:
        return f'cannot parse "{rest}" as ".000000"'
    if fraction is not None:
        rest = rest[fraction.end() :]
    return f'cannot parse "{rest}" as "Z07:00"'


def encoded(value: Any) -> Any:
    """Base64 in its standard alphabet, padded; line breaks inside are accepted and lost, as Go's decoder does."""
    if type(value) is not str:
        raise Mismatch(gojson.kind(value), "[]uint8")
    if not value:
        return value
    text = value.replace("\n", "").replace("\r", "") if "\n" in value or "\r" in value else value
    try:
        content = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise Malformed(f"illegal base64 data at input byte {_where(value)}") from None
    canonical = base64.b64encode(content).decode()
    return canonical if canonical != value else value


def _where(text: str) -> int:
    """The place that Go's decoder names: of a character that is none of its own, or of the group that is too short."""
    digits = 0
    for place, char in enumerate(text):
        if char in "\r\n":
            continue
        if char not in _BASE64:
            if char == "=" and digits % 4 in (2, 3):
                rest = text[place:].replace("\r", "").replace("\n", "")
                wanted = 4 - digits % 4
                if rest[:wanted] != "=" * wanted:
                    return len(text) if len(rest) < wanted else place + 1
                return place + wanted
            return len(text[:place].encode())
        digits += 1
    return len(text) - digits % 4
