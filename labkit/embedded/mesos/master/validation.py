"""What is wrong with a call, a framework, an offer or a task; None where nothing is.

The words are those of ``src/master/validation.cpp`` and ``src/common/validation.cpp``: learners meet them in logs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from labkit.embedded.mesos import ids, roles
from labkit.embedded.mesos.master.model import Agent, Framework, Offer, capabilities_of, roles_of
from labkit.embedded.mesos.resources import Resources, ResourcesError

Json = dict[str, Any]

NAME_MAX = 255

# What each type of call has to carry; None: nothing.
CALLS: Mapping[str, str | None] = {
    "SUBSCRIBE": "subscribe",
    "TEARDOWN": None,
    "ACCEPT": "accept",
    "DECLINE": "decline",
    "ACCEPT_INVERSE_OFFERS": "accept_inverse_offers",
    "DECLINE_INVERSE_OFFERS": "decline_inverse_offers",
    "REVIVE": None,
    "SUPPRESS": None,
    "KILL": "kill",
    "SHUTDOWN": "shutdown",
    "ACKNOWLEDGE": "acknowledge",
    "ACKNOWLEDGE_OPERATION_STATUS": "acknowledge_operation_status",
    "RECONCILE": "reconcile",
    "RECONCILE_OPERATIONS": "reconcile_operations",
    "MESSAGE": "message",
    "REQUEST": "request",
    "UPDATE_FRAMEWORK": "update_framework",
    "UNKNOWN": None,
}


def scheduler_call(call: Json, principal: str | None) -> str | None:
    """Is all there that this type of call needs?"""
    kind = call.get("type", "")
    if kind not in CALLS:
        return "Expecting 'type' to be present"
    part = CALLS[kind]
    if kind == "SUBSCRIBE":
        subscribe = call.get("subscribe")
        if subscribe is None:
            return "Expecting 'subscribe' to be present"
        info = subscribe["framework_info"]
        if ids.text(info.get("id")) != ids.text(call.get("framework_id")):
            return "'framework_id' differs from 'subscribe.framework_info.id'"
        return _same_principal(info, principal)
    if call.get("framework_id") is None:
        return "Expecting 'framework_id' to be present"
    if part is not None and call.get(part) is None:
        return f"Expecting '{part}' to be present"
    if kind.startswith("ACKNOWLEDGE") and not ids.is_update_id(call[part or ""].get("uuid")):
        return "Not a valid UUID"
    if kind == "ACKNOWLEDGE_OPERATION_STATUS" and call["acknowledge_operation_status"].get("agent_id") is None:
        return "Expecting 'agent_id' to be present"
    if kind == "UPDATE_FRAMEWORK":
        info = call["update_framework"].get("framework_info", {})
        if ids.text(info.get("id")) != ids.text(call["framework_id"]):
            return "'framework_id' differs from 'update_framework.framework_info.id'"
    return None


def _same_principal(info: Json, principal: str | None) -> str | None:
    own = info.get("principal")
    if principal is not None and own is not None and own != principal:
        return f"Authenticated principal '{principal}' does not match principal '{own}' set in `FrameworkInfo`"
    return None


# -- frameworks


def framework_info(info: Json) -> str | None:
    """A FrameworkInfo that somebody subscribes with."""
    multi = "MULTI_ROLE" in capabilities_of(info)
    if multi and info.get("role") is not None:
        return "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"
    if not multi and info.get("roles"):
        return "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"
    names = roles_of(info)
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        return f"'FrameworkInfo.roles' contains duplicate items: {{ {', '.join(duplicates)} }}"
    for name in names:
        problem = roles.why_invalid(name)
        if problem is not None:
            what = "s' contains invalid role: " if multi else "' is not a valid role: "
            return f"'FrameworkInfo.role{what}{problem}"
    given = ids.text(info.get("id"))
    if given and (problem := identifier(given)) is not None:
        return problem
    timeout = info.get("failover_timeout", 0.0)
    if not -9.2e9 < timeout < 9.2e9:  # what a Duration holds: nanoseconds in 64 bits
        return f"The framework failover_timeout ({timeout:g}) is invalid"
    return None


def suppressed_roles(info: Json, suppressed: Iterable[str]) -> str | None:
    unknown = sorted(set(suppressed) - set(roles_of(info)))
    if unknown:
        return f"Suppressed roles {{ {', '.join(unknown)} }} are not contained in the set of roles"
    return None


def framework_update(old: Json, new: Json) -> str | None:
    """May a framework that comes back say this of itself now?"""
    if old.get("principal") != new.get("principal"):
        return "Changing framework's principal is not allowed."
    if old.get("user") != new.get("user"):
        return (
            "Updating 'FrameworkInfo.user' is unsupported; attempted to update from"
            f" '{old.get('user', '')}' to '{new.get('user', '')}'"
        )
    if bool(old.get("checkpoint")) != bool(new.get("checkpoint")):
        before, after = (str(bool(info.get("checkpoint"))).lower() for info in (old, new))
        return f"Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update from '{before}' to '{after}'"
    return None


# -- offers


def offers(given: list[str], known: Mapping[str, Offer], framework: Framework) -> str | None:
    """May this framework accept these offers, together?"""
    if not given:
        return "No offers specified"
    seen: set[str] = set()
    for offer_id in given:
        if offer_id in seen:
            return f"Duplicate offer {offer_id} in offer list"
        seen.add(offer_id)
    found = []
    for offer_id in given:
        offer = known.get(offer_id)
        if offer is None:
            return f"Offer {offer_id} is no longer valid"
        found.append(offer)
    first = found[0]
    for offer in found:
        if offer.framework_id != framework.id:
            return (
                f"Offer {offer.id} has invalid framework {offer.framework_id}"
                f" while framework {framework.id} is expected"
            )
    for offer in found:
        if offer.role != first.role:
            return (
                f"Aggregated offers must be allocated to the same role. Offer {offer.id} uses role"
                f" '{offer.role} but another is using role '{first.role}"
            )
    for offer in found:
        if offer.agent_id != first.agent_id:
            return (
                "Aggregated offers must belong to one single agent."
                f" Offer {offer.id} uses agent {offer.agent_id} and agent {first.agent_id}"
            )
    return None


# -- tasks


def identifier(text: str) -> str | None:
    """Ids may become names of folders."""
    if not text:
        return "ID must not be empty"
    if len(text) > NAME_MAX:
        return f"ID must not be greater than {NAME_MAX} characters"
    if text in (".", ".."):
        return f"'{text}' is disallowed"
    if not text.isalnum() and any(ord(letter) < 32 or letter in "\x7f/\\" for letter in text):
        return f"'{text}' contains invalid characters"
    return None


def task(
    info: Json, framework: Framework, agent: Agent, resources: Resources | ResourcesError, offered: Resources
) -> str | None:
    """May this task be launched with what is left of the offers? ``resources`` are the task's own."""
    task_id = info["task_id"]["value"]
    problem = identifier(task_id)
    if problem is not None:
        return problem
    if task_id in framework.tasks:
        return f"Task has duplicate ID: {task_id}"
    if task_id in framework.unreachable:
        return f"Task reuses the ID of an unreachable task: {task_id}"
    if info["agent_id"]["value"] != agent.id:
        return f"Task uses invalid agent {info['agent_id']['value']} while agent {agent.id} is expected"
    for key, check in _PARTS.items():
        part = info.get(key)
        if part is not None and (problem := check(part)) is not None:
            return problem
    if not info.get("resources"):
        return "Task uses no resources"
    if isinstance(resources, ResourcesError):
        return f"Task uses invalid resources: {resources}"
    executor = info.get("executor")
    if (executor is not None) == (info.get("command") is not None):
        return "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"
    wanted = resources
    if executor is not None:
        problem = _executor(executor, framework, agent)
        if problem is not None:
            return problem
        if executor["executor_id"]["value"] not in agent.executors.get(framework.id, {}):
            try:
                wanted = wanted + Resources.of(executor.get("resources") or ())
            except ResourcesError as error:
                return f"Executor uses invalid resources: {error}"
    if not offered.contains(wanted):
        return f"Total resources {wanted} required by task and its executor is more than available {offered}"
    return None


def _executor(executor: Json, framework: Framework, agent: Agent) -> str | None:
    problem = identifier(ids.text(executor.get("executor_id")))
    if problem is not None:
        return problem
    owner = ids.text(executor.get("framework_id"))
    if owner and owner != framework.id:
        return f"ExecutorInfo has an invalid FrameworkID (Actual: {owner} vs Expected: {framework.id})"
    if executor.get("type", "CUSTOM") != "CUSTOM":
        return "'ExecutorInfo.type' must be 'CUSTOM'"
    if executor.get("command") is None:
        return "'ExecutorInfo.command' must be set"
    known = agent.executors.get(framework.id, {}).get(executor["executor_id"]["value"])
    if known is not None and known.get("command") != executor.get("command"):
        return (
            "ExecutorInfo is not compatible with existing ExecutorInfo"
            f" with same ExecutorID).\n{'-' * 60}\nExisting ExecutorInfo:\n{known}\n{'-' * 60}\n"
            f"ExecutorInfo:\n{executor}\n{'-' * 60}\n"
        )
    return None


def _kill_policy(policy: Json) -> str | None:
    if (policy.get("grace_period") or {}).get("nanoseconds", 0) < 0:
        return "Task's 'kill_policy.grace_period' must be non-negative"
    return None


def _max_completion_time(duration: Json) -> str | None:
    if duration.get("nanoseconds", 0) < 0:
        return "Task's `max_completion_time` must be non-negative"
    return None


def _times(check: Json, words: str) -> str | None:
    for key in ("delay_seconds", "grace_period_seconds", "interval_seconds", "timeout_seconds"):
        if check.get(key, 0.0) < 0.0:
            return f"{words}Expecting '{key}' to be non-negative"
    return None


def _health_check(check: Json) -> str | None:
    words = "Task uses invalid health check: "
    kind = check.get("type")
    if kind is None:
        if (check.get("command") is None) == (check.get("http") is None):
            return f"{words}HealthCheck must specify 'type'"
        kind = "COMMAND" if check.get("http") is None else "HTTP"
    part = {"COMMAND": "command", "HTTP": "http", "TCP": "tcp"}.get(kind)
    if part is None:
        return f"{words}'{kind}' is not a valid health check type"
    if check.get(part) is None:
        return f"{words}Expecting '{part}' to be set for {kind} health check"
    if kind == "COMMAND" and check["command"].get("value") is None:
        what = "'shell command'" if check["command"].get("shell", True) else "'executable path'"
        return f"{words}Command health check must contain {what}"
    if kind == "HTTP":
        scheme, path = check["http"].get("scheme"), check["http"].get("path")
        if scheme not in (None, "http", "https"):
            return f"{words}Unsupported HTTP health check scheme: '{scheme}'"
        if path is not None and not path.startswith("/"):
            return f"{words}The path '{path}' of HTTP health check must start with '/'"
    return _times(check, words)


def _check(check: Json) -> str | None:
    words = "Task uses invalid check: "
    kind = check.get("type")
    part = {"COMMAND": "command", "HTTP": "http", "TCP": "tcp"}.get(kind or "")
    if kind is None:
        return f"{words}CheckInfo must specify 'type'"
    if part is None:
        return f"{words}'{kind}' is not a valid check type"
    if check.get(part) is None:
        return f"{words}Expecting '{part}' to be set for {kind} check"
    return _times(check, words)


def _command(command: Json) -> str | None:
    for variable in (command.get("environment") or {}).get("variables") or ():
        if variable.get("type", "VALUE") == "VALUE" and variable.get("value") is None:
            name = variable.get("name", "")
            return (
                f"Task's `CommandInfo` is invalid: Environment variable '{name}' of type 'VALUE' must have a value set"
            )
    return None


def _container(container: Json) -> str | None:
    words = "Task's `ContainerInfo` is invalid: "
    if container.get("type") == "DOCKER" and container.get("docker") is None:
        return f"{words}DockerInfo 'docker' is not set for DOCKER typed ContainerInfo"
    if container.get("type") is None:
        return f"{words}Expecting 'type' to be set"
    for volume in container.get("volumes") or ():
        if not volume.get("container_path") or volume.get("mode") not in ("RW", "RO"):
            return f"{words}Invalid volume: 'container_path' and 'mode' must be set"
    return None


_PARTS: Mapping[str, Callable[[Json], str | None]] = {
    "kill_policy": _kill_policy,
    "max_completion_time": _max_completion_time,
    "check": _check,
    "health_check": _health_check,
    "command": _command,
    "container": _container,
}
