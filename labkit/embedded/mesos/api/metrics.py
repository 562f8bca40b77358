"""``/metrics/snapshot``: numbers by name, as ``docs/monitoring.md`` of Mesos lists them."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from labkit.embedded.mesos.resources import total
from labkit.embedded.mesos.tasks import STATES

if TYPE_CHECKING:
    from labkit.embedded.mesos.master.master import Master

# Ours by the real name.
_COUNTERS = {
    "messages_register_slave": "messages/RegisterSlaveMessage",
    "messages_reregister_slave": "messages/ReregisterSlaveMessage",
    "messages_unregister_slave": "messages/UnregisterSlaveMessage",
    "messages_status_update": "messages/StatusUpdateMessage",
    "messages_exited_executor": "messages/ExitedExecutorMessage",
    "messages_executor_to_framework": "messages/ExecutorToFrameworkMessage",
    "messages_decline_offers": "calls/DECLINE",
    "messages_launch_tasks": "calls/ACCEPT",
    "messages_kill_task": "calls/KILL",
    "messages_reconcile_tasks": "calls/RECONCILE",
    "messages_revive_offers": "calls/REVIVE",
    "messages_suppress_offers": "calls/SUPPRESS",
    "messages_status_update_acknowledgement": "calls/ACKNOWLEDGE",
    "messages_framework_to_executor": "calls/MESSAGE",
    "messages_resource_request": "calls/REQUEST",
    "messages_unregister_framework": "calls/TEARDOWN",
}
_PLAIN = (
    "invalid_executor_to_framework_messages",
    "invalid_framework_to_executor_messages",
    "invalid_status_update_acknowledgements",
    "invalid_status_updates",
    "recovery_slave_removals",
    "slave_registrations",
    "slave_removals",
    "slave_removals/reason_registered",
    "slave_removals/reason_unhealthy",
    "slave_removals/reason_unregistered",
    "slave_reregistrations",
    "valid_executor_to_framework_messages",
    "valid_framework_to_executor_messages",
    "valid_status_update_acknowledgements",
    "valid_status_updates",
)
_ACTIVE = ("STAGING", "STARTING", "RUNNING", "KILLING", "UNREACHABLE")


def snapshot(master: Master) -> dict[str, float]:
    """Of a master that does not lead there is little to say."""
    lead = master.leading
    load = os.getloadavg()
    shown: dict[str, float] = {
        "master/elected": float(lead is not None),
        "master/uptime_secs": master.clock.time() - master.start_time,
        "system/cpus_total": float(os.cpu_count() or 1),
        "system/load_1min": load[0],
        "system/load_5min": load[1],
        "system/load_15min": load[2],
    }
    if lead is None:
        return shown
    frameworks, agents = list(lead.frameworks), list(lead.agents)
    counters = lead.counters
    for name, own in _COUNTERS.items():
        shown[f"master/{name}"] = float(counters[own])
    for name in _PLAIN:
        shown[f"master/{name}"] = float(counters[name])
    states = Counter(task.state for item in frameworks for task in item.tasks.values())
    states["TASK_UNREACHABLE"] = sum(len(item.unreachable) for item in frameworks)
    for name in STATES:
        short = name.removeprefix("TASK_")
        if short == "UNKNOWN":
            continue
        value = states[name] if short in _ACTIVE else counters[f"tasks_{short.lower()}"]
        shown[f"master/tasks_{short.lower()}"] = float(value)
    shown |= {
        "master/frameworks_active": float(sum(item.active for item in frameworks)),
        "master/frameworks_inactive": float(sum(not item.active for item in frameworks)),
        "master/frameworks_connected": float(sum(item.connected for item in frameworks)),
        "master/frameworks_disconnected": float(sum(not item.connected for item in frameworks)),
        "master/slaves_active": float(sum(item.active for item in agents)),
        "master/slaves_inactive": float(sum(not item.active for item in agents)),
        "master/slaves_connected": float(sum(item.connected for item in agents)),
        "master/slaves_disconnected": float(sum(not item.connected for item in agents)),
        "master/slaves_unreachable": float(len(lead.agents.unreachable)),
        "master/outstanding_offers": float(len(lead.offers.all)),
        "master/operator_event_stream_subscribers": float(len(lead.subscribers)),
        "allocator/mesos/allocation_runs": float(lead.allocator.runs),
        "registrar/log/recovered": 1.0,
    }
    whole = total(item.total for item in agents)
    used = total(item.used_resources for item in agents)
    for name in ("cpus", "mem", "disk", "gpus"):
        have, taken = whole.scalar(name), used.scalar(name)
        shown[f"master/{name}_total"] = have
        shown[f"master/{name}_used"] = taken
        shown[f"master/{name}_percent"] = taken / have if have else 0.0
    for role, entry in lead.allocator.shares().items():
        shown[f"allocator/mesos/roles/{role}/shares/dominant"] = entry["share"]
    for role, number in lead.allocator.filters_by_role().items():
        shown[f"allocator/mesos/offer_filters/roles/{role}/active"] = float(number)
    for item in frameworks:
        prefix = f"master/frameworks/{item.name}/{item.id}"
        shown[f"{prefix}/subscribed"] = float(item.connected)
        shown[f"{prefix}/calls"] = float(sum(item.calls.values()))
    return shown
