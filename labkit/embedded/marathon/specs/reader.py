"""Reads JSON by tables of fields, with the errors that Marathon's generated readers give (play-json's words).

A type is a function ``(value, path, errors) -> value``: it returns the value in its canonical form, or adds
``(path, error)`` and returns ``BAD``. Constraints of a field are checked, those of an array's elements are not, as
in the code that Marathon generates from its RAML (``type-generator``): later validation looks at those.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from labkit.embedded.marathon.specs.errors import Details

Json = dict[str, Any]
Type = Callable[[Any, str, Details], Any]
Check = Callable[[Any], str | None]

BAD: Any = object()
ABSENT: Any = object()


# -- scalars


def string(value: Any, path: str, errors: Details) -> Any:
    if isinstance(value, str):
        return value
    errors.append((path, "error.expected.jsstring"))
    return BAD


def boolean(value: Any, path: str, errors: Details) -> Any:
    if isinstance(value, bool):
        return value
    errors.append((path, "error.expected.jsboolean"))
    return BAD


def double(value: Any, path: str, errors: Details) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    errors.append((path, "error.expected.jsnumber"))
    return BAD


def _whole(bits: int, error: str) -> Type:
    def read(value: Any, path: str, errors: Details) -> Any:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            errors.append((path, "error.expected.jsnumber"))
        elif not math.isfinite(value) or value != int(value) or not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            errors.append((path, error))
        else:
            return int(value)
        return BAD

    return read


int32 = _whole(32, "error.expected.int")
int64 = _whole(64, "error.expected.long")


def moment(value: Any, path: str, errors: Details) -> Any:
    """A time with its zone."""
    if isinstance(value, str):
        try:
            if datetime.fromisoformat(value).tzinfo is not None:
                return value
        except ValueError:
            pass
    errors.append((path, "error.expected.date.isoformat" if isinstance(value, str) else "error.expected.date"))
    return BAD


def one_of(*words: str) -> Type:
    def read(value: Any, path: str, errors: Details) -> Any:
        if value in words and isinstance(value, str):
            return value
        errors.append((path, "error.unknown.enum.literal" if isinstance(value, str) else "error.expected.jsstring"))
        return BAD

    return read


# -- constraints of a field


def at_least(limit: float) -> Check:
    return lambda value: "error.min" if value < limit else None


def at_most(limit: float) -> Check:
    return lambda value: "error.max" if value > limit else None


def longer(length: int) -> Check:
    """At least so many characters, or elements."""
    return lambda value: "error.minLength" if len(value) < length else None


def shorter(length: int) -> Check:
    return lambda value: "error.maxLength" if len(value) > length else None


def pattern(text: str) -> Check:
    compiled = re.compile(text)
    return lambda value: None if compiled.fullmatch(value) else "error.pattern"


# -- arrays, maps and objects


def array(of: Type, *, unique: bool = False) -> Type:
    """``unique``: a set, from which what is there twice just vanishes."""

    def read(value: Any, path: str, errors: Details) -> Any:
        if not isinstance(value, list):
            errors.append((path, "error.expected.jsarray"))
            return BAD
        found = [of(each, f"{path}({index})", errors) for index, each in enumerate(value)]
        if any(each is BAD for each in found):
            return BAD
        if unique and len(found) > 1:
            found = list({orjson.dumps(each, option=orjson.OPT_SORT_KEYS): each for each in found}.values())
        return found

    return read


def mapping(of: Type) -> Type:
    def read(value: Any, path: str, errors: Details) -> Any:
        if not isinstance(value, dict):
            errors.append((path, "error.expected.jsobject"))
            return BAD
        found = {key: of(each, f"{path}/{key}", errors) for key, each in value.items()}
        return BAD if any(each is BAD for each in found.values()) else found

    return read


def either(*types: Type) -> Type:
    """The first type that can read it; if none can, what the last one says."""

    def read(value: Any, path: str, errors: Details) -> Any:
        found: Details = []
        for each in types:
            found = []
            result = each(value, path, found)
            if result is not BAD and not found:
                return result
        errors.extend(found)
        return BAD

    return read


@dataclass(frozen=True, slots=True)
class Field:
    """One property of an object type.

    Without ``required`` it may be missing or null: then it gets a copy of ``default``, or is left out.
    ``drop_empty``: an empty collection is left out, too.
    """

    name: str
    type: Type
    checks: tuple[Check, ...] = ()
    required: bool = False
    default: Any = ABSENT
    drop_empty: bool = False


def field(name: str, type: Type, *checks: Check, default: Any = ABSENT, drop_empty: bool = False) -> Field:
    """``name?`` is optional, as in RAML."""
    return Field(
        name.removesuffix("?"),
        type,
        checks,
        required=not name.endswith("?") and default is ABSENT,
        default=default,
        drop_empty=drop_empty,
    )


class Object:
    """An object type: its fields, in the order in which they are shown. Unknown fields are ignored."""

    def __init__(self, name: str, *fields: Field) -> None:
        self.name = name
        self.fields = {each.name: each for each in fields}

    def __call__(self, value: Any, path: str, errors: Details) -> Any:
        return self.read(value, path, errors)

    def read(self, value: Any, path: str, errors: Details, *, partial: bool = False) -> Any:
        """``partial``: an update. Nothing is required, nothing filled in, and empty collections are kept."""
        if not isinstance(value, dict):
            missing = [each.name for each in self.fields.values() if each.required and not partial]
            # play looks for the fields, and finds none.
            errors += [(f"{path}/{name}", "error.path.missing") for name in missing] or [
                (path, "error.expected.jsobject")
            ]
            return BAD
        found: Json = {}
        bad = False
        for name, each in self.fields.items():
            given = value.get(name, ABSENT)
            if given is ABSENT or (given is None and not (each.required and not partial)):
                if partial:
                    continue
                if each.required:
                    errors.append((f"{path}/{name}", "error.path.missing"))
                    bad = True
                elif each.default is not ABSENT:
                    found[name] = _copy(each.default)
                continue
            before = len(errors)
            result = each.type(given, f"{path}/{name}", errors)
            if result is not BAD:
                errors += [(f"{path}/{name}", why) for check in each.checks if (why := check(result)) is not None]
            if len(errors) > before:
                bad = True
            elif result or not each.drop_empty or partial or not isinstance(result, (list, dict)):
                found[name] = result
        return BAD if bad else found


def _copy(default: Any) -> Any:
    return default.copy() if isinstance(default, (list, dict)) else default
