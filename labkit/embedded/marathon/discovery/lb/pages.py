"""What is asked on port 9090 beside the statistics: ``/_haproxy_getconfig`` and its siblings, ``/_mlb_signal/…``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol


class Page(NamedTuple):
    """An answer on marathon-lb's own port."""

    status: int
    text: str
    content_type: str = "text/plain"


class Asked(Protocol):
    """What a balancer tells of itself."""

    def config_text(self) -> str: ...
    def vhost_map(self) -> dict[str, str]: ...
    def app_map(self) -> dict[str, str]: ...
    async def pids(self) -> list[int]: ...
    def reread(self) -> None: ...


async def page(path: str, balancer: Asked) -> Page | None:
    """The page at this path; None when there is none."""
    make = _PAGES.get(path.partition("?")[0])
    return None if make is None else await make(balancer)


async def _config(balancer: Asked) -> Page:
    return Page(200, balancer.config_text())


async def _vhosts(balancer: Asked) -> Page:
    return Page(200, _lines(balancer.vhost_map()))


async def _apps(balancer: Asked) -> Page:
    return Page(200, _lines(balancer.app_map()))


async def _pids(balancer: Asked) -> Page:
    return Page(200, " ".join(map(str, await balancer.pids())))


async def _hup(balancer: Asked) -> Page:
    balancer.reread()
    return Page(200, "Sent SIGHUP signal to marathon-lb")


async def _usr1(balancer: Asked) -> Page:
    balancer.reread()
    return Page(200, "Sent SIGUSR1 signal to marathon-lb")


async def _health(balancer: Asked) -> Page:
    return Page(200, "<html><body><h1>200 OK</h1>\nService ready.\n</body></html>\n", "text/html")


def _lines(table: dict[str, str]) -> str:
    return "".join(f"{key} {value}\n" for key, value in table.items())


_PAGES: dict[str, Callable[[Asked], Awaitable[Page]]] = {
    "/_haproxy_health_check": _health,
    "/_haproxy_getconfig": _config,
    "/_haproxy_getvhostmap": _vhosts,
    "/_haproxy_getappmap": _apps,
    "/_haproxy_getpids": _pids,
    "/_mlb_signal/hup": _hup,
    "/_mlb_signal/usr1": _usr1,
}
