"""The scheduler API without HTTP: a call comes in, an :class:`Answer` or a :class:`Subscription` goes out.

In the order, and with the words, of ``Master::Http::scheduler``; the in-process driver and the HTTP server both come
through here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from labkit.embedded.mesos.ids import text
from labkit.embedded.mesos.master import validation
from labkit.embedded.mesos.master.answers import ACCEPTED, Answer, bad_request, forbidden, not_implemented
from labkit.embedded.mesos.master.leadership import Leadership
from labkit.embedded.mesos.master.model import Framework
from labkit.embedded.mesos.master.subscription import Subscription

Json = dict[str, Any]

Handler = Callable[[Leadership, Framework, Json], "Answer | None"]


def handle(lead: Leadership, call: Json, principal: str | None, stream_id: str | None) -> Answer | Subscription:
    """One call to the leading master."""
    problem = validation.scheduler_call(call, principal)
    if problem is not None:
        return bad_request(f"Failed to validate scheduler::Call: {problem}")
    kind = call["type"]
    if kind == "SUBSCRIBE":
        if stream_id is not None:
            return bad_request("Subscribe calls should not include the 'Mesos-Stream-Id' header")
        return lead.frameworks.subscribe(call["subscribe"], principal)
    framework = lead.frameworks.get(text(call["framework_id"]))
    if framework is None:
        return bad_request("Framework cannot be found")
    framework.calls[kind] = framework.calls.get(kind, 0) + 1
    own = framework.info.get("principal", "")
    if principal is not None and principal != own:
        return bad_request(
            f"Authenticated principal '{principal}' does not match principal '{own}' set in `FrameworkInfo`"
        )
    if not framework.connected or framework.line is None:
        return forbidden("Framework is not subscribed")
    if stream_id is None:
        return bad_request("All non-subscribe calls should include the 'Mesos-Stream-Id' header")
    if stream_id != framework.line.stream_id:
        return bad_request(
            f"The stream ID '{stream_id}' included in this request didn't match the stream ID currently"
            f" associated with framework ID {framework.id}"
        )
    handler = _HANDLERS.get(kind)
    if handler is None:
        return not_implemented()
    lead.counters[f"calls/{kind}"] += 1
    return handler(lead, framework, call) or ACCEPTED


def _teardown(lead: Leadership, framework: Framework, call: Json) -> None:
    lead.frameworks.remove(framework)


def _accept(lead: Leadership, framework: Framework, call: Json) -> None:
    lead.offers.accept(framework, call["accept"])


def _decline(lead: Leadership, framework: Framework, call: Json) -> None:
    lead.offers.decline(framework, call["decline"])


def _nothing(lead: Leadership, framework: Framework, call: Json) -> None:
    """What the real allocator ignores too (REQUEST), or what there is nothing of here (inverse offers)."""


def _roles(call: Json, part: str) -> list[str]:
    return list((call.get(part) or {}).get("roles") or ())


def _revive(lead: Leadership, framework: Framework, call: Json) -> None:
    lead.allocator.revive(framework.id, [role for role in _roles(call, "revive") if role in framework.roles])


def _suppress(lead: Leadership, framework: Framework, call: Json) -> None:
    lead.allocator.suppress(framework.id, [role for role in _roles(call, "suppress") if role in framework.roles])


def _kill(lead: Leadership, framework: Framework, call: Json) -> None:
    lead.updates.kill(framework, call["kill"])


def _shutdown(lead: Leadership, framework: Framework, call: Json) -> None:
    """SHUTDOWN of an executor: told to its agent, if that is there."""
    part = call["shutdown"]
    agent = lead.agents.get(text(part.get("agent_id")))
    if agent is not None and agent.connected:
        body = {"framework_id": framework.info["id"], "executor_id": part.get("executor_id")}
        lead.send(agent.pid, "ShutdownExecutorMessage", body)


def _acknowledge(lead: Leadership, framework: Framework, call: Json) -> None:
    lead.updates.acknowledge(framework, call["acknowledge"])


def _reconcile(lead: Leadership, framework: Framework, call: Json) -> None:
    lead.updates.reconcile(framework, call["reconcile"])


def _message(lead: Leadership, framework: Framework, call: Json) -> None:
    """MESSAGE: to an executor, by way of its agent; nobody promises that it arrives."""
    part = call["message"]
    agent = lead.agents.get(text(part.get("agent_id")))
    if agent is None or not agent.connected:
        lead.counters["invalid_framework_to_executor_messages"] += 1
        return
    lead.counters["valid_framework_to_executor_messages"] += 1
    lead.send(agent.pid, "FrameworkToExecutorMessage", {**part, "framework_id": framework.info["id"]})


def _reconcile_operations(lead: Leadership, framework: Framework, call: Json) -> Answer | None:
    """No operation is ever known: of each that is asked for, that."""
    for one in call["reconcile_operations"].get("operations") or ():
        status = {
            "operation_id": one.get("operation_id"),
            "state": "OPERATION_UNKNOWN",
            "message": "Reconciliation: Operation is unknown",
        }
        framework.send({"type": "UPDATE_OPERATION_STATUS", "update_operation_status": {"status": status}})
    return None


def _update_framework(lead: Leadership, framework: Framework, call: Json) -> Answer | None:
    problem = lead.frameworks.update(framework, call["update_framework"])
    if problem is not None:
        return bad_request(f"'FrameworkInfo' is not valid: {problem}")
    return Answer(200)


_HANDLERS: Mapping[str, Handler] = {
    "TEARDOWN": _teardown,
    "ACCEPT": _accept,
    "DECLINE": _decline,
    "ACCEPT_INVERSE_OFFERS": _nothing,
    "DECLINE_INVERSE_OFFERS": _nothing,
    "REVIVE": _revive,
    "SUPPRESS": _suppress,
    "KILL": _kill,
    "SHUTDOWN": _shutdown,
    "ACKNOWLEDGE": _acknowledge,
    "ACKNOWLEDGE_OPERATION_STATUS": _nothing,
    "RECONCILE": _reconcile,
    "RECONCILE_OPERATIONS": _reconcile_operations,
    "MESSAGE": _message,
    "REQUEST": _nothing,
    "UPDATE_FRAMEWORK": _update_framework,
}
