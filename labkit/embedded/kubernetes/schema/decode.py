"""Bodies of requests: JSON that says what it is, with nothing unknown in it unless that is allowed.

What ``k8s.io/apiserver/pkg/endpoints/handlers`` does before an object reaches its registry, and in its words.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import BadRequest
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.schema import gojson, scalars
from labkit.embedded.kubernetes.schema.compile import Checked, Place, checker, words

IGNORE, WARN, STRICT = "Ignore", "Warn", "Strict"

_META = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_SCHEME = "pkg/api/legacyscheme/scheme.go:30"
_SUMMARY = 30  # characters of a body that are shown


def parse(body: bytes, wanted: str) -> Any:
    """The JSON of a body that is to be a ``wanted`` (a kind's name)."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _unrecognized(wanted, gojson.syntax(body, error.pos), body) from None


def identify(value: Any, kind: Kind, body: bytes = b"") -> Json:
    """The object, which must be of that kind; what it does not say of itself is taken from ``kind``.

    Returns the very object when it says both.
    """
    if not isinstance(value, dict):
        words = f"json: cannot unmarshal {scalars.word_of(value)} into Go value of type {_META}"
        raise _unrecognized(kind.kind, words, body)
    for key in ("apiVersion", "kind"):
        if not isinstance(value.get(key), str | None):
            words = f"json: cannot unmarshal {scalars.word_of(value[key])} into Go struct field .{key} of type string"
            raise _unrecognized(kind.kind, words, body)
    says_version, says_kind = value.get("apiVersion") or "", value.get("kind") or ""
    if says_version == kind.api_version and says_kind == kind.kind:
        return value
    if says_version.count("/") > 1:
        raise _unrecognized(kind.kind, f"unexpected GroupVersion string: {says_version}", body, plain=True)
    is_kind = (says_kind or kind.kind) == kind.kind
    if not is_kind or (says_version or kind.api_version) != kind.api_version:
        raise _other(says_version or kind.api_version, says_kind or kind.kind, kind)
    return {**value, "apiVersion": kind.api_version, "kind": kind.kind}


def decode(kind: Kind, body: bytes, validation: str = "") -> tuple[Json, list[str]]:
    """A body as an object of that kind, and the warnings that go with it (``fieldValidation=Warn``).

    Raises BadRequest for what is no JSON, of another kind, of wrong types, or, when strict, has fields that the kind
    does not know or names one twice.
    """
    obj = identify(parse(body, kind.kind), kind, body)
    checked = checker(kind)(obj)
    twice = duplicates(body) if validation != IGNORE else ()
    return checked.obj, enforce(kind, checked, validation, twice)


def enforce(kind: Kind, checked: Checked, validation: str = "", twice: tuple[str, ...] = ()) -> list[str]:
    """The warnings about what had to be left out of an object; BadRequest when validation is strict.

    ``validation`` is a request's ``fieldValidation``; empty is ``Warn``, as since Kubernetes 1.25.
    """
    problems = [f'duplicate field "{path}"' for path in twice] + [f'unknown field "{path}"' for path in checked.unknown]
    if not problems or validation == IGNORE:
        return []
    if validation == STRICT:
        raise BadRequest(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
            f"strict decoding error: {', '.join(problems)}"
        )
    return problems


def duplicates(body: bytes) -> tuple[str, ...]:
    """Paths of keys that a JSON body has twice, of which the last counts.

    The quick parser keeps no trace of them, so this reads the body again, a small price for most bodies.
    """
    found = False

    def pairs(items: list[tuple[str, Any]]) -> _Pairs | Json:
        nonlocal found
        kept = dict(items)
        if len(kept) == len(items):
            return kept
        found = True
        return _Pairs(items)

    try:
        value = json.loads(body, object_pairs_hook=pairs)
    except ValueError:
        return ()
    if not found:
        return ()
    paths: list[Place] = []
    _collect(value, None, paths)
    return tuple(dict.fromkeys(words(place) for place in paths))


class _Pairs(dict[str, Any]):
    """An object that has a key twice: it remembers which."""

    def __init__(self, items: list[tuple[str, Any]]) -> None:
        super().__init__(items)
        seen: set[str] = set()
        self.twice = [key for key, _ in items if key in seen or seen.add(key)]  # type: ignore[func-returns-value]


def _collect(value: Any, place: Place, paths: list[Place]) -> None:
    if isinstance(value, _Pairs):
        paths.extend((place, key) for key in value.twice)
    if isinstance(value, dict):
        for key, item in value.items():
            _collect(item, (place, key), paths)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _collect(item, (place, index), paths)


def _other(version: str, name: str, kind: Kind) -> BadRequest:
    """The object is of another kind than the path."""
    short = version.rpartition("/")[2]
    known = kinds.of(version, name)
    if known is not None and name == kind.kind:
        wanted = kind.api_version
        return BadRequest(f"the API version in the data ({version}) does not match the expected API version ({wanted})")
    if known is not None:
        problem = (
            f"converting (v1.{name}) to ({kind.group.partition('.')[0] or 'core'}.{kind.kind}): unknown conversion"
        )
    else:
        problem = f'no kind "{name}" is registered for version "{version}" in scheme "{_SCHEME}"'
    return BadRequest(f'{name} in version "{short}" cannot be handled as a {kind.kind}: {problem}')


def _unrecognized(wanted: str, problem: str, body: bytes, *, plain: bool = False) -> BadRequest:
    if not plain:
        problem = f"couldn't get version/kind; json parse error: {problem}"
    return BadRequest(f"the object provided is unrecognized (must be of type {wanted}): {problem} ({_shown(body)})")


def _shown(body: bytes) -> str:
    """``summarizeData``: the beginning of what looks like an object, else bytes in hexadecimal."""
    if not body:
        return "<empty>"
    if body.startswith(b"{"):
        text = body.decode(errors="replace")
        return text if len(text) <= _SUMMARY else f"{text[:_SUMMARY]} ..."
    return body.hex() if len(body) <= _SUMMARY else f"{body[:_SUMMARY].hex()} ..."
