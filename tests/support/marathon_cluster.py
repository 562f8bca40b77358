"""A Marathon under test, the same whichever engine it runs on: through its HTTP API, in a group of the test's own."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import requests

from support.mesos_cluster import PATIENCE, MesosCluster, Place
from support.until import until

Json = dict[str, Any]

WHOAMI = "traefik/whoami:v1.10"


class Marathon:
    """Apps below ``home``, which goes after the test."""

    def __init__(self, cluster: MesosCluster, home: str) -> None:
        self.cluster = cluster
        self.home = home
        self.url = cluster.marathon.url
        self.used = False

    # -- requests

    def call(self, method: str, path: str, body: Any = None, **rest: Any) -> requests.Response:
        """A request with the credentials; ``body`` is JSON, or bytes as they are."""
        self.used = self.used or method in ("POST", "PUT", "PATCH")
        if isinstance(body, bytes):
            rest["data"] = body
            rest["headers"] = {"Content-Type": "application/json", **rest.get("headers", {})}
        elif body is not None:
            rest["json"] = body
        return self.cluster.request(method, self.url + path, **{"auth": self.cluster.marathon.auth, **rest})

    def get(self, path: str, **query: Any) -> Any:
        answer = self.call("GET", path, params=query)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def done(self, method: str, path: str, body: Any = None, **query: Any) -> Json:
        """A change that is accepted, once its deployment is over."""
        answer = self.call(method, path, body, params=query)
        assert answer.status_code in (200, 201), f"{method} {path}: {answer.status_code} {answer.text}"
        told: Json = answer.json()
        self.deployed(answer)
        return told

    def deployed(self, answer: requests.Response, seconds: float = PATIENCE) -> None:
        """Waits until the deployment that an answer names is over."""
        wanted = answer.headers["Marathon-Deployment-Id"]
        until(
            lambda: wanted not in [one["id"] for one in self.deployments()], seconds, f"deployment {wanted} ends", 0.02
        )

    # -- apps

    def id(self, name: str = "app") -> str:
        return f"{self.home}/{name}"

    def body(self, name: str = "app", **fields: Any) -> Json:
        """A plain app of the test's own; a field that is None is left out."""
        app = {"id": self.id(name), "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16, "instances": 1, **fields}
        return {key: value for key, value in app.items() if value is not None}

    def create(self, name: str = "app", **fields: Any) -> Json:
        """POST /v2/apps, and wait for it to run; the app as it is shown then."""
        body = self.body(name, **fields)
        self.done("POST", "/v2/apps", body)
        return self.app(name)

    def app(self, name: str = "app", **query: Any) -> Json:
        found: Json = self.get(f"/v2/apps{self.id(name)}", **query)["app"]
        return found

    def tasks(self, name: str = "app", state: str | None = "TASK_RUNNING") -> list[Json]:
        found: list[Json] = self.get(f"/v2/apps{self.id(name)}/tasks")["tasks"]
        return [task for task in found if state is None or task["state"] == state]

    def running(self, count: int, name: str = "app", seconds: float = PATIENCE) -> list[Json]:
        """The tasks of the app, once exactly so many run."""

        def look() -> list[Json] | None:
            found = self.tasks(name, None)
            return found if [task["state"] for task in found] == ["TASK_RUNNING"] * count else None

        return until(look, seconds, f"{count} tasks of {name} run", 0.02) or []

    def deployments(self) -> list[Json]:
        found: list[Json] = self.get("/v2/deployments")
        return [one for one in found if any(app.startswith(self.home + "/") for app in one["affectedApps"])]

    def queued(self, name: str = "app", **query: Any) -> Json:
        """The app's entry in the launch queue. Raises AssertionError."""
        for item in self.get("/v2/queue", **query)["queue"]:
            if item["app"]["id"] == self.id(name):
                found: Json = item
                return found
        raise AssertionError(f"{name} is not in the queue")

    def refused(self, name: str = "app") -> dict[str, int]:
        """Why its last offers were not taken: how many were declined, by reason."""
        summary = self.queued(name)["processedOffersSummary"]
        rows = summary["rejectSummaryLastOffers"]
        assert any(row["declined"] for row in rows)
        return {row["reason"]: row["declined"] for row in rows if row["declined"]}

    # -- what tasks do

    def output(self, task: Json, name: str = "stdout") -> str:
        """What a task has written, through its agent's files."""
        agent = next(one for one in self.cluster.agents() if one["id"] == task["slaveId"])
        framework = self.get("/v2/info")["frameworkId"]
        path = f"/frameworks/{framework}/executors/{task['id']}/runs/latest/{name}"
        answer = self.cluster.agent(agent, "/files/read", params={"path": path, "offset": "0"})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"])

    def attributes(self, task: Json) -> dict[str, str]:
        """Of the agent on which a task runs."""
        found: dict[str, str] = next(one for one in self.cluster.agents() if one["id"] == task["slaveId"])["attributes"]
        return found

    # -- events

    @contextlib.contextmanager
    def events(self, *types: str, **query: str) -> Iterator[EventStream]:
        """The event stream, attached."""
        pairs = [("event_type", kind) for kind in types] + list(query.items())
        path = "/v2/events" + ("?" + "&".join(f"{key}={value}" for key, value in pairs) if pairs else "")
        place = Place(self.leader_url())
        place.auth = self.cluster.marathon.auth
        stream = EventStream(place, path)
        try:
            yield stream
        finally:
            stream.close()

    def leader_url(self) -> str:
        return f"http://{self.get('/v2/leader')['leader']}"

    # -- afterwards

    def clear(self) -> None:
        """Everything below ``home`` goes."""
        if not self.used:
            return
        answer = self.call("DELETE", f"/v2/groups{self.home}", params={"force": "true"})
        if answer.status_code == 200:
            self.deployed(answer, 60.0)


class EventStream:
    """Server-sent events, read as they come by a thread of its own."""

    def __init__(self, place: Place, path: str) -> None:
        self._connection = http.client.HTTPConnection(place.host, place.port, timeout=PATIENCE)
        self._connection.request("GET", path, headers={"Accept": "text/event-stream", **place.headers()})
        assert self._connection.sock is not None
        self._sock = self._connection.sock
        self.answer = self._connection.getresponse()
        assert self.answer.status == 200, self.answer.read()
        self._sock.settimeout(None)
        self.seen: list[tuple[str, Json]] = []
        self.ended = threading.Event()
        self._events: queue.Queue[tuple[str, Json]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        kind = ""
        try:
            while line := self.answer.readline():
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    self.seen.append((kind, json.loads(value)))
                    self._events.put(self.seen[-1])
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            pass  # it was closed
        self.ended.set()

    def next(self, kind: str, where: Callable[[Json], bool] = lambda event: True, seconds: float = PATIENCE) -> Json:
        """The next event of that type that is like that; those before it are passed over."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                name, event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                names = [name for name, _ in self.seen]
                raise AssertionError(f"no {kind} within {seconds:g} s; seen: {names}") from None
            if name == kind and where(event):
                return event

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(2)
        self._connection.close()
