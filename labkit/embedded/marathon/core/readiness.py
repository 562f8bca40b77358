"""Readiness checks: may a deployment count a new task yet?

``core/readiness/impl/ReadinessCheckExecutorImpl.scala``, ``docs/docs/readiness-checks.md``: an HTTP request every
``intervalSeconds`` from when the task runs until it is answered with one of ``httpStatusCodesForReady``. Their results
stand in the app (``embed=apps.readiness``) while its deployment lasts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labkit.embedded.marathon.core import probing
from labkit.embedded.marathon.core.instances import Instance
from labkit.embedded.marathon.core.probing import NoAnswer, NotAsked, Prober
from labkit.embedded.runtime.chores import Chores

Json = dict[str, Any]


class ReadinessChecks:
    """Of one app in one deployment. ``became_ready(instance)`` is called once for each."""

    def __init__(self, prober: Prober, became_ready: Callable[[Instance], object]) -> None:
        self._prober = prober
        self._became_ready = became_ready
        self._chores = Chores()
        self._results: dict[str, dict[str, Json]] = {}  # by instance and name of the check
        self._asked: set[str] = set()  # tasks that are being asked

    def start(self, instance: Instance) -> None:
        """Ask it until it is ready. Harmless when that is being done."""
        if instance.task_id in self._asked or instance.ready:
            return
        self._asked.add(instance.task_id)
        self._chores.start(self._until_ready(instance, instance.task_id))

    def close(self) -> None:
        """Ask nobody any more."""
        self._chores.cancel()

    def results(self) -> list[Json]:
        """What each instance said last."""
        return [result for results in self._results.values() for result in results.values()]

    async def _until_ready(self, instance: Instance, task_id: str) -> None:
        try:
            for check in instance.app.readiness_checks:  # at most one, says the validation
                while not await self._ask(instance, task_id, check):
                    await self._prober.clock.sleep(float(check["intervalSeconds"]))
                    if instance.task_id != task_id or not instance.running:
                        self._results.pop(instance.id, None)
                        return
        finally:
            self._asked.discard(task_id)
        if instance.task_id == task_id and instance.running:
            instance.ready = True
            self._became_ready(instance)

    async def _ask(self, instance: Instance, task_id: str, check: Json) -> bool:
        result: Json = {"name": check["name"], "taskId": task_id, "ready": False}
        try:
            host = probing.address(instance.app, instance)
            port = probing.named_port(instance.app, instance, check["portName"])
            answer = await self._prober.http(host, port, check["path"], float(check["timeoutSeconds"]))
            result["ready"] = answer.status in check["httpStatusCodesForReady"]
            if check.get("preserveLastResponse"):
                result["lastResponse"] = {
                    "status": answer.status,
                    "contentType": answer.content_type,
                    "body": answer.body.decode("utf-8", "replace"),
                }
        except (NoAnswer, NotAsked) as error:
            if check.get("preserveLastResponse"):
                result["lastResponse"] = {"status": 504, "contentType": "text/plain", "body": str(error)}
        self._results.setdefault(instance.id, {})[check["name"]] = result
        return bool(result["ready"])
