"""A master's state with what the tests ask about."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

AGENT = "5e7d-S0"


def task(name: str, number: int = 1, **more: Any) -> Json:
    return {
        "id": f"{name}.{number}",
        "name": name,
        "slave_id": AGENT,
        "state": "TASK_RUNNING",
        "resources": {"ports": "[31000-31001]"},
        "statuses": [{"state": "TASK_RUNNING", "timestamp": 1.0}],
        **more,
    }


def discovery(name: str, *ports: tuple[int, str, str]) -> Json:
    given = [{"number": number, "protocol": protocol, "name": port} for number, protocol, port in ports]
    return {"name": name, "visibility": "FRAMEWORK", "ports": {"ports": given}}


def container_ip(*ips: str, at: float = 1.0) -> list[Json]:
    infos = [{"ip_addresses": [{"ip_address": ip} for ip in ips]}]
    return [{"state": "TASK_RUNNING", "timestamp": at, "container_status": {"network_infos": infos}}]


def state(*tasks: Json, leader: str = "master@10.0.0.10:5050") -> Json:
    return {
        "leader": leader,
        "slaves": [{"id": AGENT, "hostname": "10.0.0.20", "pid": "slave(1)@10.0.0.20:5051"}],
        "frameworks": [
            {
                "name": "marathon",
                "pid": "scheduler-1@10.0.0.10:41000",
                "hostname": "10.0.0.10",
                "tasks": list(tasks),
            }
        ],
    }
