"""Making and ending pods on behalf of an owner, and saying so (``RealPodControl`` in controller_utils.go)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client, Recorder, Unreachable
from labkit.embedded.kubernetes.errors import Conflict, NotFound, StatusError
from labkit.embedded.kubernetes.objects import Json, name_of, namespace_of, uid_of

# How many pods are made or ended before the others in this process get their turn: a few milliseconds' worth.
TURN = 16


class PodControl:
    """Writes pods as a controller does: with an event on the owner for each."""

    def __init__(self, client: Client, recorder: Recorder) -> None:
        self._client = client
        self._recorder = recorder
        # Who makes many pods of a template gives the same dict for each: they have the same managed fields.
        self._last: Json | None = None
        self._fields: Json | None = None  # of the pods that were made of it

    async def create(self, pod: Json, owner: Json) -> Json:
        """Create it. Errors are the registry's; they are told on the owner, too."""
        fields = self._fields if pod is self._last else None
        try:
            created = await self._client.create(kinds.PODS, namespace_of(owner), pod, fields=fields)
        except (StatusError, Unreachable) as error:
            if not is_namespace_ending(error):
                self._recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        if fields is None:
            self._last, self._fields = pod, created["metadata"]["managedFields"][0]["fieldsV1"]
        self._recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {name_of(created)}")
        return created

    async def delete(self, pod: Json, owner: Json) -> bool:
        """Ask for its end; False when it was gone already. A pod of the same name but another uid is left alone."""
        try:
            await self._client.delete(kinds.PODS, namespace_of(pod), name_of(pod), uid=uid_of(pod))
        except (NotFound, Conflict):  # gone; perhaps another one has its name by now
            return False
        except (StatusError, Unreachable) as error:
            self._recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {error}")
            raise
        self._recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")
        return True


def is_namespace_ending(error: Exception) -> bool:
    """Whether it was refused because the namespace is being deleted: nothing to complain about."""
    details = error.details if isinstance(error, StatusError) else None
    return any(cause.get("reason") == "NamespaceTerminating" for cause in (details or {}).get("causes", ()))


async def slow_start(
    count: int, step: Callable[[int], Awaitable[object]], first: int = 1
) -> tuple[int, Exception | None]:
    """Call ``step(i)`` for 0…count-1 in batches of 1, 2, 4, …; after a batch with an error the rest is left.

    So a quota that is used up is asked once, not five hundred times. Returns how many went well, and the first error.
    """
    done, position, size = 0, 0, min(first, count)
    while size > 0:
        failure: Exception | None = None
        for index in range(position, position + size):
            try:
                await step(index)
                done += 1
            except (StatusError, Unreachable) as error:
                failure = failure or error
            if index % TURN == TURN - 1:
                await asyncio.sleep(0)
        if failure is not None:
            return done, failure
        position += size
        size = min(2 * size, count - position)
    return done, None
