"""An instance of an app and the task that runs for it.

Ids are those of Marathon 1.9 and later: the instance ``group_web.instance-<uuid>`` stays when its task ends, and each
launch gives it a task of its own, ``group_web.instance-<uuid>._app.<incarnation>``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from labkit.embedded.marathon.core import conditions as c

if TYPE_CHECKING:
    from labkit.embedded.marathon.specs import App

Json = dict[str, Any]

RUN = "Running"  # goals: what shall become of it
DECOMMISSIONED = "Decommissioned"

_TASK_ID = re.compile(r"(.+\.(?:instance-|marathon-)[^_.]+)[._][^.]+(?:\.(\d+))?")


def safe_path(app_id: str) -> str:
    """``/group/web`` as it stands in task ids: ``group_web``."""
    return app_id.lstrip("/").replace("/", "_")


def instance_id_of(task_id: str) -> str | None:
    """The instance a task id belongs to; None when it is none of Marathon's."""
    match = _TASK_ID.fullmatch(task_id)
    return match[1] if match else None


def app_id_of(instance_id: str) -> str:
    """The app that an instance id names."""
    return "/" + instance_id.rpartition(".")[0].replace("_", "/")


class Instance:
    """One instance, mutable: only the tracker changes it, and tells what it changed.

    ``goal`` says what shall become of it, ``condition`` what is. Times are seconds of sandbox time. ``healthy`` is
    None until a health check has spoken.
    """

    __slots__ = (
        "agent_id",
        "app",
        "attributes",
        "condition",
        "goal",
        "healthy",
        "host",
        "id",
        "incarnation",
        "ip_addresses",
        "message",
        "ports",
        "ready",
        "region",
        "since",
        "staged_at",
        "started_at",
        "status",
        "stored",
        "task_id",
        "unreachable_since",
        "zone",
    )

    def __init__(self, id: str, app: App, now: float) -> None:
        self.id = id
        self.app = app
        self.goal = RUN
        self.condition = c.SCHEDULED
        self.since = now
        self.incarnation = 0
        self.task_id = ""
        self.agent_id = ""
        self.host = ""
        self.attributes: tuple[Json, ...] = ()
        self.region: str | None = None
        self.zone: str | None = None
        self.ports: tuple[int, ...] = ()
        self.ip_addresses: tuple[Json, ...] = ()
        self.staged_at: float | None = None
        self.started_at: float | None = None
        self.unreachable_since: float | None = None
        self.healthy: bool | None = None
        self.ready = False  # its readiness checks have passed (in memory only: a new leader asks again)
        self.status: Json = {}  # the last status that Mesos sent
        self.message = ""
        self.stored = False  # ZooKeeper knows of it

    # -- what it is

    @property
    def app_id(self) -> str:
        return self.app.id

    @property
    def version(self) -> str:
        return self.app.version

    @property
    def scheduled(self) -> bool:
        """It waits to be launched."""
        return self.condition == c.SCHEDULED and self.goal == RUN

    @property
    def active(self) -> bool:
        """Mesos knows, or may know, its task."""
        return self.condition in c.ACTIVE

    @property
    def launched(self) -> bool:
        """There is a task of it somewhere, even if nobody sees it now."""
        return self.condition in c.ACTIVE or self.condition == c.UNREACHABLE_INACTIVE

    @property
    def running(self) -> bool:
        return self.condition == c.RUNNING

    @property
    def considered_healthy(self) -> bool:
        """Healthy, or nothing checks it."""
        return self.healthy is True or not (self.app.health_checks or self.app.readiness_checks)

    def next_task_id(self) -> str:
        """The id of the task that its next launch gives it."""
        return f"{self.id}._app.{self.incarnation + 1}"

    # -- as it is stored

    def as_json(self) -> Json:
        """As it is stored; :meth:`from_json` reads it."""
        return {
            "id": self.id,
            "appId": self.app.id,
            "version": self.app.version,
            "goal": self.goal,
            "condition": self.condition,
            "since": self.since,
            "incarnation": self.incarnation,
            "taskId": self.task_id,
            "agentInfo": {
                "agentId": self.agent_id,
                "host": self.host,
                "attributes": self.attributes,
                "region": self.region,
                "zone": self.zone,
            },
            "hostPorts": self.ports,
            "ipAddresses": self.ip_addresses,
            "stagedAt": self.staged_at,
            "startedAt": self.started_at,
            "unreachableSince": self.unreachable_since,
            "healthy": self.healthy,
        }

    @classmethod
    def from_json(cls, body: Json, app: App) -> Instance:
        """Take up what :meth:`as_json` gave. ``app`` is the version that it was launched with."""
        instance = cls(body["id"], app, body["since"])
        instance.goal = body["goal"]
        instance.condition = body["condition"]
        instance.incarnation = body["incarnation"]
        instance.task_id = body["taskId"]
        agent = body["agentInfo"]
        instance.agent_id, instance.host = agent["agentId"], agent["host"]
        instance.attributes = tuple(agent["attributes"])
        instance.region, instance.zone = agent["region"], agent["zone"]
        instance.ports = tuple(body["hostPorts"])
        instance.ip_addresses = tuple(body["ipAddresses"])
        instance.staged_at, instance.started_at = body["stagedAt"], body["startedAt"]
        instance.unreachable_since = body["unreachableSince"]
        instance.healthy = body["healthy"]
        instance.stored = True
        return instance
