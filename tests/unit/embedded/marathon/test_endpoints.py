from __future__ import annotations

from typing import Any

from labkit.embedded.marathon.credentials import Credentials
from labkit.embedded.marathon.endpoints import Endpoints
from labkit.embedded.runtime.machines import Machine


class Places:
    """A network on which some ports are elsewhere."""

    def __init__(self, **elsewhere: int) -> None:
        self._elsewhere = {key: ("127.0.0.1", port) for key, port in elsewhere.items()}

    def real(self, ip: str, port: int) -> tuple[str, int] | None:
        return self._elsewhere.get(f"p{port}")


MASTERS = [Machine(f"master-{n}", f"127.9.0.{9 + n}") for n in (1, 2, 3)]
AGENT = Machine("agent-1", "127.9.0.13")


def endpoints(**elsewhere: int) -> Endpoints:
    network: Any = Places(**elsewhere)
    return Endpoints(network, Credentials("labkit", "pw"), MASTERS, MASTERS[:2])


def test_what_is_shown_has_no_password() -> None:
    assert endpoints().shown() == {
        "marathon": ["http://127.9.0.10:8080", "http://127.9.0.11:8080"],
        "mesos": [f"http://127.9.0.{10 + n}:5050" for n in range(3)],
        "zookeeper": "127.9.0.10:2181,127.9.0.11:2181,127.9.0.12:2181",
        "dns": "127.9.0.10:53",
        "mesos-dns": "http://127.9.0.10:8123",
        "lb": "http://127.9.0.10:9090",
        "batch": "http://127.9.0.12:8088",
    }


def test_each_machine_leads_to_its_own() -> None:
    made = endpoints()
    assert made.environment()["MARATHON_URL"] == "http://labkit:pw@127.9.0.10:8080"
    second, third, agent = (made.environment(one) for one in (*MASTERS[1:], AGENT))
    assert second["MARATHON_URL"] == "http://labkit:pw@127.9.0.11:8080"
    assert third["MARATHON_URL"] == "http://labkit:pw@127.9.0.10:8080"
    assert third["MESOS_URL"] == "http://labkit:pw@127.9.0.12:5050"
    assert agent == made.environment()


def test_where_ports_had_to_move() -> None:
    made = endpoints(p8080=40000, p8053=40001)
    assert made.environment()["MARATHON_URL"] == "http://labkit:pw@127.0.0.1:40000"
    assert made.shown()["dns"] == "127.0.0.1:40001"
