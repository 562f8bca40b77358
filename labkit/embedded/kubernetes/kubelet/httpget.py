"""One HTTP request from a machine to a pod, for probes and hooks: as Go's client, with Go's complaints."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from labkit.embedded.kubernetes.kubelet.tlsclient import PlainHttp, TlsFailed, secured
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.machines import Machine
from labkit.embedded.runtime.network import Network

MAX_BODY = 10 * 1024
MAX_HEADERS = 100


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    location: str
    body: bytes


class GetFailed(Exception):
    """No answer; ``str()`` is in the words of Go's ``net/http``. ``plain``: there was one, in plain HTTP."""

    def __init__(self, words: str, *, plain: bool = False) -> None:
        super().__init__(words)
        self.plain = plain


def port_of(container: Json, given: int | str) -> int:
    """A number, or the name of one of the container's ports. Raises ValueError in the kubelet's words."""
    if isinstance(given, int):
        return given
    for port in container.get("ports") or ():
        if port.get("name") == given:
            return int(port["containerPort"])
    if str(given).isdigit():
        return int(given)
    raise ValueError(f"couldn't find port: {given}" if given else "port is empty")


async def get(
    clock: Clock,
    network: Network,
    machine: Machine,
    action: Json,
    ip: str,
    port: int,
    timeout: float | None,
    agent: str,
) -> Answer:
    """Do an ``httpGet`` action. Raises :class:`GetFailed`."""
    scheme, host = str(action.get("scheme") or "HTTP").lower(), action.get("host") or ip
    path = action.get("path") or "/"
    path = path if path.startswith("/") else f"/{path}"
    url = f"{scheme}://{host}:{port}{path}"
    try:
        async with clock.timeout(timeout):
            reader, writer = await network.connect(machine.name, host, port, timeout=None)
            try:
                if scheme != "https":
                    return await _ask(reader, writer, action, host, port, path, agent)
                async with secured(reader, writer, host) as tls:
                    return await _ask(tls.reader, tls, action, host, port, path, agent)
            finally:
                writer.close()
    except TlsFailed as error:
        raise GetFailed(f'Get "{url}": {error}', plain=isinstance(error, PlainHttp)) from None
    except TimeoutError:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        raise GetFailed(f'Get "{url}": {why}') from None
    except ConnectionRefusedError:
        raise GetFailed(f'Get "{url}": dial tcp {host}:{port}: connect: connection refused') from None
    except (ConnectionError, EOFError, ValueError):
        raise GetFailed(f'Get "{url}": EOF') from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise GetFailed(f'Get "{url}": dial tcp {host}:{port}: connect: {why}') from None


class _Writer(Protocol):
    def write(self, data: bytes) -> object: ...


async def _ask(
    reader: asyncio.StreamReader, writer: _Writer, action: Json, ip: str, port: int, path: str, agent: str
) -> Answer:
    headers = {"Host": f"{ip}:{port}", "User-Agent": agent, "Accept": "*/*", "Connection": "close"}
    headers |= {one["name"]: one["value"] for one in action.get("httpHeaders") or ()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1", "replace"))
    first = (await reader.readline()).split(None, 2)
    if len(first) < 2 or not first[0].startswith(b"HTTP/"):
        raise ValueError(first)
    location = ""
    for _ in range(MAX_HEADERS):
        name, _, value = (await reader.readline()).decode("latin-1").partition(":")
        if not name.strip():
            break
        if name.lower() == "location":
            location = value.strip()
    return Answer(int(first[1]), location, await reader.read(MAX_BODY))
