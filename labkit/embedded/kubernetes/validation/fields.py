"""Field errors in the words of ``k8s.io/apimachinery/pkg/util/validation/field`` (v0.36).

A rule is a function over a value, the path where it stands and the list of what is wrong so far, to which it adds.
Paths are plain strings (``spec.containers[0].name``): building one costs less than an object that could.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson

from labkit.embedded.kubernetes.errors import Cause

Causes = list[Cause]

IMMUTABLE = "field is immutable"
NEGATIVE = "must be greater than or equal to 0"
NOT_POSITIVE = "must be greater than zero"
NOT_INTEGER = "must be an integer"
_QUOTES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\a": "\\a", "\b": "\\b", "\f": "\\f"}


def quoted(text: str) -> str:
    """``%q``: a Go string literal."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_QUOTES.get(char) or (char if char.isprintable() else _escaped(char)) for char in text) + '"'


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shown(value: Any) -> str:
    """A bad value as errors print it: strings quoted, numbers plain, all else as JSON.

    Go sorts the keys of a map, and writes a struct in the order of its fields.
    """
    if type(value) is str:
        return quoted(value)
    try:
        return orjson.dumps(_ordered(value)).decode()
    except TypeError:  # a number that 64 bits cannot hold
        return json.dumps(_ordered(value), separators=(",", ":"))


def _ordered(value: Any) -> Any:
    if type(value) is list:
        return [_ordered(item) for item in value]
    if type(value) is not dict:
        return value
    if "matchLabels" in value or "matchExpressions" in value:
        return {key: _ordered(value[key]) for key in ("matchLabels", "matchExpressions") if key in value}
    if all(type(item) is str for item in value.values()):
        return dict(sorted(value.items()))
    return {key: _ordered(item) for key, item in value.items()}


def _cause(reason: str, words: str, path: str, detail: str) -> Cause:
    return Cause(reason, f"{words}: {detail}" if detail else words, path or "<nil>")


def required(path: str, detail: str = "") -> Cause:
    return _cause("FieldValueRequired", "Required value", path, detail)


def invalid(path: str, value: Any, detail: str = "") -> Cause:
    return _cause("FieldValueInvalid", f"Invalid value: {shown(value)}", path, detail)


def wrong(path: str, detail: str) -> Cause:
    """An invalid value that is not shown (``field.OmitValueType``)."""
    return _cause("FieldValueInvalid", "Invalid value", path, detail)


def unsupported(path: str, value: Any, supported: Sequence[str]) -> Cause:
    detail = f"supported values: {', '.join(quoted(one) for one in supported)}" if supported else ""
    return _cause("FieldValueNotSupported", f"Unsupported value: {shown(value)}", path, detail)


def duplicate(path: str, value: Any, detail: str = "") -> Cause:
    return _cause("FieldValueDuplicate", f"Duplicate value: {shown(value)}", path, detail)


def not_found(path: str, value: Any, detail: str = "") -> Cause:
    return _cause("FieldValueNotFound", f"Not found: {shown(value)}", path, detail)


def forbidden(path: str, detail: str) -> Cause:
    return _cause("FieldValueForbidden", "Forbidden", path, detail)


def too_long(path: str, limit: int) -> Cause:
    return _cause(
        "FieldValueTooLong", "Too long", path, f"may not be more than {limit} byte{'s' if limit != 1 else ''}"
    )


def too_many(path: str, count: int, limit: int) -> Cause:
    unit = "item" if limit == 1 else "items"
    return _cause("FieldValueTooMany", f"Too many: {count}", path, f"must have at most {limit} {unit}")


def between(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


def valid_values(values: Sequence[str]) -> str:
    """What a required field might say; ``%q`` of a list."""
    return f"valid values: [{' '.join(quoted(one) for one in values)}]"


# -- small rules that many kinds share


def not_negative(value: Any, path: str, out: Causes) -> None:
    if value and value < 0:
        out.append(invalid(path, value, NEGATIVE))


def none_negative(holder: Any, names: Sequence[str], path: str, out: Causes) -> None:
    """The same for several fields of an object."""
    for name in names:
        value = holder.get(name)
        if value and value < 0:
            out.append(invalid(f"{path}.{name}", value, NEGATIVE))


def one_of(value: str, supported: Sequence[str], path: str, out: Causes) -> None:
    """Required, and one of these."""
    if not value:
        out.append(required(path))
    elif value not in supported:
        out.append(unsupported(path, value, supported))


def unchanged(new: Any, old: Any, path: str, out: Causes) -> None:
    if new is not old and (new or None) != (old or None):
        out.append(invalid(path, new, IMMUTABLE))
