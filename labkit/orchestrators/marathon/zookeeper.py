"""How the members of a ZooKeeper ensemble are: by ``srvr``, the only four-letter word that is allowed by default."""

from __future__ import annotations

import socket

WAIT = 1.0  # seconds for a member's answer
PORT = 2181


def members(zk: str) -> list[str]:
    """ "zk://user:pw@10.0.0.1:2181,10.0.0.2/mesos" → ["10.0.0.1:2181", "10.0.0.2:2181"]."""
    hosts = zk.removeprefix("zk://").partition("/")[0].rpartition("@")[2]
    return [_with_port(host.strip()) for host in hosts.split(",") if host.strip()]


def _with_port(host: str) -> str:
    return host if ":" in host else f"{host}:{PORT}"


def ask(member: str, wait: float = WAIT) -> str:
    """ "leader" | "follower" | "observer" | "standalone"; "no quorum" (serves nobody), "down", "" (not known here).

    A name that only the cluster's own network knows says nothing about the member.
    """
    host, _, port = member.rpartition(":")
    try:
        address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0][4]
    except (OSError, ValueError):
        return ""
    try:
        with socket.create_connection((str(address[0]), int(address[1])), wait) as connection:
            connection.settimeout(wait)
            connection.sendall(b"srvr")
            return read(_all(connection))
    except OSError:
        return "down"


def _all(connection: socket.socket) -> str:
    found = b""
    while len(found) < 16_384 and (piece := connection.recv(4096)):
        found += piece
    return found.decode("utf-8", "replace")


def read(answer: str) -> str:
    """The mode in an answer to ``srvr``."""
    for line in answer.splitlines():
        word, _, value = line.partition(":")
        if word.strip() == "Mode":
            return value.strip()
    return "no quorum" if "not currently serving requests" in answer else "down"
