"""``pods/NAME/proxy/…`` and ``services/NAME/proxy/…``: HTTP through the API server to a pod.

A name may carry more: ``https:web:8080`` is scheme, name and port. Answers go back as they come; links in pages are not
rewritten, and no other protocol can be upgraded to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpResponseParser, RawResponseMessage
from aiohttp.streams import StreamReader

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.apiserver.answers import Answer
from labkit.embedded.kubernetes.apiserver.calls import Call
from labkit.embedded.kubernetes.apiserver.watching import Stream
from labkit.embedded.kubernetes.errors import BadRequest, NotFound, ServiceUnavailable
from labkit.embedded.kubernetes.objects import Json, spec_of

PIECE = 64 * 1024
_HOPS = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
     "upgrade", "host", "authorization", "content-length", "expect")
)  # fmt: skip


async def serve(call: Call) -> Any:
    """Answer any method below ``proxy``."""
    target = call.target
    assert target is not None
    # /api/v1/namespaces/NAMESPACE/pods/NAME/proxy/REST, where clients may have escaped the colons in NAME
    parts = call.path.split("/", 8)
    if len(parts) < 9:  # so that relative links of the page lead somewhere
        where = f"{'/'.join(parts[:6])}/{target.name}/proxy/"
        return Answer(301, b"", "text/html; charset=utf-8", (("Location", where),))
    rest = f"/{parts[8]}"
    scheme, name, port = _parts(target.name)
    if scheme not in ("", "http"):
        raise BadRequest(f"a sandbox's pods are reached by http only, not {scheme}")
    if call.kind is kinds.PODS:
        pod = call.server.nodes.pod(target.namespace, name)
        number = int(port) if port.isdigit() else _first_port(pod, port)
    else:
        pod, number = _endpoint(call, target.namespace, name, port)
    _, query = (call.raw.raw_path.partition("?"))[::2]
    return await _forward(call, pod, number, f"{rest}?{query}" if query else rest)


def _parts(text: str) -> tuple[str, str, str]:
    """Scheme, name and port."""
    parts = text.split(":")
    if len(parts) == 1:
        return "", text, ""
    if len(parts) == 2:
        return "", parts[0], parts[1]
    if len(parts) == 3:
        return parts[0], parts[1], parts[2]
    raise BadRequest(f"invalid pod request {text!r}")


def _first_port(pod: Json, name: str) -> int:
    """The named container port; without a name the first one that any container declares, or 80."""
    for container in spec_of(pod).get("containers") or ():
        for port in container.get("ports") or ():
            if not name or port.get("name") == name:
                return int(port["containerPort"])
    if name:
        raise BadRequest(f'invalid port "{name}"')
    return 80


def _endpoint(call: Call, namespace: str, name: str, port: str) -> tuple[Json, int]:
    """A ready pod of a Service, and its port. Raises ServiceUnavailable."""
    registry = call.server.registry
    service = registry.get(kinds.SERVICES, namespace, name)
    ports = spec_of(service).get("ports") or []
    wanted = [one for one in ports if port in ("", one.get("name"), str(one["port"]))]
    if not wanted or (not port and len(ports) > 1):
        raise ServiceUnavailable(f'no service port "{port}" found for service "{name}"')
    slices = registry.list(kinds.ENDPOINT_SLICES, namespace, labels=f"kubernetes.io/service-name={name}")
    for found in slices:
        numbers = [
            one["port"] for one in found.get("ports") or () if (one.get("name") or "") == (wanted[0].get("name") or "")
        ]
        for endpoint in found.get("endpoints") or ():
            reference = endpoint.get("targetRef") or {}
            if (
                numbers
                and reference.get("kind") == "Pod"
                and (endpoint.get("conditions") or {}).get("ready") is not False
            ):
                try:
                    return registry.get(kinds.PODS, namespace, reference["name"]), int(numbers[0])
                except NotFound:
                    continue
    raise ServiceUnavailable(f'no endpoints available for service "{name}"')


class Unreached(ServiceUnavailable):
    def __init__(self, pod: Json, port: int, words: str) -> None:
        ip = (pod.get("status") or {}).get("podIP") or ""
        how = "" if words == "i/o timeout" else "connect: "
        super().__init__(f"error trying to reach service: dial tcp {ip}:{port}: {how}{words}")


async def _forward(call: Call, pod: Json, port: int, path: str) -> Any:
    raw = call.raw
    try:
        reader, writer = await call.server.nodes.connect(pod, port)
    except TimeoutError:
        raise Unreached(pod, port, "i/o timeout") from None
    except OSError as error:
        raise Unreached(pod, port, (error.strerror or str(error)).lower()) from None
    try:
        writer.write(_head(raw, path, f"{(pod.get('status') or {}).get('podIP', '')}:{port}"))
        if raw.body_exists:
            async for chunk in raw.content.iter_chunked(PIECE):
                writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        return await _relay(raw, reader)
    except (ConnectionError, EOFError) as error:
        raise Unreached(pod, port, str(error).lower() or "connection reset by peer") from None
    finally:
        writer.close()


def _head(raw: web.BaseRequest, path: str, host: str) -> bytes:
    lines = [f"{raw.method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in raw.headers.items() if name.lower() not in _HOPS]
    lines.append(f"X-Forwarded-For: {raw.remote or '127.0.0.1'}")
    if raw.body_exists:
        lines.append("Transfer-Encoding: chunked")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


async def _relay(raw: web.BaseRequest, reader: asyncio.StreamReader) -> web.StreamResponse:
    """Read the pod's answer and pass it on. Raises ConnectionError, EOFError."""
    loop = asyncio.get_running_loop()
    parser = HttpResponseParser(
        BaseProtocol(loop),
        loop,
        PIECE,
        read_until_eof=True,
        auto_decompress=False,
        response_with_body=raw.method != "HEAD",
    )
    message: RawResponseMessage | None = None
    payload: StreamReader | None = None
    while message is None:
        data = await reader.read(PIECE)
        if not data:
            raise EOFError("EOF")
        messages, _, _ = parser.feed_data(data)
        for found, body in messages:
            if found.code >= 200:
                message, payload = found, body
    headers = [(name, value) for name, value in message.headers.items() if name.lower() not in _HOPS | {"content-type"}]
    stream = Stream(message.headers.get("Content-Type", ""), message.code, message.reason, headers)
    await stream.begin(raw)
    assert payload is not None
    async for chunk in _body(reader, parser, payload):
        stream.send(chunk)
        await stream.drain()
    await stream.end()
    return stream


async def _body(reader: asyncio.StreamReader, parser: Any, payload: StreamReader) -> AsyncIterator[bytes]:
    while True:
        if data := payload.read_nowait():
            yield data
        if payload.is_eof():
            if data := payload.read_nowait():
                yield data
            return
        data = await reader.read(PIECE)
        if data:
            parser.feed_data(data)
        else:
            parser.feed_eof()
            if not payload.is_eof():
                payload.feed_eof()
