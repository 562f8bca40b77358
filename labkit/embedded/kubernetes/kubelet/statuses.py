"""Writes pods' statuses to the API server, the newest of each, and deletes pods whose end they report.

One task a machine, while there is something to write. When the API server does not answer, it tries again; what has
been overtaken meanwhile is never written. As ``pkg/kubelet/status/status_manager.go``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client, Unreachable
from labkit.embedded.kubernetes.errors import NotFound, StatusError
from labkit.embedded.kubernetes.kubelet import pods
from labkit.embedded.kubernetes.kubelet.lastwords import ended
from labkit.embedded.kubernetes.kubelet.status import merged
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime import loops

log = logging.getLogger("labkit.kubernetes.kubelet")

RETRY = 10.0  # seconds; the status manager goes over everything that often


@dataclass(slots=True)
class _Due:
    namespace: str
    name: str
    uid: str  # in the API server, which for a static pod's mirror is another one than its own
    status: Json
    final: bool
    done: Callable[[], object] | None


class Statuses:
    """The statuses that one kubelet has to write."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._due: dict[str, _Due] = {}
        self._task: asyncio.Task[None] | None = None

    def submit(
        self,
        namespace: str,
        name: str,
        uid: str,
        status: Json,
        *,
        final: bool = False,
        done: Callable[[], object] | None = None,
    ) -> None:
        """This is its status now. ``final``: and it is over, take it out of the API server; then call ``done``."""
        self._put(_Due(namespace, name, uid, status, final, done))
        if self._task is None:
            self._task = loops.create_task(self._flush())

    def _put(self, due: _Due) -> None:
        """What is over stays over, whatever is told after it."""
        before = self._due.get(due.uid)
        if before is not None and before.final and not due.final:
            due.final, due.done = True, before.done
        self._due[due.uid] = due

    def forget(self, uid: str) -> None:
        """It is gone from the API server."""
        self._due.pop(uid, None)

    async def stop(self) -> None:
        """End; what has not been written is not. A kubelet that starts again works it out anew."""
        task, self._task = self._task, None
        self._due.clear()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _flush(self) -> None:
        while self._due:
            uid = next(iter(self._due))
            due = self._due.pop(uid)
            try:
                await self._write(due)
            except Unreachable:
                await self._later(uid, due)
            except NotFound:
                if due.done is not None:
                    due.done()
            except StatusError as error:
                if error.code >= 500:  # an API server whose etcd is away: the pod is as it is, and will be told of
                    await self._later(uid, due)
                else:
                    log.warning("the status of %s/%s is refused: %s", due.namespace, due.name, error)
            except Exception:
                log.exception("the status of %s/%s could not be written", due.namespace, due.name)
        self._task = None

    async def _later(self, uid: str, due: _Due) -> None:
        """Put it back, below what came meanwhile, and wait a while."""
        newer = self._due.pop(uid, None)
        self._due[uid] = due
        if newer is not None:
            self._put(newer)
        await self._client.clock.sleep(RETRY)

    async def _write(self, due: _Due) -> None:
        def change(live: Json) -> Json | None:
            before = live.get("status") or {}
            if live["metadata"].get("uid") != due.uid:
                return None
            is_last = due.final and not pods.is_static(live)
            after = merged(before, ended(due.status) if is_last else due.status)
            return None if after == before else {**live, "status": after}

        await self._client.modify(kinds.PODS, due.namespace, due.name, change, subresource="status")
        if due.final:
            await self._client.delete(kinds.PODS, due.namespace, due.name, grace_period_seconds=0, uid=due.uid)
            if due.done is not None:
                due.done()
