"""Agents, frameworks, tasks and roles as the v1 operator API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos.allocator.sorter import DEFAULT_WEIGHT
from labkit.embedded.mesos.master.model import Agent, Framework
from labkit.embedded.mesos.resources import EMPTY, Resources, total

if TYPE_CHECKING:
    from labkit.embedded.mesos.master.leadership import Leadership

Json = dict[str, Any]


def _time(seconds: float) -> Json:
    return {"nanoseconds": int(seconds * 1e9)}


def agent(lead: Leadership, item: Agent) -> Json:
    made: Json = {
        "agent_info": item.info,
        "active": item.active,
        "deactivated": item.id in lead.agents.deactivated,
        "version": item.version,
        "pid": str(item.pid),
        "registered_time": _time(item.registered_time),
        "total_resources": item.total.json(),
        "allocated_resources": item.used_resources.json(),
        "offered_resources": item.offered_resources.json(),
        "capabilities": [{"type": name} for name in item.capabilities],
    }
    if item.reregistered_time is not None:
        made["reregistered_time"] = _time(item.reregistered_time)
    return made


def framework(item: Framework) -> Json:
    made: Json = {
        "framework_info": item.info,
        "active": item.active,
        "connected": item.connected,
        "recovered": item.recovered,
        "registered_time": _time(item.registered_time),
        "reregistered_time": _time(item.reregistered_time or item.registered_time),
        "offers": [offer.json for offer in item.offers.values()],
        "inverse_offers": [],
        "allocated_resources": item.used_resources().json(),
        "offered_resources": item.offered_resources().json(),
        "offer_constraints": {},
    }
    if item.unregistered_time:
        made["unregistered_time"] = _time(item.unregistered_time)
    return made


def get_agents(lead: Leadership) -> Json:
    return {
        "agents": [agent(lead, item) for item in lead.agents],
        "recovered_agents": list(lead.agents.recovered.values()),
    }


def get_frameworks(lead: Leadership) -> Json:
    return {
        "frameworks": [framework(item) for item in lead.frameworks],
        "completed_frameworks": [framework(item) for item in lead.frameworks.completed.values()],
    }


def get_tasks(lead: Leadership) -> Json:
    everybody = [*lead.frameworks, *lead.frameworks.completed.values()]
    return {
        "tasks": [task.json() for item in everybody for task in item.tasks.values()],
        "unreachable_tasks": [task.json() for item in everybody for task in item.unreachable.values()],
        "completed_tasks": [task.json() for item in everybody for task in item.completed],
    }


def get_executors(lead: Leadership) -> Json:
    return {
        "executors": [
            {"executor_info": info, "agent_id": {"value": agent_id}}
            for item in lead.frameworks
            for agent_id, executors in item.executors.items()
            for info in executors.values()
        ]
    }


def get_state(lead: Leadership) -> Json:
    return {
        "get_tasks": get_tasks(lead),
        "get_executors": get_executors(lead),
        "get_frameworks": get_frameworks(lead),
        "get_agents": get_agents(lead),
    }


def known_roles(lead: Leadership) -> list[str]:
    """``*``, roles with a framework or a weight, and those for which an agent has something reserved."""
    found = {"*", *lead.frameworks.all_roles(), *lead.allocator.weights}
    for item in lead.agents:
        found |= item.total.roles
    return sorted(found)


def role_resources(lead: Leadership, role: str) -> tuple[Resources, Resources]:
    """What is allocated to tasks of a role, and what is offered to it."""
    used, offered = [], []
    for item in lead.frameworks:
        used += [task.resources for task in item.tasks.values() if task.role == role and not task.terminal]
        offered += [offer.resources for offer in item.offers.values() if offer.role == role]
    return (total(used) if used else EMPTY), (total(offered) if offered else EMPTY)


def weight(lead: Leadership, role: str) -> float:
    return lead.allocator.weights.get(role, DEFAULT_WEIGHT)


def get_roles(lead: Leadership) -> Json:
    members = lead.frameworks.all_roles()
    roles = []
    for role in known_roles(lead):
        used, offered = role_resources(lead, role)
        roles.append(
            {
                "name": role,
                "weight": weight(lead, role),
                "frameworks": [item.info["id"] for item in members.get(role, ())],
                "resources": (used + offered).json(),
            }
        )
    return {"roles": roles}


def get_weights(lead: Leadership) -> Json:
    return {"weight_infos": [{"role": role, "weight": value} for role, value in lead.allocator.weights.items()]}
