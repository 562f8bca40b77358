"""What is said of a deleted pod at last."""

from __future__ import annotations

import pytest

from labkit.embedded.kubernetes.kubelet.lastwords import ended
from labkit.embedded.kubernetes.objects import Json

WAITING: Json = {"state": {"waiting": {"reason": "PodInitializing"}}, "lastState": {}, "started": False}
RUNNING: Json = {"state": {"running": {}}, "lastState": {}, "started": True}
GOOD: Json = {"state": {"terminated": {"exitCode": 0}}, "lastState": {}, "started": False}
BAD: Json = {"state": {"terminated": {"exitCode": 1}}, "lastState": {}, "started": False}
RETRIED: Json = {**WAITING, "lastState": BAD["state"]}


def states(containers: list[Json]) -> str:
    """A letter for each: waiting, running, ended well or badly, lost."""

    def letter(one: Json) -> str:
        end = one["state"].get("terminated")
        if end is None:
            return next(iter(one["state"]))[0]
        return "l" if end.get("reason") == "ContainerStatusUnknown" else "gb"[end["exitCode"] != 0]

    return "".join(letter(one) for one in containers)


@pytest.mark.parametrize(
    ("init", "main", "shown"),
    [
        ([], [WAITING, WAITING], ("", "ll")),
        ([], [GOOD, RUNNING], ("", "gl")),
        ([WAITING, WAITING], [WAITING], ("lw", "w")),  # never initialized: what would have followed is not lost
        ([GOOD, RUNNING, WAITING], [WAITING], ("glw", "w")),
        ([GOOD, RETRIED, WAITING], [WAITING], ("glw", "w")),
        ([BAD, GOOD], [WAITING], ("bg", "l")),
        ([GOOD, RUNNING], [WAITING], ("gl", "l")),  # a sidecar
        ([GOOD, BAD], [RETRIED], ("gb", "l")),
    ],
)
def test_who_never_ended_is_lost(init: list[Json], main: list[Json], shown: tuple[str, str]) -> None:
    status = ended({"phase": "Pending", "initContainerStatuses": init, "containerStatuses": main})
    assert status["phase"] == "Failed"
    assert (states(status.get("initContainerStatuses") or []), states(status["containerStatuses"])) == shown


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_final_phase_stays(phase: str) -> None:
    assert ended({"phase": phase, "containerStatuses": [GOOD]}) == {"phase": phase, "containerStatuses": [GOOD]}
    assert ended({"phase": phase}) == {"phase": phase}
