"""Requests and answers of Marathon's API, and its refusals (``api/MarathonExceptionMapper.scala``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from labkit.embedded.marathon.specs import read_json

if TYPE_CHECKING:
    from labkit.embedded.marathon.core.marathon import Marathon
    from labkit.embedded.marathon.core.term import Term

Json = dict[str, Any]

DEPLOYMENT = "Marathon-Deployment-Id"
MAX_BODY = 16 * 1024 * 1024


class Refused(Exception):
    """An answer that is an error: ``{"message": …}``."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"message": message, **more}


def not_found(message: str) -> Refused:
    return Refused(404, message)


@dataclass
class Answer:
    """``body``: JSON, or bytes as they are; None for none."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    def response(self) -> web.Response:
        """It as aiohttp sends it; a body of bytes goes out as it is, others as JSON."""
        if self.body is None:
            return web.Response(status=self.status, headers=self.headers)
        data = self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)
        headers = {"Content-Type": self.content_type, **self.headers}
        return web.Response(status=self.status, headers=headers, body=data)


class Request:
    """A request for the leader, with what its path holds."""

    __slots__ = ("_body", "headers", "marathon", "match", "raw", "term")

    def __init__(self, raw: web.Request, marathon: Marathon, term: Term, match: dict[str, str]) -> None:
        self.raw = raw
        self.marathon = marathon
        self.term = term
        self.match = match
        self.headers: dict[str, str] = {}  # that every answer of the leader has
        self._body: bytes | None = None

    def path_id(self, name: str = "id") -> str:
        """An id in the path, made absolute."""
        from labkit.embedded.marathon.specs import paths

        return paths.absolute(self.match.get(name, ""))

    async def body(self) -> bytes:
        """The bytes that came, read once."""
        if self._body is None:
            self._body = await self.raw.read()
        return self._body

    async def json(self) -> Any:
        """Raises NotJson (400)."""
        return read_json(await self.body())

    def query(self, name: str) -> str | None:
        """A parameter of the query, None when it is not there."""
        return self.raw.query.get(name)

    def queries(self, name: str) -> list[str]:
        """All values of a parameter that may be given several times."""
        return self.raw.query.getall(name, [])

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean parameter, as Java's Boolean reads it."""
        value = self.raw.query.get(name)
        return default if value is None else value.lower() == "true"

    @property
    def wants_text(self) -> bool:
        """``Accept: text/plain`` before JSON."""
        accept = self.raw.headers.get("Accept", "")
        return accept.split(";")[0].split(",")[0].strip() == "text/plain"

    @property
    def client(self) -> str:
        """The address that it came from."""
        return self.raw.remote or ""


Handler = Callable[[Request], Awaitable[Answer | web.StreamResponse]]
Route = tuple[str, str, Handler]  # method, regular expression of the path, handler


def deployed(plan: Any, status: int = 200, **headers: str) -> Answer:
    """The answer to a change: which deployment carries it out."""
    body = {"version": plan.version, "deploymentId": plan.id}
    return Answer(body, status, {DEPLOYMENT: plan.id, **headers})
