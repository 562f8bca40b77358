"""The v1 operator API (``POST /api/v1``): a table of calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from labkit.embedded.mesos import roles
from labkit.embedded.mesos.api import metrics
from labkit.embedded.mesos.ids import text
from labkit.embedded.mesos.master import views
from labkit.embedded.mesos.master.answers import OK, Answer, bad_request, not_found, not_implemented
from labkit.embedded.mesos.master.leadership import Leadership
from labkit.embedded.mesos.version import BUILD

if TYPE_CHECKING:
    from labkit.embedded.mesos.master.master import Master

Json = dict[str, Any]

# What a call has to carry (validation::master::call::validate).
NEEDED: Mapping[str, str] = {
    "GET_METRICS": "get_metrics",
    "SET_LOGGING_LEVEL": "set_logging_level",
    "LIST_FILES": "list_files",
    "READ_FILE": "read_file",
    "UPDATE_WEIGHTS": "update_weights",
    "RESERVE_RESOURCES": "reserve_resources",
    "UNRESERVE_RESOURCES": "unreserve_resources",
    "CREATE_VOLUMES": "create_volumes",
    "DESTROY_VOLUMES": "destroy_volumes",
    "GROW_VOLUME": "grow_volume",
    "SHRINK_VOLUME": "shrink_volume",
    "UPDATE_MAINTENANCE_SCHEDULE": "update_maintenance_schedule",
    "START_MAINTENANCE": "start_maintenance",
    "STOP_MAINTENANCE": "stop_maintenance",
    "DRAIN_AGENT": "drain_agent",
    "DEACTIVATE_AGENT": "deactivate_agent",
    "REACTIVATE_AGENT": "reactivate_agent",
    "UPDATE_QUOTA": "update_quota",
    "SET_QUOTA": "set_quota",
    "REMOVE_QUOTA": "remove_quota",
    "TEARDOWN": "teardown",
    "MARK_AGENT_GONE": "mark_agent_gone",
}

# Known to the real one, and not simulated.
ABSENT = frozenset(
    {
        "RESERVE_RESOURCES",
        "UNRESERVE_RESOURCES",
        "CREATE_VOLUMES",
        "DESTROY_VOLUMES",
        "GROW_VOLUME",
        "SHRINK_VOLUME",
        "UPDATE_MAINTENANCE_SCHEDULE",
        "START_MAINTENANCE",
        "STOP_MAINTENANCE",
        "DRAIN_AGENT",
        "UPDATE_QUOTA",
        "SET_QUOTA",
        "REMOVE_QUOTA",
    }
)

Act = Callable[["Master", Leadership, Json], "Json | Answer"]


def answer(master: Master, lead: Leadership, call: Json) -> Json | Answer:
    """One call but SUBSCRIBE: the ``Response`` as JSON, or plain words."""
    kind = call.get("type", "")
    if kind != "UNKNOWN" and kind not in CALLS and kind not in ABSENT:
        return bad_request("Failed to validate master::Call: Expecting 'type' to be present")
    needed = NEEDED.get(kind)
    if needed is not None and needed not in call:
        return bad_request(f"Failed to validate master::Call: Expecting '{needed}' to be present")
    if kind == "UNKNOWN":
        return not_implemented()
    if kind in ABSENT:
        return not_implemented(f"{kind} is not simulated in this sandbox")
    made = CALLS[kind](master, lead, call)
    return made if isinstance(made, Answer) else {"type": kind, **made}


def _health(master: Master, lead: Leadership, call: Json) -> Json:
    return {"get_health": {"healthy": True}}


def _flags(master: Master, lead: Leadership, call: Json) -> Json:
    return {"get_flags": {"flags": [{"name": name, "value": value} for name, value in master.options.flags().items()]}}


def _version(master: Master, lead: Leadership, call: Json) -> Json:
    return {"get_version": {"version_info": BUILD}}


def _metrics(master: Master, lead: Leadership, call: Json) -> Json:
    values = metrics.snapshot(master)
    return {"get_metrics": {"metrics": [{"name": name, "value": value} for name, value in values.items()]}}


def _level(master: Master, lead: Leadership, call: Json) -> Json:
    return {"get_logging_level": {"level": 0}}


def _set_level(master: Master, lead: Leadership, call: Json) -> Answer:
    return OK


def _files(master: Master, lead: Leadership, call: Json) -> Answer:
    return not_found()


def _state(master: Master, lead: Leadership, call: Json) -> Json:
    return {"get_state": views.get_state(lead)}


def _agents(master: Master, lead: Leadership, call: Json) -> Json:
    return {"get_agents": views.get_agents(lead)}


def _frameworks(master: Master, lead: Leadership, call: Json) -> Json:
    return {"get_frameworks": views.get_frameworks(lead)}


def _executors(master: Master, lead: Leadership, call: Json) -> Json:
    return {"get_executors": views.get_executors(lead)}


def _operations(master: Master, lead: Leadership, call: Json) -> Json:
    return {"get_operations": {"operations": []}}


def _tasks(master: Master, lead: Leadership, call: Json) -> Json:
    return {"get_tasks": views.get_tasks(lead)}


def _roles(master: Master, lead: Leadership, call: Json) -> Json:
    return {"get_roles": views.get_roles(lead)}


def _weights(master: Master, lead: Leadership, call: Json) -> Json:
    return {"get_weights": views.get_weights(lead)}


def _update_weights(master: Master, lead: Leadership, call: Json) -> Answer:
    return update_weights(lead, call["update_weights"].get("weight_infos") or [])


def update_weights(lead: Leadership, infos: list[Json]) -> Answer:
    """Set weights of roles, all or none."""
    words = "Failed to validate update weights request JSON"
    found: dict[str, float] = {}
    for info in infos:
        role, weight = str(info.get("role", "")).strip(), float(info["weight"])
        problem = roles.why_invalid(role)
        if problem is not None:
            return bad_request(f"{words}: Invalid role '{role}': {problem}")
        if not weight > 0:
            return bad_request(f"{words} for role '{role}': Invalid weight '{weight:g}': Weights must be positive")
        found[role] = weight
    lead.set_weights(found)
    return OK


def _master(master: Master, lead: Leadership, call: Json) -> Json:
    made = {"master_info": master.info, "start_time": master.start_time, "elected_time": lead.elected_time}
    return {"get_master": made}


def _maintenance_status(master: Master, lead: Leadership, call: Json) -> Json:
    return {"get_maintenance_status": {"status": {}}}


def _maintenance_schedule(master: Master, lead: Leadership, call: Json) -> Json:
    return {"get_maintenance_schedule": {"schedule": {}}}


def _quota(master: Master, lead: Leadership, call: Json) -> Json:
    return {"get_quota": {"status": {}}}


def _teardown(master: Master, lead: Leadership, call: Json) -> Answer:
    return teardown(lead, text(call["teardown"]["framework_id"]))


def teardown(lead: Leadership, framework_id: str) -> Answer:
    framework = lead.frameworks.get(framework_id)
    if framework is None:
        return bad_request("No framework found with specified ID")
    lead.frameworks.remove(framework)
    return OK


def _gone(master: Master, lead: Leadership, call: Json) -> Answer:
    agent_id = text(call["mark_agent_gone"]["agent_id"])
    agents = lead.agents
    if agent_id in agents.gone:
        return OK
    if agent_id not in agents and agent_id not in agents.recovered and agent_id not in agents.unreachable:
        return not_found(f"Agent '{agent_id}' not found")
    agents.mark_gone(agent_id)
    return OK


def _switch(part: str, deactivated: bool) -> Act:
    def act(master: Master, lead: Leadership, call: Json) -> Answer:
        agent = lead.agents.get(text(call[part]["agent_id"]))
        if agent is None:
            return bad_request("Agent not found")
        lead.agents.set_deactivated(agent, deactivated)
        return OK

    return act


CALLS: Mapping[str, Act] = {
    "GET_HEALTH": _health,
    "GET_FLAGS": _flags,
    "GET_VERSION": _version,
    "GET_METRICS": _metrics,
    "GET_LOGGING_LEVEL": _level,
    "SET_LOGGING_LEVEL": _set_level,
    "LIST_FILES": _files,
    "READ_FILE": _files,
    "GET_STATE": _state,
    "GET_AGENTS": _agents,
    "GET_FRAMEWORKS": _frameworks,
    "GET_EXECUTORS": _executors,
    "GET_OPERATIONS": _operations,
    "GET_TASKS": _tasks,
    "GET_ROLES": _roles,
    "GET_WEIGHTS": _weights,
    "UPDATE_WEIGHTS": _update_weights,
    "GET_MASTER": _master,
    "GET_MAINTENANCE_STATUS": _maintenance_status,
    "GET_MAINTENANCE_SCHEDULE": _maintenance_schedule,
    "GET_QUOTA": _quota,
    "TEARDOWN": _teardown,
    "MARK_AGENT_GONE": _gone,
    "DEACTIVATE_AGENT": _switch("deactivate_agent", True),
    "REACTIVATE_AGENT": _switch("reactivate_agent", False),
}
