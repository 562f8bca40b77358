"""``traefik/whoami``: a web server that says which container answered. The lessons' favourite."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from labkit.embedded.runtime.images.base import Image, Program
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.signals import SIGHUP, SIGINT, SIGTERM

if TYPE_CHECKING:
    from aiohttp import web


class Whoami(Image):
    name = "traefik/whoami"
    versions: ClassVar = {
        "v1.8.7": ("v1.8.7", "v1.8"),
        "v1.9.0": ("v1.9.0", "v1.9"),
        "v1.10.0": ("v1.10.0",),
        "v1.10.1": ("v1.10.1", "v1.10"),
        "v1.11.0": ("v1.11.0", "v1.11", "latest"),
    }
    megabytes = 6.6
    entrypoint = ("/whoami",)
    ports = ("80/tcp",)

    def programs(self) -> dict[str, Program]:
        return {"/whoami": whoami}


async def whoami(process: Process) -> int:
    from aiohttp import web

    # A Go program that catches no signals: as the first process it survives the first blow, and exits with 2.
    process.exits_on(SIGTERM, SIGINT, SIGHUP, code=2)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=f"Hostname: {process.hostname}\n")

    await process.listen_http(80, answer)
    return await process.forever()
