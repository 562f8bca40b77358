"""FIDELITY.md names every route and call that there is, and no other; what is named as missing says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import labkit.embedded.marathon
from labkit.embedded.marathon.api.server import ROUTES as MARATHON
from labkit.embedded.marathon.core.options import VERSION as MARATHON_VERSION
from labkit.embedded.marathon.discovery.mesosdns.config import VERSION as DNS_VERSION
from labkit.embedded.mesos.agent.api import operator as agent_calls
from labkit.embedded.mesos.agent.api import server as agent
from labkit.embedded.mesos.api import operator, server
from labkit.embedded.mesos.master import calls
from labkit.embedded.mesos.version import VERSION as MESOS_VERSION
from labkit.embedded.zookeeper.ensemble import VERSION as ZOOKEEPER_VERSION

PAGE = (Path(labkit.embedded.marathon.__file__).parent / "FIDELITY.md").read_text()


def section(heading: str) -> str:
    return PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def named(heading: str, pattern: str) -> set[str]:
    lines = [line for line in section(heading).splitlines() if not line.startswith("Also")]
    return {name for name in re.findall(r"`([^`]+)`", "\n".join(lines)) if re.fullmatch(pattern, name)}


CALL, PATH = r"[A-Z_]+", r"/\S*"


def plain(pattern: str) -> str:
    """A route of Marathon's as the page writes it."""
    pattern = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", pattern)
    return re.sub(r"\(\?:.*\)", "", pattern).replace("/?", "") or "/"


ABSENT = {path for path, handler in server.ROUTES.items() if handler is server._absent}


def test_the_master() -> None:
    assert named("Master", PATH) == set(server.ROUTES) - ABSENT
    assert named("Operator calls", CALL) == {"SUBSCRIBE", *operator.CALLS}
    assert named("Scheduler calls", CALL) == {"SUBSCRIBE", *calls._HANDLERS}


def test_the_agent() -> None:
    assert named("Agent", PATH) == {path.removesuffix(".json") for path in agent._ROUTES}
    assert named("Agent calls", CALL) == set(agent_calls._CALLS)


def test_marathon() -> None:
    there = {f"{method} {plain(pattern)}" for method, pattern, _ in MARATHON if "pods" not in pattern}
    assert named("Marathon", r"[A-Z]+ /\S*") == {*there, "GET /ping"}


def test_what_is_missing_is_named_as_missing() -> None:
    assert named("Not there", PATH) == {*ABSENT, "/v2/pods"}
    assert named("Not there", CALL) == set(operator.ABSENT)


def test_the_versions_are_told() -> None:
    for version in (MESOS_VERSION, MARATHON_VERSION, ZOOKEEPER_VERSION, DNS_VERSION):
        assert f"**{version}**" in PAGE


@pytest.mark.parametrize("heading", ["Faithful", "Simplified", "Not there"])
def test_the_page_has_its_parts(heading: str) -> None:
    assert section(heading).strip()
