"""One request on its way through the API server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from labkit.embedded.kubernetes.apiserver import bodies, negotiation, parameters
from labkit.embedded.kubernetes.apiserver.answers import Answer, encode, failure, warning
from labkit.embedded.kubernetes.apiserver.parameters import Query
from labkit.embedded.kubernetes.apiserver.paths import Target
from labkit.embedded.kubernetes.errors import StatusError
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import WriteOptions
from labkit.embedded.kubernetes.schema.duplicates import duplicates
from labkit.embedded.kubernetes.users import User

if TYPE_CHECKING:
    from labkit.embedded.kubernetes.apiserver.server import ApiServer
    from labkit.embedded.kubernetes.kinds import Kind

_PEOPLE = ("curl", "Wget", "Mozilla/")  # who gets indented JSON without asking for it


@dataclass(slots=True)
class Call:
    """What a handler gets."""

    server: ApiServer
    raw: web.BaseRequest
    path: str
    query: Query
    user: User
    verb: str
    target: Target | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def kind(self) -> Kind:
        """The kind that the path names; only where there is one."""
        assert self.target is not None
        assert self.target.kind is not None
        return self.target.kind

    @property
    def pretty(self) -> bool:
        """Whether the answer is for eyes: asked for, or a browser or curl that does not say otherwise."""
        wanted = self.query.get("pretty")
        if wanted:
            return wanted in ("1", "t", "T", "true", "TRUE", "True")
        return self.raw.headers.get("User-Agent", "").startswith(_PEOPLE)

    async def body(self, kind_name: str, options: WriteOptions | None = None) -> Json:
        """The object that was sent. Raises UnsupportedMediaType, RequestEntityTooLarge, BadRequest.

        ``options`` are told which keys it has twice.
        """
        media_type = negotiation.body_type(self.raw.headers.get("Content-Type"))
        data = await bodies.read(self.raw)
        obj = bodies.decode(data, media_type, kind_name)
        if options is not None and media_type == negotiation.JSON and options.validation != "Ignore":
            options.twice = duplicates(data)
        return obj

    def write_options(self, name: str, *, apply: bool = False) -> WriteOptions:
        """The options of a write. ``name`` is ``CreateOptions`` or another one."""
        found = parameters.write_parameters(self.query, name, self.raw.headers.get("User-Agent", ""), apply=apply)
        return WriteOptions(
            manager=found.manager,
            dry_run=found.dry_run,
            validation=found.validation,
            force=found.force,
            user=self.user,
            warnings=self.warnings,
        )

    def reply(self, obj: Json, status: int = 200) -> Answer:
        """An answer of plain JSON."""
        return Answer(status, encode(obj, pretty=self.pretty), headers=self.headers())

    def headers(self) -> list[tuple[str, str]]:
        """The warnings, each once."""
        return [warning(words) for words in dict.fromkeys(self.warnings)] if self.warnings else []

    def failed(self, error: StatusError) -> Answer:
        return failure(error, pretty=self.pretty)
