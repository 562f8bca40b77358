"""A small HTTP/1.1 client for programs in containers: it connects as the container does, never as this computer."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from labkit.embedded.runtime.namespaces import Namespace

MAX_BODY = 8 * 1024 * 1024
MAX_HEADERS = 100


class BadUrl(ValueError):
    """Not a URL of a scheme that the program speaks."""


class NoTls(Exception):
    """The two could not agree on TLS: the other side does not speak it, or its certificate is not trusted."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class BadAnswer(OSError):
    """The server does not speak HTTP, or hung up in the middle."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    reason: str
    version: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


@dataclass(frozen=True, slots=True)
class Url:
    host: str
    port: int
    path: str
    tls: bool = False

    @property
    def netloc(self) -> str:
        return self.host if self.port == (443 if self.tls else 80) else f"{self.host}:{self.port}"

    @property
    def base(self) -> str:
        """Scheme and host, before the path."""
        return f"http{'s' if self.tls else ''}://{self.netloc}"


def parse_url(text: str, *, tls: bool = False) -> Url:
    """Read ``http://host:port/path``; without a scheme http is meant, as wget does. ``tls``: https is spoken, too."""
    parts = urlsplit(text if "://" in text else f"http://{text}")
    secure = tls and parts.scheme == "https"
    if parts.scheme != "http" and not secure:
        raise BadUrl(f"not an http or ftp url: {text}")
    try:
        port = parts.port or (443 if secure else 80)
    except ValueError:
        raise BadUrl(f"bad port in {text}") from None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not parts.hostname or any(char in path for char in " \r\n"):
        raise BadUrl(f"bad url: {text}")
    return Url(parts.hostname, port, path, secure)


async def request(
    ns: Namespace,
    url: Url,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    timeout: float | None = None,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """One request on a connection of its own. OSError of many kinds, TimeoutError, :class:`BadAnswer`.

    A URL that asks for TLS needs ``tls``, which says whom to trust; :class:`NoTls` when they cannot agree.
    """
    async with ns.clock.timeout(timeout):
        reader, writer = await ns.connect(url.host, url.port, timeout=None)
        try:
            if url.tls:
                assert tls is not None
                await _secured(writer, url, tls)
            sent = {"Host": url.netloc, "User-Agent": "Wget", "Connection": "close", **(headers or {})}
            if body:
                sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
                sent["Content-Length"] = str(len(body))
            head = f"{method} {url.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent.items())
            writer.write(head.encode("latin-1", "replace") + b"\r\n" + body)
            return await _answer(reader, method)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            raise BadAnswer("error getting response") from None
        finally:
            writer.close()


async def _secured(writer: asyncio.StreamWriter, url: Url, tls: ssl.SSLContext) -> None:
    try:
        await writer.start_tls(tls, server_hostname=url.host)
    except OSError as error:  # SSLError is one
        raise NoTls(error) from None


async def _answer(reader: asyncio.StreamReader, method: str) -> Answer:
    version, _, rest = (await reader.readline()).decode("latin-1").strip().partition(" ")
    code, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/") or not code.isdigit():
        raise BadAnswer("error getting response")
    headers: list[tuple[str, str]] = []
    while (line := (await reader.readline()).decode("latin-1").strip()) and len(headers) < MAX_HEADERS:
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    found = {name.lower(): value for name, value in headers}
    if method == "HEAD" or code in ("204", "304"):
        body = b""
    elif found.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    elif found.get("content-length", "").isdigit():
        body = await reader.readexactly(min(int(found["content-length"]), MAX_BODY))
    else:
        body = await _until_end(reader)
    return Answer(int(code), reason, version, headers, body)


async def _until_end(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while len(body) < MAX_BODY and (data := await reader.read(65536)):
        body += data
    return bytes(body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while len(body) < MAX_BODY:
        size = int((await reader.readline()).split(b";")[0].strip() or b"0", 16)
        if size == 0:
            break
        body += await reader.readexactly(min(size, MAX_BODY))
        await reader.readline()
    return bytes(body)
