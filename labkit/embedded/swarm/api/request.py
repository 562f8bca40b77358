"""What a handler gets and gives: :class:`Request`, :class:`Filters`, :class:`Reply`.

A handler is ``async def handler(host, request) -> StreamResponse | Reply | dict | list | None``. A dict or list is
JSON with status 200, None is an empty 200; errors are raised (:mod:`labkit.embedded.swarm.errors`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from labkit.embedded import gojson
from labkit.embedded.swarm.errors import BadRequest, RpcError, TooLarge

# dockerd itself sets no limit, but nothing that is sent to it as JSON comes near this. What is longer is refused
# without keeping it, so that no body can fill the engine's memory.
MAX_BODY = 8 * 1024 * 1024
MAX_GRPC = 4 * 1024 * 1024  # what SwarmKit's managers take from dockerd in one message
MAX_RAFT = 3 * 1024 * 1024 // 2  # and what they write to the log in one entry

_Int = int  # Request has a method of that name

_FALSE = frozenset(("", "0", "no", "false", "none"))  # httputils.BoolValue: everything else is true
_TRUE_FILTER = frozenset(("1", "true", "True"))  # "True" is what docker-py makes of a bool
_FALSE_FILTER = frozenset(("0", "false", "False"))
_GO_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))  # strconv.ParseBool
_GO_FALSE = frozenset(("", "0", "f", "F", "false", "FALSE", "False"))


@dataclass(frozen=True)
class Reply:
    """An answer that is not plain JSON 200. ``body``: JSON-able, ``bytes``/``str`` as it is, or None for no body."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = web.StreamResponse | Reply | dict[str, Any] | list[Any] | str | None
Handler = Callable[[Any, "Request"], Awaitable[Answer]]
Route = tuple[str, str, Handler]  # method, path without the version ("/containers/{id}/json"), handler


class Filters:
    """The ``filters`` parameter: a name with one or more values.

    The CLI sends a map of maps (``{"name": {"web": true}}``), docker-py a map of lists; both are taken.
    Values of one name are alternatives, names narrow each other down; labels all have to match.
    """

    def __init__(self, values: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self._values = dict(values or {})

    @classmethod
    def parse(cls, text: str) -> Filters:
        """From the query. Raises BadRequest (``invalid filter``) on anything but the two forms."""
        if not text:
            return cls()
        try:
            raw = gojson.decode(text.encode("utf-8", "surrogateescape"))
        except gojson.JsonError:
            raise BadRequest("invalid filter") from None
        if raw is None:
            return cls()
        if not isinstance(raw, dict):
            raise BadRequest("invalid filter")
        values: dict[str, tuple[str, ...]] = {}
        for name, given in raw.items():
            if isinstance(given, dict) and all(isinstance(flag, bool) for flag in given.values()):
                values[name] = tuple(given)
            elif isinstance(given, list) and all(isinstance(item, str) for item in given):
                values[name] = tuple(dict.fromkeys(given))
            elif given is None:
                values[name] = ()
            else:
                raise BadRequest("invalid filter")
        return cls(values)

    def validate(self, allowed: Iterable[str]) -> None:
        """Raises BadRequest ``invalid filter 'x'`` for a name that is not allowed."""
        known = set(allowed)
        for name in self._values:
            if name not in known:
                raise BadRequest(f"invalid filter '{name}'")

    def get(self, name: str) -> tuple[str, ...]:
        return self._values.get(name, ())

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __bool__(self) -> bool:
        return bool(self._values)

    def names(self) -> tuple[str, ...]:
        return tuple(self._values)

    def boolean(self, name: str, default: bool = False) -> bool:
        """A filter that is yes or no. Raises BadRequest ``invalid filter 'x=[y]'`` for neither, or for both."""
        if name not in self._values:
            return default
        given = set(self._values[name])
        yes, no = bool(given & _TRUE_FILTER), bool(given & _FALSE_FILTER)
        if yes == no:
            listed = f"={_go_list(self._values[name])}" if self._values[name] else ""
            raise BadRequest(f"invalid filter '{name}{listed}'")
        return yes

    def exact(self, name: str, value: str) -> bool:
        """True if there is no such filter or ``value`` is one of its values."""
        wanted = self.get(name)
        return not wanted or value in wanted

    def prefix(self, name: str, value: str) -> bool:
        """True if there is no such filter or ``value`` begins with one of its values."""
        wanted = self.get(name)
        return not wanted or any(value.startswith(item) for item in wanted)

    def match(self, name: str, value: str) -> bool:
        """True if there is no such filter, or one of its values is ``value`` or a regular expression found in it."""
        wanted = self.get(name)
        return not wanted or value in wanted or any(_found(item, value) for item in wanted)

    def labels(self, name: str, labels: Mapping[str, str] | None) -> bool:
        """True if every ``key`` or ``key=value`` of the filter holds for ``labels``."""
        have = labels or {}
        for item in self.get(name):
            key, equals, value = item.partition("=")
            if key not in have or (equals and have[key] != value):
                return False
        return True


def _found(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return False


def _go_list(values: Iterable[str]) -> str:
    return "[" + " ".join(values) + "]"


class Request:
    """One request to one Docker host.

    ``raw`` is aiohttp's request (for streams and hijacking), ``match`` the path parameters, ``query`` the query
    string's, ``api_version`` the version that was asked for, ``(1, 50)`` if none was. ``answer_headers`` are those
    that every answer carries; a handler that prepares a stream of its own puts them there (``stream_headers``).
    """

    def __init__(
        self,
        raw: web.Request,
        match: Mapping[str, str],
        api_version: tuple[_Int, _Int],
        answer_headers: Mapping[str, str] | None = None,
    ) -> None:
        self.raw = raw
        self.match = match
        self.api_version = api_version
        self.answer_headers = dict(answer_headers or {})

    @property
    def method(self) -> str:
        return self.raw.method

    @property
    def query(self) -> Mapping[str, str]:
        return self.raw.query

    @property
    def headers(self) -> Mapping[str, str]:
        return self.raw.headers

    def flag(self, name: str, default: bool = False) -> bool:
        """A yes or no of the query, as dockerd reads it: all but ``0``, ``no``, ``false``, ``none``, "" is yes."""
        if name not in self.query:
            return default
        return self.query[name].strip().lower() not in _FALSE

    def int(self, name: str, default: _Int = 0) -> _Int:
        """A number of the query. Raises BadRequest ``strconv.ParseInt: parsing "x": invalid syntax``."""
        text = self.query.get(name, "")
        return go_int(text, "ParseInt", -(2**63), 2**63 - 1) if text else default

    def go_bool(self, name: str, *, why: bool = True) -> bool:
        """A yes or no of the query where dockerd is strict.

        Raises BadRequest ``invalid value for x: y``, followed by Go's complaint unless ``why`` is False.
        """
        value = self.query.get(name, "")
        if value not in _GO_TRUE and value not in _GO_FALSE:
            go = f': strconv.ParseBool: parsing "{value}": invalid syntax' if why else ""
            raise BadRequest(f"invalid value for {name}: {value}{go}")
        return value in _GO_TRUE

    def filters(self, allowed: Iterable[str] | None = None) -> Filters:
        """The ``filters`` parameter, checked against the names allowed (None: not checked)."""
        filters = Filters.parse(self.query.get("filters", ""))
        if allowed is not None:
            filters.validate(allowed)
        return filters

    def at_least(self, major: _Int, minor: _Int) -> bool:
        """True if the client speaks this API version or a later one."""
        return self.api_version >= (major, minor)

    async def body(self, limit: _Int = MAX_BODY) -> bytes:
        """The whole body.

        Raises:
            TooLarge: longer than ``limit``; the rest is read and thrown away so that the client gets the answer.
        """
        kept = bytearray()
        seen = 0
        async for chunk in self.raw.content.iter_chunked(65536):
            seen += len(chunk)
            if len(kept) <= limit:
                kept += chunk
        if seen > limit:
            raise _Oversize(bytes(kept[:4096]), seen, limit)
        return bytes(kept)

    async def spec(self) -> Any:
        """The JSON body of a call that goes on to the managers, whose messages are limited.

        Raises:
            BadRequest: as :meth:`json`.
            RpcError: 500, as dockerd passes on what gRPC and Raft say of a message that is too long.
        """
        try:
            value = await self.json(MAX_GRPC)
        except _Oversize as error:
            words = f"grpc: received message larger than max ({error.size} vs. {MAX_GRPC})"
            raise RpcError("ResourceExhausted", words) from None
        if (self.raw.content_length or 0) > MAX_RAFT:
            raise RpcError("Unknown", "raft: raft message is too large and can't be sent")
        return value

    async def json(self, limit: _Int = MAX_BODY) -> Any:
        """The JSON body as it came; ``{}`` when there is none.

        Raises:
            BadRequest: a wrong content type or malformed JSON, in dockerd's words (``invalid JSON: …``).
            TooLarge: longer than ``limit``.
        """
        content_type = self.raw.headers.get("Content-Type", "")
        has_body = self.raw.body_exists and self.raw.content_length != 0
        if content_type or has_body:
            _check_content_type(content_type)
        if not has_body:
            return {}
        try:
            data = await self.body(limit)
        except _Oversize as error:
            wrong = gojson.explain(error.start, whole=False)
            if wrong:
                raise BadRequest(f"invalid JSON: {wrong}") from None
            raise
        if not data.strip():
            raise BadRequest("invalid JSON: got EOF while reading request body")
        try:
            value = gojson.decode(data)
        except gojson.JsonError as error:
            if "after top-level value" in str(error):  # the real one reads one value and asks whether more follows
                raise BadRequest("unexpected content after JSON") from None
            raise BadRequest(f"invalid JSON: {error}") from None
        return {} if value is None else value


class _Oversize(TooLarge):
    def __init__(self, start: bytes, size: int, limit: int) -> None:
        super().__init__(f"request body too large: {size} bytes, the limit is {limit}")
        self.start = start
        self.size = size


def _check_content_type(text: str) -> None:
    """dockerd's ``CheckForJSON``."""
    if not text:
        raise BadRequest("malformed Content-Type header (): mime: no media type")
    media = text.partition(";")[0].strip().lower()
    if media != "application/json":
        raise BadRequest(f"unsupported Content-Type header ({text}): must be 'application/json'")


def go_int(text: str, function: str, low: int, high: int) -> int:
    """``text`` as a decimal number, or BadRequest in the words of Go's ``strconv``."""
    if not re.fullmatch(r"[+-]?[0-9]+" if low < 0 else r"[0-9]+", text):
        raise BadRequest(f'strconv.{function}: parsing "{text}": invalid syntax')
    value = int(text) if len(text) < 40 else high + 1
    if not low <= value <= high:
        raise BadRequest(f'strconv.{function}: parsing "{text}": value out of range')
    return value


def version_of(request: Request, what: str, words: str | None = None) -> int:
    """The ``version`` parameter that every update carries.

    Raises BadRequest ``invalid service version 'x': strconv.ParseUint: parsing "x": invalid syntax``.
    ``words``: what follows the type instead of the value and Go's complaint.
    """
    text = request.query.get("version", "")
    try:
        return go_int(text, "ParseUint", 0, 2**64 - 1)
    except BadRequest as error:
        tail = f" '{text}': {error.message}" if words is None else words
        raise BadRequest(f"invalid {what} version{tail}") from None
