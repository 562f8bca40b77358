"""What the buttons are called and say, in each orchestrator's own words."""

from __future__ import annotations

from collections.abc import Mapping

Button = tuple[str, str, bool]  # (text, what it does, whether it takes something away)

_MACHINES: Mapping[str, Button] = {
    "fail": ("Pull plug", "Power this machine off at once", True),
    "heal": ("Heal", "Undo what was done to this machine", False),
    "freeze": ("Freeze", "Keep its connections open, but let it answer nobody", True),
    "partition": ("Cut off", "Cut this machine's network from the others", True),
    "stop": ("Stop", "Stop this part of the orchestrator", True),
    "start": ("Start", "Start this part of the orchestrator again", False),
}

_SWARM: Mapping[str, Button] = {
    **_MACHINES,
    "drain": ("Drain", "Move its tasks to other nodes and give it no new ones", False),
    "activate": ("Activate", "Let it take tasks again", False),
    "pause": ("Pause", "Keep its tasks, give it no new ones", False),
    "kill": ("Kill task", "Kill this task's container", True),
    "remove": ("Remove", "Remove this workload and its tasks", True),
}

_KUBERNETES: Mapping[str, Button] = {
    **_MACHINES,
    "drain": ("Drain", "Cordon it and evict its pods, as kubectl drain does: budgets are asked", False),
    "activate": ("Uncordon", "Let it take pods again", False),
    "pause": ("Cordon", "Keep its pods, give it no new ones", False),
    "kill": ("Delete pod", "Delete this pod at once; whoever keeps it makes another", True),
    "remove": ("Delete", "Delete this and, in the background, what it owns", True),
    "restart": ("Restart", "New pods by and by, as kubectl rollout restart", False),
    "roll_back": ("Undo", "Back to the revision before, as kubectl rollout undo", False),
    "pause_rollout": ("Pause rollout", "Changes of the template wait, as kubectl rollout pause", False),
    "resume_rollout": ("Resume rollout", "Go on with the rollout", False),
    "relabel": ("Set label", "key=value sets a label, key- takes it away", False),
}

_MARATHON: Mapping[str, Button] = {
    **_MACHINES,
    "kill": ("Kill", "Kill this task; Marathon starts another one for it", True),
    "kill_and_scale": ("Kill and scale", "Kill this task, and ask for one instance less", True),
    "restart": ("Restart", "New tasks for all, as the app's upgradeStrategy says", False),
    "suspend": ("Suspend", "Keep the app and stop all its tasks: 0 instances", False),
    "remove": ("Destroy", "Remove this app and its tasks", True),
    "teardown": ("Tear down", "End this framework: Mesos kills all its tasks", True),
}

_BY_ORCHESTRATOR = {"swarm": _SWARM, "kubernetes": _KUBERNETES, "marathon": _MARATHON}


def buttons(orchestrator: str) -> dict[str, list[str | bool]]:
    """Verb → [text, title, whether it is dangerous], for the page."""
    return {verb: list(button) for verb, button in _BY_ORCHESTRATOR.get(orchestrator, _SWARM).items()}
