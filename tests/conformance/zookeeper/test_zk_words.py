"""Four-letter words: the names they use and the numbers that must agree."""

from __future__ import annotations

import re

import pytest
from kazoo.client import KazooClient
from support.zookeepers import MEMBERS, Zoo, say


def rows(text: str, by: str) -> dict[str, str]:
    return dict(line.split(by, 1) for line in text.splitlines() if by in line)


def test_ruok_and_isro(zoo: Zoo) -> None:
    assert say(zoo.addresses[0], "ruok") == "imok"
    assert say(zoo.addresses[0], "isro") == "rw"


@pytest.mark.parametrize("member", range(MEMBERS))
def test_srvr(zoo: Zoo, member: int) -> None:
    said = say(zoo.addresses[member], "srvr")
    names = [line.split(":")[0] for line in said.splitlines()]
    mode = zoo.mode(member)
    expected = "Zookeeper version|Latency min/avg/max|Received|Sent|Connections|Outstanding|Zxid|Mode|Node count"
    assert names == [*expected.split("|"), *(["Proposal sizes last/min/max"] if mode == "leader" else [])]
    assert said.startswith("Zookeeper version: 3.8.0")
    latency = re.search(r"^Latency min/avg/max: (\d+)/(\d+\.\d+)/(\d+)$", said, re.M)
    assert latency
    low, average, high = map(float, latency.groups())
    assert low <= average <= high
    assert re.search(r"^Zxid: 0x[0-9a-f]+$", said, re.M)


def test_nodes_and_zxid_are_the_same_everywhere(zoo: Zoo, zk: KazooClient, root: str) -> None:
    before = int(rows(say(zoo.addresses[0], "mntr"), "\t")["zk_znode_count"])
    zxid = zk.create(f"{root}/a", include_data=True)[1].czxid
    after = [rows(say(address, "srvr"), ": ") for address in zoo.addresses]
    assert int(after[zoo.leader()]["Node count"]) == before + 1
    assert int(after[zoo.leader()]["Zxid"], 16) == zxid


def test_stat_lists_clients(zoo: Zoo, zk: KazooClient) -> None:
    said = "".join(say(address, "stat") for address in zoo.addresses)
    assert len(re.findall(r"^ /[\d.]+:\d+\[1\]\(queued=0,recved=\d+,sent=\d+\)$", said, re.M)) >= 1
    assert len(re.findall(r"^ /[\d.]+:\d+\[0\]\(queued=0,recved=1,sent=0\)$", said, re.M)) == MEMBERS


def test_cons_tells_of_the_session(zoo: Zoo, zk: KazooClient, root: str) -> None:
    assert zk.client_id is not None
    said = "".join(say(address, "cons") for address in zoo.addresses)
    mine = next(line for line in said.splitlines() if f"sid={zk.client_id[0]:#x}," in line)
    names = re.findall(r"(\w+)=", mine)
    assert " ".join(names) == "queued recved sent sid lop est to lcxid lzxid lresp llat minlat avglat maxlat"
    assert "lop=CREA" in mine
    assert "to=10000" in mine


def test_mntr(zoo: Zoo, zk: KazooClient) -> None:
    leader = zoo.leader()
    found = [rows(say(address, "mntr"), "\t") for address in zoo.addresses]
    for member, row in enumerate(found):
        assert row["zk_server_state"] == ("leader" if member == leader else "follower")
        assert row["zk_peer_state"] == ("leading - broadcast" if member == leader else "following - broadcast")
        assert row["zk_quorum_size"] == "3"
        for name in ("ephemerals_count", "num_alive_connections", "watch_count", "approximate_data_size", "uptime"):
            assert row[f"zk_{name}"].isdigit()
    assert float(found[leader]["zk_synced_followers"]) == 2
    assert float(found[leader]["zk_learners"]) == 2


def test_conf(zoo: Zoo) -> None:
    row = rows(say(zoo.addresses[1], "conf"), "=")
    assert row["tickTime"] == "2000"
    assert (row["minSessionTimeout"], row["maxSessionTimeout"]) == ("4000", "40000")
    assert row["serverId"] == "2"
    assert row["server.3"].endswith(":participant")


def test_watches_are_counted_where_they_are(zoo: Zoo, zk: KazooClient, root: str) -> None:
    zk.get(root, watch=lambda event: None)
    zk.get_children(root, watch=lambda event: None)  # the summary does not tell of these
    said = [say(address, "wchs") for address in zoo.addresses]
    assert sorted(text.splitlines()[0] for text in said)[-1] == "1 connections watching 1 paths"
    assert root in "".join(say(address, "wchp") for address in zoo.addresses)
    assert f"{zk.client_id[0]:#x}" in "".join(say(address, "wchc") for address in zoo.addresses)
