"""Four-letter words: ``echo srvr | nc master-1 2181``. All are answered; a real 3.8 answers only ``srvr`` until
``4lw.commands.whitelist`` names more. Layout and names are those of ``org.apache.zookeeper.server.command``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from labkit.embedded.zookeeper.serving import Connection

if TYPE_CHECKING:
    from labkit.embedded.zookeeper.member import Member

_NOT_SERVING = "This ZooKeeper instance is not currently serving requests"
_BUILT = "3.8.0-5a02a05eddb59aee6ac762f7ea82e92a68eb9c0f, built on 2022-02-25 08:49 UTC"


def answer(member: Member, word: str, peer: str) -> str | None:
    """What the member says, None for what is no word."""
    entry = _WORDS.get(word)
    if entry is None:
        return f"{word} is not executed because it is not in the whitelist.\n" if word in _UNKNOWN else None
    needs_service, say = entry
    if needs_service and not member.serving:
        return _NOT_SERVING + "\n"
    return say(member, peer)


def _mode(member: Member) -> str:
    if len(member.ensemble.machines) == 1:
        return "standalone"
    return {"leading": "leader", "following": "follower"}[member.mode]


def _latency(member: Member) -> tuple[int, float, int]:
    totals = member.totals
    average = totals.latency_sum / totals.answers if totals.answers else 0.0
    return round((totals.latency_min or 0) * 1000), round(average * 1000, 4), round(totals.latency_max * 1000)


def _nodes(member: Member) -> int:
    return len(member.tree.nodes) + 1  # the real one has its root under two names


def _connections(member: Member) -> list[Connection]:
    return list(member.clients.connections.values())


def _server(member: Member) -> str:
    low, average, high = _latency(member)
    lines = [
        f"Latency min/avg/max: {low}/{average}/{high}",
        f"Received: {member.totals.received}",
        f"Sent: {member.totals.sent}",
        f"Connections: {len(member.clients.connections)}",
        f"Outstanding: {sum(c.outstanding for c in _connections(member))}",
        f"Zxid: {member.tree.zxid:#x}",
        f"Mode: {_mode(member)}",
        f"Node count: {_nodes(member)}",
    ]
    if _mode(member) == "leader":
        lines.append("Proposal sizes last/min/max: -1/-1/-1")
    return "\n".join(lines) + "\n"


def _srvr(member: Member, peer: str) -> str:
    return f"Zookeeper version: {_BUILT}\n" + _server(member)


def _clients(member: Member, peer: str, line: Callable[[Connection], str]) -> str:
    said = [f" /{c.peer}[1]({line(c)})\n" for c in _connections(member)]
    return "".join(said) + f" /{peer}[0](queued=0,recved=1,sent=0)\n"


def _stat(member: Member, peer: str) -> str:
    def line(c: Connection) -> str:
        return f"queued={c.outstanding},recved={c.counts.received},sent={c.counts.sent}"

    return f"Zookeeper version: {_BUILT}\nClients:\n" + _clients(member, peer, line) + "\n" + _server(member)


def _cons(member: Member, peer: str) -> str:
    def line(c: Connection) -> str:
        counts = c.counts
        average = counts.latency_sum / counts.answers if counts.answers else 0.0
        operation = "SESS" if c.last_op == "NA" else c.last_op
        return (
            f"queued={c.outstanding},recved={counts.received},sent={counts.sent},sid={c.session:#x},lop={operation},"
            f"est={int(c.since * 1000)},to={c.timeout},lcxid={c.last_number:#x},lzxid={c.last_zxid & (1 << 64) - 1:#x},"
            f"lresp={int(c.last_heard * 1000)},llat={int(c.last_latency * 1000)},"
            f"minlat={round((counts.latency_min or 0) * 1000)},avglat={int(average * 1000)},"
            f"maxlat={round(counts.latency_max * 1000)}"
        )

    return _clients(member, peer, line) + "\n"


def _mntr(member: Member, peer: str) -> str:
    low, average, high = _latency(member)
    mode, tree = _mode(member), member.tree
    peers = {"leader": "leading - broadcast", "follower": "following - broadcast"}
    rows: dict[str, object] = {
        "version": _BUILT,
        "server_state": mode,
        **({"peer_state": peers[mode]} if mode in peers else {}),
        "ephemerals_count": sum(len(held) for held in tree.ephemerals.values()),
        "num_alive_connections": len(member.clients.connections),
        "avg_latency": average,
        "outstanding_requests": sum(c.outstanding for c in _connections(member)),
        "znode_count": _nodes(member),
        "global_sessions": len(tree.sessions),
        "packets_sent": member.totals.sent,
        "packets_received": member.totals.received,
        "watch_count": member.clients.watches.count,
        "min_latency": low,
        "approximate_data_size": tree.size,
        "local_sessions": 0,
        "uptime": int((member.clock.time() - member.started) * 1000),
        "max_latency": high,
    }
    if mode != "standalone":
        rows["quorum_size"] = len(member.ensemble.machines)
    if mode == "leader":
        others = [other for other in member.ensemble.members.values() if other is not member]
        following = sum(other.mode == "following" for other in others)
        rows |= {
            "learners": following,
            "synced_followers": following,
            "synced_observers": 0,
            "pending_syncs": 0,
        }
    return "".join(f"zk_{name}\t{value}\n" for name, value in rows.items())


def _conf(member: Member, peer: str) -> str:
    ensemble = member.ensemble
    tick = int(ensemble.tick * 1000)
    rows = {
        "clientPort": member.port,
        "secureClientPort": -1,
        "dataDir": "/var/lib/zookeeper/version-2",
        "dataDirSize": member.tree.size,
        "dataLogDir": "/var/lib/zookeeper/version-2",
        "dataLogSize": member.tree.size,
        "tickTime": tick,
        "maxClientCnxns": 60,
        "minSessionTimeout": 2 * tick,
        "maxSessionTimeout": 20 * tick,
        "clientPortListenBacklog": -1,
        "serverId": member.id if len(ensemble.machines) > 1 else 0,
    }
    said = "".join(f"{name}={value}\n" for name, value in rows.items())
    if len(ensemble.machines) > 1:
        said += "initLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=3888\nquorumPort=2888\npeerType=0\n"
        said += f"membership: \n{ensemble.config()}"
    return said


def _envi(member: Member, peer: str) -> str:
    return (
        f"Environment:\nzookeeper.version={_BUILT}\nhost.name={member.machine}\njava.version=none\n"
        "java.vendor=none: this is an embedded ZooKeeper\nos.name=Linux\nos.arch=amd64\nuser.name=zookeeper\n"
    )


def _wchs(member: Member, peer: str) -> str:
    watches = member.clients.watches
    return (
        f"{len(watches.by_watcher())} connections watching {len(watches.by_path())} paths\n"
        f"Total watches:{sum(len(watchers) for watchers in watches.by_path().values())}\n"
    )


def _wchc(member: Member, peer: str) -> str:
    found = member.clients.watches.by_watcher().items()
    return "".join(f"{c.session:#x}\n" + "".join(f"\t{path}\n" for path in seen) for c, seen in found) + "\n"


def _wchp(member: Member, peer: str) -> str:
    found = member.clients.watches.by_path().items()
    return "".join(f"{path}\n" + "".join(f"\t{c.session:#x}\n" for c in seen) for path, seen in found) + "\n"


def _dump(member: Member, peer: str) -> str:
    tree = member.tree
    said = f"SessionTracker dump:\nGlobal Sessions({len(tree.sessions)}):\n"
    said += "".join(f"{record.id:#x}\t{record.timeout}ms\n" for record in tree.sessions.values())
    said += f"ephemeral nodes dump:\nSessions with Ephemerals ({len(tree.ephemerals)}):\n"
    for owner, held in tree.ephemerals.items():
        said += f"{owner:#x}:\n" + "".join(f"\t{path}\n" for path in sorted(held))
    connected = len(member.clients.connections)
    said += f"Connections dump:\nConnections Sets ({1 if connected else 0})/({connected}):\n"
    now = time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(member.clock.time()))
    said += f"{connected} expire after {now}:\n" if connected else ""
    return said + "".join(f"\tip: /{c.peer} sessionId: {c.session:#x}\n" for c in _connections(member))


def _srst(member: Member, peer: str) -> str:
    member.totals = type(member.totals)()
    return "Server stats reset.\n"


def _crst(member: Member, peer: str) -> str:
    for connection in _connections(member):
        connection.counts = type(connection.counts)()
    return "Connection stats reset.\n"


_WORDS: dict[str, tuple[bool, Callable[[Member, str], str]]] = {
    "ruok": (False, lambda member, peer: "imok"),
    "srvr": (True, _srvr),
    "stat": (True, _stat),
    "mntr": (True, _mntr),
    "conf": (True, _conf),
    "cons": (True, _cons),
    "envi": (False, _envi),
    "isro": (False, lambda member, peer: "rw" if member.serving else "null"),
    "wchs": (True, _wchs),
    "wchc": (True, _wchc),
    "wchp": (True, _wchp),
    "dump": (True, _dump),
    "srst": (True, _srst),
    "crst": (True, _crst),
}
_UNKNOWN = ("dirs", "hash", "lead", "gtmk", "stmk", "icfg", "orst")
