"""Placement constraints, by table."""

from __future__ import annotations

import pytest
from support.fakeswarm import a_node

from labkit.embedded.swarm.leader.constraint import InvalidConstraint, node_matches, parse

NODE = a_node(
    "abc",
    hostname="Worker-1",
    role="worker",
    labels={"zone": "East", "Disk": "ssd"},
    engine_labels={"storage": "fast"},
    addr="127.18.0.12",
)


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("node.id == abc", True),
        ("node.id==ABC", True),
        ("node.id != abc", False),
        ("node.hostname == worker-1", True),
        ("NODE.Hostname == worker-1", True),
        ("node.hostname == worker-*", False),  # no patterns
        ("node.role == worker", True),
        ("node.role == manager", False),
        ("node.role != manager", True),
        ("node.ip == 127.18.0.12", True),
        ("node.ip != 127.18.0.12", False),
        ("node.ip == 127.18.0.0/16", True),
        ("node.ip != 10.0.0.0/8", True),
        ("node.ip != nonsense", False),
        ("node.platform.os == Linux", True),
        ("node.platform.arch == x86_64", True),
        ("node.platform.arch == aarch64", False),
        ("node.labels.zone == east", True),
        ("node.labels.zone != west", True),
        ("node.labels.disk == ssd", False),  # a label's name is case-sensitive
        ("node.labels.Disk == SSD", True),
        ("node.labels.none == x", False),
        ("node.labels.none != x", True),
        ("engine.labels.storage == fast", True),
        ("engine.labels.storage != fast", False),
        ("node.colour == red", False),  # unknown keys are satisfied by nobody
        ("node.colour != red", False),
    ],
)
def test_expressions(expression: str, holds: bool) -> None:
    assert node_matches(parse([expression]), NODE) is holds


def test_all_must_hold() -> None:
    assert node_matches(parse(["node.role == worker", "node.labels.zone == east"]), NODE)
    assert not node_matches(parse(["node.role == worker", "node.labels.zone == west"]), NODE)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("node.role = manager", "constraint expected one operator from ==, !="),
        ("node.role", "constraint expected one operator from ==, !="),
        ("1role == x", "key '1role' is invalid"),
        ("== x", "key '' is invalid"),
        ("node.role == ", "value '' is invalid"),
        ("node.role == a~b", "value 'a~b' is invalid"),
    ],
)
def test_what_cannot_be_read(expression: str, words: str) -> None:
    with pytest.raises(InvalidConstraint) as caught:
        parse([expression])
    assert str(caught.value) == words


def test_a_node_without_description() -> None:
    node = a_node("n", labels={})
    bare = type(node)(id="n", role="worker")
    assert not node_matches(parse(["node.hostname == x"]), bare)
    assert node_matches(parse(["node.hostname != x", "node.platform.os != linux", "engine.labels.a != b"]), bare)
