"""The old endpoints' JSON: ``/state``, ``/slaves``, ``/frameworks``, ``/tasks``, ``/roles``, ``/state-summary``.

Fields and their order are those of ``src/master/readonly_handler.cpp`` and ``src/common/http.cpp``: mesos-dns,
marathon-lb, avmesos-cli and people with ``jq`` read them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos import attributes
from labkit.embedded.mesos.ids import text
from labkit.embedded.mesos.master import views
from labkit.embedded.mesos.master.leadership import Leadership
from labkit.embedded.mesos.master.model import Agent, Framework, Offer, Task
from labkit.embedded.mesos.shown import extras, status
from labkit.embedded.mesos.version import BUILD

if TYPE_CHECKING:
    from labkit.embedded.mesos.master.master import Master

Json = dict[str, Any]

_COUNTED = (
    "TASK_STAGING",
    "TASK_STARTING",
    "TASK_RUNNING",
    "TASK_KILLING",
    "TASK_FINISHED",
    "TASK_KILLED",
    "TASK_FAILED",
    "TASK_LOST",
    "TASK_ERROR",
    "TASK_UNREACHABLE",
)
TASK_LIMIT = 100


def state(master: Master, lead: Leadership) -> Json:
    agents = list(lead.agents)
    made: Json = {
        **BUILD,
        "start_time": master.start_time,
        "elected_time": lead.elected_time,
        "id": master.info["id"],
        "pid": str(master.pid),
        "hostname": master.info["hostname"],
        "capabilities": [one["type"] for one in master.info["capabilities"]],
        "activated_slaves": float(sum(agent.active for agent in agents)),
        "deactivated_slaves": float(sum(not agent.active for agent in agents)),
        "unreachable_slaves": float(len(lead.agents.unreachable)),
        "leader": master.info["pid"],
        "leader_info": leader_info(master.info),
        "flags": master.options.flags(),
        "slaves": [slave(lead, agent) for agent in agents],
        "recovered_slaves": [slave_info(info) for info in lead.agents.recovered.values()],
        "frameworks": [framework(item) for item in lead.frameworks],
        "completed_frameworks": [framework(item) for item in lead.frameworks.completed.values()],
        "orphan_tasks": [],
        "unregistered_frameworks": [],
    }
    if master.options.cluster:
        made["cluster"] = master.options.cluster
    return made


def running(master: Master, lead: Leadership) -> Json:
    """Of :func:`state`, what Mesos-DNS reads: it asks often, and the thousand tasks that are over have no name."""
    return {
        "leader": master.info["pid"],
        "slaves": [{"id": agent.id, "pid": str(agent.pid)} for agent in lead.agents],
        "frameworks": [
            {
                "name": item.name,
                "hostname": item.info.get("hostname", ""),
                "tasks": [task(one) for one in item.tasks.values() if one.state == "TASK_RUNNING"],
            }
            for item in lead.frameworks
        ],
    }


def leader_info(info: Json) -> Json:
    return {key: info[key] for key in ("id", "pid", "port", "hostname")}


def slave_info(info: Json) -> Json:
    return {
        "id": text(info.get("id")),
        "hostname": info.get("hostname", ""),
        "port": info.get("port", 5051),
        "attributes": attributes.summary(info.get("attributes") or ()),
    }


def slave(lead: Leadership, agent: Agent) -> Json:
    total = agent.total
    made: Json = {
        **slave_info(agent.info),
        "id": agent.id,
        "pid": str(agent.pid),
        "registered_time": agent.registered_time,
    }
    if agent.reregistered_time is not None:
        made["reregistered_time"] = agent.reregistered_time
    made |= {
        "resources": total.summary(),
        "used_resources": agent.used_resources.summary(),
        "offered_resources": agent.offered_resources.summary(),
        "reserved_resources": {role: total.reserved(role).summary() for role in sorted(total.roles)},
        "unreserved_resources": total.unreserved().summary(),
        "active": agent.active,
        "deactivated": agent.id in lead.agents.deactivated,
        "version": agent.version,
        "capabilities": list(agent.capabilities),
    }
    return made


def slaves(lead: Leadership, agent_id: str | None) -> Json:
    """``/slaves``: with every resource in full."""
    shown = []
    for agent in lead.agents:
        if agent_id is not None and agent.id != agent_id:
            continue
        total = agent.total
        shown.append(
            {
                **slave(lead, agent),
                "reserved_resources_full": {role: total.reserved(role).json() for role in sorted(total.roles)},
                "unreserved_resources_full": total.unreserved().json(),
                "used_resources_full": agent.used_resources.json(),
                "offered_resources_full": agent.offered_resources.json(),
            }
        )
    recovered = [slave_info(info) for one, info in lead.agents.recovered.items() if agent_id is None or one == agent_id]
    return {"slaves": shown, "recovered_slaves": recovered}


def summary(item: Framework) -> Json:
    info = item.info
    return {
        "id": item.id,
        "name": item.name,
        "used_resources": item.used_resources().summary(),
        "offered_resources": item.offered_resources().summary(),
        "capabilities": [one.get("type", "UNKNOWN") for one in info.get("capabilities") or ()],
        "hostname": info.get("hostname", ""),
        "webui_url": info.get("webui_url", ""),
        "active": item.active,
        "connected": item.connected,
        "recovered": item.recovered,
    }


def framework(item: Framework) -> Json:
    info = item.info
    made: Json = {
        **summary(item),
        "user": info.get("user", ""),
        "failover_timeout": float(info.get("failover_timeout") or 0.0),
        "checkpoint": item.checkpoint,
        "registered_time": item.registered_time,
        "unregistered_time": item.unregistered_time,
    }
    if info.get("principal") is not None:
        made["principal"] = info["principal"]
    made["resources"] = (item.used_resources() + item.offered_resources()).summary()
    if item.reregistered_time and item.reregistered_time != item.registered_time:
        made["reregistered_time"] = item.reregistered_time
    if "MULTI_ROLE" in item.capabilities:
        made["roles"] = list(item.roles)
    else:
        made["role"] = item.roles[0]
    made |= {
        "tasks": [task(one) for one in item.tasks.values()],
        "unreachable_tasks": [task(one) for one in item.unreachable.values()],
        "completed_tasks": [task(one) for one in item.completed],
        "offers": [offer(one) for one in item.offers.values()],
        "executors": [
            executor(one, item.roles[0] if item.roles else "*", agent_id)
            for agent_id, executors in item.executors.items()
            for one in executors.values()
        ],
    }
    if info.get("labels"):
        made["labels"] = info["labels"].get("labels", [])
    made["offer_constraints"] = {}
    return made


def frameworks(lead: Leadership, framework_id: str | None) -> Json:
    def chosen(items: Iterable[Framework]) -> list[Json]:
        return [framework(item) for item in items if framework_id is None or item.id == framework_id]

    return {
        "frameworks": chosen(lead.frameworks),
        "completed_frameworks": chosen(lead.frameworks.completed.values()),
        "unregistered_frameworks": [],
    }


def task(item: Task) -> Json:
    info = item.info
    made: Json = {
        "id": item.id,
        "name": info.get("name", ""),
        "framework_id": item.framework_id,
        "executor_id": item.executor_id,
        "slave_id": item.agent_id,
        "state": item.state,
        "resources": item.resources.summary(),
        "role": item.role,
        "statuses": [status(one) for one in item.statuses],
    }
    if item.user:
        made["user"] = item.user
    return made | extras(info)


def offer(item: Offer) -> Json:
    return {
        "id": item.id,
        "framework_id": item.framework_id,
        "allocation_info": {"role": item.role},
        "slave_id": item.agent_id,
        "resources": item.resources.summary(),
    }


def executor(info: Json, role: str, agent_id: str) -> Json:
    from labkit.embedded.mesos.resources import Resources

    command = info.get("command") or {}
    shown: Json = {
        "executor_id": text(info.get("executor_id")),
        "name": info.get("name", ""),
        "framework_id": text(info.get("framework_id")),
        "command": {
            **{key: command[key] for key in ("shell", "value", "environment") if key in command},
            "argv": command.get("arguments", []),
            "uris": [
                {"value": uri["value"], "executable": uri.get("executable", False)} for uri in command.get("uris", ())
            ],
        },
        "resources": Resources.of(info.get("resources") or ()).summary(),
    }
    if info.get("resources"):
        shown["role"] = role
    if info.get("labels"):
        shown["labels"] = info["labels"].get("labels", [])
    if "type" in info:
        shown["type"] = info["type"]
    shown["slave_id"] = agent_id
    return shown


def tasks(
    lead: Leadership, framework_id: str | None, task_id: str | None, limit: int, offset: int, ascending: bool
) -> Json:
    """``/tasks``: the newest first unless ``order=asc``."""
    found: list[Task] = []
    for item in (*lead.frameworks, *lead.frameworks.completed.values()):
        if framework_id is not None and item.id != framework_id:
            continue
        for one in (*item.tasks.values(), *item.unreachable.values(), *item.completed):
            if task_id is None or one.id == task_id:
                found.append(one)
    # Tasks without a status are the newest.
    endless = float("inf")
    found.sort(key=lambda one: one.statuses[0]["timestamp"] if one.statuses else endless, reverse=not ascending)
    return {"tasks": [task(one) for one in found[offset : offset + limit]]}


def roles(lead: Leadership) -> Json:
    members = lead.frameworks.all_roles()
    shown = []
    for role in views.known_roles(lead):
        used, offered = views.role_resources(lead, role)
        both = (used + offered).summary()
        shown.append(
            {
                "name": role,
                "weight": views.weight(lead, role),
                "quota": {
                    "role": role,
                    "guarantee": {},
                    "limit": {},
                    "consumed": {key: value for key, value in used.summary().items() if isinstance(value, float)},
                },
                "resources": both,
                "allocated": used.summary(),
                "offered": offered.summary(),
                "reserved": {},
                "frameworks": [item.id for item in members.get(role, ())],
            }
        )
    return {"roles": shown}


def state_summary(master: Master, lead: Leadership) -> Json:
    by_agent: dict[str, Counter[str]] = {}
    by_framework: dict[str, Counter[str]] = {}
    pairs: set[tuple[str, str]] = set()
    for item in lead.frameworks:
        counts = by_framework[item.id] = Counter()
        for one in (*item.tasks.values(), *item.unreachable.values(), *item.completed):
            counts[one.state] += 1
            by_agent.setdefault(one.agent_id, Counter())[one.state] += 1
            pairs.add((item.id, one.agent_id))
    made: Json = {"hostname": master.info["hostname"]}
    if master.options.cluster:
        made["cluster"] = master.options.cluster
    made["slaves"] = [
        {
            **slave(lead, agent),
            **_counts(by_agent.get(agent.id, Counter())),
            "framework_ids": sorted(one for one, on in pairs if on == agent.id),
        }
        for agent in lead.agents
    ]
    made["frameworks"] = [
        {
            **summary(item),
            **_counts(by_framework[item.id]),
            "slave_ids": sorted(on for one, on in pairs if one == item.id),
        }
        for item in lead.frameworks
    ]
    return made


def _counts(counts: Counter[str]) -> Json:
    return {name: counts[name] for name in _COUNTED}
