from labkit.embedded.kubernetes.controllers.podcontrol import is_namespace_ending, slow_start
from labkit.embedded.kubernetes.errors import Forbidden, InternalError


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
