"""What is written in ZooKeeper, read over its own protocol: enough of a client to look, and no more.

Mesos and Marathon keep almost nothing there: who leads, and (Marathon) its apps. A program that writes, or watches,
takes kazoo; this one is for looking, where kazoo may not be installed.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from labkit.errors import ClusterError, NotFound

WAIT = 2.0  # seconds for a member's answer
_SESSION = 4000  # ms that the session is asked for; it is closed at the end of the look

# Operations and errors of the protocol (zookeeper.jute, KeeperException.Code).
_GET_DATA, _GET_CHILDREN, _CLOSE = 4, 12, -11
_NO_NODE, _NO_AUTH = -101, -102
_STAT = struct.Struct(">qqqqiiiqiiq")


@dataclass(frozen=True, slots=True)
class Znode:
    """A node of ZooKeeper's tree.

    ``owner`` is the session that an *ephemeral* node belongs to, in hexadecimal as ``cons`` shows it: the node goes
    when that session ends. "" for a node that lasts.
    """

    path: str
    data: bytes
    children: tuple[str, ...]
    owner: str = ""


def look(members: str | Iterable[str], path: str = "/", wait: float = WAIT) -> Znode:
    """The znode at a path, asked of the first member that serves.

    >>> look(marathon.env["ZOOKEEPER"], "/mesos").children                               # doctest: +SKIP

    Args:
        members: ``"host:port,host:port"`` or a list of such.

    Raises NotFound when there is no such znode, ClusterError when no member serves requests (none is up, or they have
    no quorum).
    """
    told = members.split(",") if isinstance(members, str) else list(members)
    for member in filter(None, (one.strip() for one in told)):
        try:
            return _ask(member, path, wait)
        except (OSError, EOFError, struct.error):
            continue  # off, frozen, or it hangs up on everybody because it has no quorum
    raise ClusterError("no member of the ZooKeeper ensemble serves requests")


def _ask(member: str, path: str, wait: float) -> Znode:
    host, _, port = member.rpartition(":")
    with socket.create_connection((host, int(port)), wait) as connection:
        connection.settimeout(wait)
        # Protocol version, last zxid seen, timeout, session (none yet), its password, whether read-only will do.
        _send(connection, struct.pack(">iqiqi16s?", 0, 0, _SESSION, 0, 16, bytes(16), False))
        _receive(connection)
        children = _strings(_call(connection, 1, _GET_CHILDREN, path))
        found = _call(connection, 2, _GET_DATA, path)
        size = struct.unpack_from(">i", found)[0]
        data = found[4 : 4 + max(size, 0)]
        owner = _STAT.unpack_from(found, 4 + max(size, 0))[7]
        _send(connection, struct.pack(">ii", 3, _CLOSE))
        return Znode(path, data, tuple(sorted(children)), f"{owner:#x}" if owner else "")


def _call(connection: socket.socket, xid: int, operation: int, path: str) -> bytes:
    """The body of an answer, behind its header."""
    name = path.encode()
    _send(connection, struct.pack(f">iii{len(name)}s?", xid, operation, len(name), name, False))
    answer = _receive(connection)
    _, _, error = struct.unpack_from(">iqi", answer)
    if error == _NO_NODE:
        raise NotFound(f"ZooKeeper has no znode {path}")
    if error:
        why = "it may not be read without credentials" if error == _NO_AUTH else f"error {error}"
        raise ClusterError(f"ZooKeeper does not show {path}: {why}")
    return answer[16:]


def _strings(body: bytes) -> list[str]:
    count, at, found = struct.unpack_from(">i", body)[0], 4, []
    for _ in range(count):
        size = struct.unpack_from(">i", body, at)[0]
        found.append(body[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return found


def _send(connection: socket.socket, body: bytes) -> None:
    connection.sendall(struct.pack(">i", len(body)) + body)


def _receive(connection: socket.socket) -> bytes:
    return _exactly(connection, struct.unpack(">i", _exactly(connection, 4))[0])


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = connection.recv(size - len(found))
        if not piece:
            raise EOFError("the member hung up")
        found += piece
    return found
