import pytest
from support.kube import template, workload

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client, Recorder
from labkit.embedded.kubernetes.controllers.podcontrol import PodControl, is_namespace_ending, slow_start
from labkit.embedded.kubernetes.controllers.pods import from_template
from labkit.embedded.kubernetes.errors import Forbidden, InternalError
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.registry import writing

from .clusterstage import Stage


class Steps:
    """Counts calls; ``broken`` ones fail."""

    def __init__(self, *broken: int) -> None:
        self.called: list[int] = []
        self.broken = broken

    async def __call__(self, number: int) -> None:
        self.called.append(number)
        if number in self.broken:
            raise InternalError("no")


async def test_all_are_done_in_growing_batches() -> None:
    steps = Steps()
    assert await slow_start(100, steps) == (100, None)
    assert steps.called == list(range(100))


async def test_after_a_batch_with_an_error_the_rest_is_left() -> None:
    steps = Steps(4)  # in the batch of four: 3, 4, 5, 6
    done, error = await slow_start(100, steps)
    assert steps.called == list(range(7))
    assert done == 6
    assert isinstance(error, InternalError)


async def test_a_first_failure_ends_it_at_once() -> None:
    steps = Steps(0)
    assert (await slow_start(500, steps))[0] == 0
    assert steps.called == [0]


async def test_nothing_to_do() -> None:
    assert await slow_start(0, Steps()) == (0, None)


def test_a_namespace_that_ends_is_no_failure() -> None:
    error = Forbidden("pods", "", "p", "unable to create new content")
    assert not is_namespace_ending(error)
    assert error.details is not None
    error.details["causes"] = [{"reason": "NamespaceTerminating"}]
    assert is_namespace_ending(error)


async def test_pods_of_a_template_have_the_managed_fields_that_each_would_have_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage()
    client = Client(stage.door, machine="control-plane", user="controller", manager="kube-controller-manager")
    recorder = Recorder(client, "replicaset-controller")
    control = PodControl(client, recorder)
    owner = stage.create(kinds.REPLICA_SETS, workload(replicas=0))
    plain = from_template(template(), owner)
    edited: Json = template()
    edited["metadata"]["annotations"] = {"why": "it was edited"}
    edited["spec"]["containers"][0]["env"] = [{"name": "COLOUR", "value": "blue"}]
    coloured = from_template(edited, owner)

    counted, manage = [], writing.manage

    def counting(*arguments: object) -> Json:
        counted.append(arguments)
        return manage(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(writing, "manage", counting)
    order = [plain] * 3 + [coloured] * 3 + [plain] * 2
    made = [await control.create(pod, owner) for pod in order]
    await recorder.stop()
    assert len(counted) == 3  # once whenever it is another template's turn
    alone = {id(pod): await client.create(kinds.PODS, "default", pod) for pod in (plain, coloured)}
    fields = [pod["metadata"]["managedFields"] for pod in made]
    assert fields == [alone[id(pod)]["metadata"]["managedFields"] for pod in order]
    assert fields[0] != fields[3]
