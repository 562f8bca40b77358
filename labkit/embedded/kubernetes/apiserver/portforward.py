"""``pods/portforward``: connections to ports of a pod, through the API server and the kubelet.

Three ways in: SPDY/3.1 on an upgraded connection (kubectl up to 1.30), the same inside a WebSocket
(``SPDY/3.1+portforward.k8s.io``, newer ones), and WebSocket channels with ``?ports=`` (the Python client).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

from aiohttp import web

from labkit.embedded.kubernetes.apiserver.answers import Taken
from labkit.embedded.kubernetes.apiserver.calls import Call
from labkit.embedded.kubernetes.apiserver.spdy import Mux, Stream
from labkit.embedded.kubernetes.apiserver.wires import (
    SocketWire,
    Wire,
    is_websocket,
    open_spdy,
    open_websocket,
    receive,
    require_upgrade,
    tokens,
)
from labkit.embedded.kubernetes.errors import BadRequest, StatusError
from labkit.embedded.kubernetes.objects import Json, spec_of, uid_of

PROTOCOL = "portforward.k8s.io"
TUNNEL = f"SPDY/3.1+{PROTOCOL}"
CHANNELS = ("v4.channel.k8s.io", "")
PIECE = 64 * 1024
MAX_PORTS = 64
PAIR_TIMEOUT = 30.0  # seconds of the wall clock between a connection's error stream and its data stream

Dial = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def serve(call: Call) -> web.StreamResponse:
    """Answer ``pods/NAME/portforward``."""
    target, server, raw = call.target, call.server, call.raw
    assert target is not None
    pod = server.nodes.pod(target.namespace, target.name)
    require_upgrade(raw)
    api = await server.nodes.of(pod)

    async def dial(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await api.dial(target.namespace, target.name, port)
        except (OSError, StatusError) as error:
            words = getattr(error, "strerror", None) or str(error)
            raise DialError(_refused(pod, port, words.lower())) from None

    if not is_websocket(raw):
        wire, _ = open_spdy(raw, (PROTOCOL,))
        await _tunnel(wire, dial)
        return Taken()
    if TUNNEL in tokens(raw, "Sec-WebSocket-Protocol"):
        socket = await open_websocket(raw, (TUNNEL,))
        await _tunnel(SocketWire(socket), dial)
        return socket
    ports = _ports(call)
    socket = await open_websocket(raw, CHANNELS)
    await _channels(socket, ports, dial)
    return socket


class DialError(Exception):
    """Nobody listens there; ``str()`` is what the client is told."""


def _refused(pod: Json, port: int, words: str) -> str:
    """What ``kubectl port-forward`` prints after ``an error occurred forwarding``: containerd's words."""
    sandbox = uid_of(pod).replace("-", "") * 2
    place = "host" if spec_of(pod).get("hostNetwork") else f"/var/run/netns/cni-{uid_of(pod)}"
    return (
        f"error forwarding port {port} to pod {sandbox}, uid : failed to execute portforward in network namespace "
        f'"{place}": failed to connect to localhost:{port} inside namespace "{sandbox}", '
        f"IPv4: dial tcp4 127.0.0.1:{port}: connect: {words} IPv6 dial tcp6: address localhost: no suitable address "
    )


def _ports(call: Call) -> list[int]:
    """``?ports=80,443``, or several of them. Raises BadRequest."""
    found = []
    for text in call.query.all("ports"):
        for word in text.split(","):
            if not word.isdigit() or not 0 < int(word) < 65536:
                raise BadRequest(f'unable to parse "{word}" as a port: strconv.ParseUint: parsing "{word}": '
                                 "invalid syntax")  # fmt: skip
            found.append(int(word))
    if not found:
        raise BadRequest('query parameter "port" is required')
    if len(found) > MAX_PORTS:
        raise BadRequest(f"no more than {MAX_PORTS} ports at once")
    return found


# -- SPDY: for each connection an error stream and a data stream with the same request id


async def _tunnel(wire: Wire, dial: Dial) -> None:
    mux = Mux(wire)
    reading = asyncio.ensure_future(mux.run())
    errors: dict[str, Stream] = {}
    tasks: set[asyncio.Task[None]] = set()
    try:
        while (stream := await mux.accept()) is not None:
            request = stream.headers.get("requestid", "")
            if stream.headers.get("streamtype") == "error":
                errors[request] = stream
                continue
            task = asyncio.ensure_future(_forward(stream, errors.pop(request, None), dial))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    finally:
        reading.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await mux.close()


async def _forward(stream: Stream, errors: Stream | None, dial: Dial) -> None:
    try:
        text = stream.headers.get("port", "")
        reader, writer = await dial(int(text) if text.isdigit() else 0)
    except DialError as error:
        if errors is not None:
            try:
                await errors.write(str(error).encode())
            except ConnectionError:
                pass
            await errors.end()
        await stream.end()
        return

    async def upstream() -> None:
        while data := await stream.read():
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    async def downstream() -> None:
        while data := await reader.read(PIECE):
            await stream.write(data)
        await stream.end()

    # A half-close stays one: the pod may still answer a client that has said all. But when the pod has said all, what
    # the client still sends goes nowhere.
    sending = asyncio.ensure_future(upstream())
    try:
        await downstream()
    except (ConnectionError, OSError):
        await stream.end()
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()
        if errors is not None:
            await errors.end()


# -- WebSocket channels: 2n carries the data of the n-th port, 2n+1 its errors; the first message of each is the port


async def _channels(socket: web.WebSocketResponse, ports: list[int], dial: Dial) -> None:
    writers: dict[int, asyncio.StreamWriter] = {}
    tasks: list[asyncio.Task[None]] = []
    for index, port in enumerate(ports):
        for channel in (2 * index, 2 * index + 1):
            await socket.send_bytes(bytes((channel,)) + struct.pack("<H", port))
    try:
        for index, port in enumerate(ports):
            try:
                reader, writer = await dial(port)
            except DialError as error:
                await socket.send_bytes(bytes((2 * index + 1,)) + str(error).encode())
                continue
            writers[2 * index] = writer
            tasks.append(asyncio.ensure_future(_deliver(socket, 2 * index, reader)))
        reading = asyncio.ensure_future(_collect(socket, writers))
        try:
            if tasks:
                # The connection ends with its last port, as the real one's does.
                ended = asyncio.ensure_future(asyncio.wait(tasks))
                await asyncio.wait({reading, ended}, return_when=asyncio.FIRST_COMPLETED)
                ended.cancel()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
    except ConnectionError:
        pass
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers.values():
            writer.close()
        await socket.close()


async def _deliver(socket: web.WebSocketResponse, channel: int, reader: asyncio.StreamReader) -> None:
    try:
        while data := await reader.read(PIECE):
            await socket.send_bytes(bytes((channel,)) + data)
    except (ConnectionError, OSError):
        pass


async def _collect(socket: web.WebSocketResponse, writers: dict[int, asyncio.StreamWriter]) -> None:
    try:
        while message := await receive(socket):
            writer = writers.get(message[0])
            if writer is not None:
                writer.write(message[1:])
                await writer.drain()
    except (ConnectionError, OSError):
        pass
