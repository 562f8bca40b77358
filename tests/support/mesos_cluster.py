"""A Mesos cluster under test, with Marathon on it, the same whichever engine it runs on: through its HTTP APIs only."""

from __future__ import annotations

import base64
import collections
import contextlib
import getpass
import http.client
import itertools
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

import labkit
from support.until import until

Json = dict[str, Any]

SPEED = 10.0  # of the embedded one: every delay is shorter by this
PATIENCE = 30.0
JSON = "application/json"
MESOS, MARATHON = "LABKIT_MESOS_URL", "LABKIT_MARATHON_URL"  # http://user:password@host:port of a real one
ENGINES = ("embedded", "attached") if os.environ.get(MESOS) and os.environ.get(MARATHON) else ("embedded",)
_names = itertools.count(1)


@contextlib.contextmanager
def opened(engine: str, name: str, **options: Any) -> Iterator[MesosCluster]:
    """A cluster of that engine: one of the tests' own, or the one that the environment names."""
    if engine == "attached":
        yield MesosCluster(os.environ[MESOS], os.environ[MARATHON])
        return
    given: Json = {"speed": SPEED, **options}
    sandbox = labkit.up("marathon", engine="embedded", name=f"{name}-{os.getpid()}", **given)
    try:
        yield MesosCluster(sandbox.env["MESOS_URL"], sandbox.env["MARATHON_URL"], sandbox, given["speed"])
    finally:
        sandbox.down()


class Place:
    """A server: its URL without the credentials, and those."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port or 80
        self.url = f"{parts.scheme}://{self.host}:{self.port}"
        self.auth = (parts.username or "", parts.password or "") if parts.username else None

    def headers(self) -> dict[str, str]:
        if self.auth is None:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(":".join(self.auth).encode()).decode()}


class MesosCluster:
    """The cluster. Made once for many tests; each cleans up what it has made."""

    def __init__(self, mesos: str, marathon: str, sandbox: labkit.Sandbox | None = None, speed: float = 1.0) -> None:
        self.sandbox = sandbox
        self.engine = "embedded" if sandbox is not None else "attached"
        self.mesos = Place(mesos)
        self.marathon = Place(marathon)
        self.speed = speed

    # -- what only a sandbox of labkit's own lets one do

    @property
    def own(self) -> labkit.Sandbox:
        """For tests that pull plugs, or look into the folders of a sandbox."""
        if self.sandbox is None:
            pytest.skip("an attached cluster's machines are not the tests' to stop")
        return self.sandbox

    def seconds(self, cluster_seconds: float) -> float:
        """That much of the cluster's time, in seconds of the wall clock."""
        return cluster_seconds / self.speed

    # -- requests

    def request(self, method: str, url: str, **rest: Any) -> requests.Response:
        """With the credentials; redirects are shown, not followed."""
        rest = {"auth": self.mesos.auth, "timeout": PATIENCE, "allow_redirects": False, **rest}
        return requests.request(method, url, **rest)

    @property
    def leader(self) -> str:
        """The URL of the leading master, as any master redirects to it."""

        def look() -> str | None:
            for place in self.masters():
                try:
                    answer = self.request("GET", f"{place.url}/redirect", auth=None)
                except requests.ConnectionError:
                    continue
                if answer.status_code == 307:
                    return f"http://{urlsplit(answer.headers['Location']).netloc}"
            return None

        return until(look, PATIENCE, "a leading master") or ""

    def master(self, path: str, method: str = "GET", **rest: Any) -> requests.Response:
        """A request to the leading master."""
        return self.request(method, self.leader + path, **rest)

    def show(self, path: str, **query: str) -> Any:
        """The JSON of a path of the leading master."""
        answer = self.master(path, params=query)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def operator(self, kind: str, **part: Any) -> requests.Response:
        """A v1 operator call to the leading master."""
        body = {"type": kind, **({kind.lower(): part} if part else {})}
        return self.master("/api/v1", "POST", json=body)

    def agents(self) -> list[Json]:
        found: list[Json] = self.show("/slaves")["slaves"]
        return found

    def agent(self, agent: Json, path: str, method: str = "GET", **rest: Any) -> requests.Response:
        """A request to an agent, found by the pid that the master shows."""
        address = agent["pid"].rpartition("@")[2]
        return self.request(method, f"http://{address}{path}", **rest)

    def tasks(self, framework_id: str) -> list[Json]:
        found: list[Json] = self.show("/tasks", limit="1000")["tasks"]
        return [task for task in found if task["framework_id"] == framework_id]

    def idle(self) -> bool:
        """Has every agent's resource been given back, by all but the sandbox's own frameworks?"""
        return not any(agent["used_resources"]["cpus"] for agent in self.agents())

    def masters(self) -> list[Place]:
        """All masters that one can ask."""
        if self.sandbox is None:
            return [self.mesos]
        return [Place(m.env["MESOS_URL"]) for m in self.sandbox.machines if m.role == "master"]

    def name(self, what: str = "conf") -> str:
        return f"{what}-{next(_names)}"


def framework_info(**fields: Any) -> Json:
    return {"user": getpass.getuser(), "name": "conformance", "roles": ["*"], **MULTI_ROLE, **fields}


MULTI_ROLE: Json = {"capabilities": [{"type": "MULTI_ROLE"}]}


class Stream:
    """Records of a streaming answer, read as they come by a thread of its own."""

    def __init__(self, place: Place, path: str, body: Json, **headers: str) -> None:
        self._connection = http.client.HTTPConnection(place.host, place.port, timeout=PATIENCE)
        given = {"Content-Type": JSON, "Accept": JSON, **place.headers(), **headers}
        self._connection.request("POST", path, json.dumps(body), given)
        self._sock = self._connection.sock
        self.answer = self._connection.getresponse()
        self.status = self.answer.status
        self.events: queue.Queue[Json | None] = queue.Queue()
        self.later: dict[str, collections.deque[Json]] = collections.defaultdict(collections.deque)
        self.seen: list[Json] = []
        self.ended = threading.Event()
        if self.status == 200:
            self._sock.settimeout(None)
            threading.Thread(target=self._read, daemon=True).start()
        else:
            self.words = self.answer.read().decode()
            self.close()

    def _read(self) -> None:
        try:
            while length := self.answer.readline():
                event = json.loads(self.answer.read(int(length)))
                self.seen.append(event)
                self.events.put(event)
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            pass  # it was closed
        self.ended.set()
        self.events.put(None)

    def close(self) -> None:
        """As when the process ends."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(2)
        self._connection.close()

    def event(self, kind: str, where: Callable[[Json], bool] = lambda event: True, seconds: float = PATIENCE) -> Json:
        """The next event of that type that is like that; those of other types wait for their turn."""
        deadline = time.monotonic() + seconds
        while True:
            while self.later[kind]:
                if where(event := self.later[kind].popleft()):
                    return event
            try:
                came = self.events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {kind} within {seconds:g} s; seen: {self.seen[-5:]}") from None
            if came is None:
                self.events.put(None)
                raise AssertionError(f"the stream ended before {kind}; seen: {[one['type'] for one in self.seen]}")
            self.later[came["type"]].append(came)

    def quiet(self, kind: str, seconds: float, where: Callable[[Json], bool] = lambda event: True) -> bool:
        """Does no such event come for that long?"""
        try:
            self.event(kind, where, seconds)
        except AssertionError:
            return True
        return False


class Scheduler:
    """A framework written for a test: it subscribes, and does what it is told."""

    def __init__(self, cluster: MesosCluster, **info: Any) -> None:
        self.cluster = cluster
        self.info = framework_info(**info)
        self.id = ""
        self.stream_id = ""
        self.stream: Stream
        self.offers: dict[str, Json] = {}

    def subscribe(self, **fields: Any) -> Json:
        """Subscribe, again if it has an id, and see SUBSCRIBED."""
        body: Json = {"type": "SUBSCRIBE", "subscribe": {"framework_info": self.info, **fields}}
        if self.id:
            self.info = {**self.info, "id": {"value": self.id}}
            body["framework_id"] = {"value": self.id}
            body["subscribe"]["framework_info"] = self.info
        self.open(body)
        assert self.stream.status == 200, self.stream.words
        event = self.stream.event("SUBSCRIBED")
        self.id = event["subscribed"]["framework_id"]["value"]
        self.stream_id = self.stream.answer.headers["Mesos-Stream-Id"]
        return event

    def open(self, body: Json, **headers: str) -> Stream:
        place = Place(self.cluster.leader)
        place.auth = self.cluster.mesos.auth
        self.stream = Stream(place, "/api/v1/scheduler", body, **headers)
        return self.stream

    def post(self, body: Json | bytes, **headers: str) -> requests.Response:
        """A call as it stands."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": JSON, "Mesos-Stream-Id": self.stream_id, **headers}
        headers = {name: value for name, value in given.items() if value}
        return self.cluster.master("/api/v1/scheduler", "POST", data=data, headers=headers)

    def call(self, kind: str, **part: Any) -> requests.Response:
        body: Json = {"type": kind, "framework_id": {"value": self.id}}
        if part:
            body[kind.lower()] = part
        return self.post(body)

    def told(self, kind: str, **part: Any) -> None:
        """A call that is accepted."""
        answer = self.call(kind, **part)
        assert answer.status_code == 202, f"{kind}: {answer.status_code} {answer.text}"

    # -- offers and tasks

    def offer(self, where: Callable[[Json], bool] = lambda offer: True, seconds: float = PATIENCE) -> Json:
        """The next offer that is like that; the others are kept in ``offers``."""
        found: list[Json] = []

        def fits(event: Json) -> bool:
            for one in event["offers"]["offers"]:
                self.offers[one["id"]["value"]] = one
                if not found and where(one):
                    found.append(one)
            return bool(found)

        self.stream.event("OFFERS", fits, seconds)
        return found[0]

    def accept(self, offer: Json, *tasks: Json, refuse: float = 0.0, kind: str = "LAUNCH") -> requests.Response:
        operations = [{"type": kind, "launch": {"task_infos": list(tasks)}}] if tasks else []
        return self.call("ACCEPT", offer_ids=[offer["id"]], operations=operations, filters={"refuse_seconds": refuse})

    def task(self, offer: Json, command: str | Json = "sleep 1000", **fields: Any) -> Json:
        """A task for that offer's agent."""
        given = {"value": command} if isinstance(command, str) else command
        return {
            "name": "task",
            "task_id": {"value": self.cluster.name("task")},
            "agent_id": offer["agent_id"],
            "resources": resources(),
            "command": given,
            **fields,
        }

    def launch(self, command: str | Json = "sleep 1000", **fields: Any) -> Json:
        """Run something on whatever is offered next; the task as it was launched."""
        offer = self.offer()
        task = self.task(offer, command, **fields)
        answer = self.accept(offer, task)
        assert answer.status_code == 202, answer.text
        return task

    def running(self, command: str | Json = "sleep 1000", **fields: Any) -> Json:
        """The same, once it runs."""
        task = self.launch(command, **fields)
        self.status(task, "TASK_RUNNING")
        return task

    def status(self, task: Json, *states: str, seconds: float = PATIENCE, acknowledge: bool = True) -> Json:
        """The next status of the task that is one of those; what comes before it is acknowledged, too."""
        found: list[Json] = []

        def fits(event: Json) -> bool:
            status = event["update"]["status"]
            if acknowledge:
                self.acknowledge(status)
            if status["task_id"] == task["task_id"] and (not states or status["state"] in states):
                found.append(status)
            return bool(found)

        self.stream.event("UPDATE", fits, seconds)
        return found[0]

    def acknowledge(self, status: Json) -> None:
        if "uuid" in status:
            part = {"agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]}
            self.told("ACKNOWLEDGE", **part)

    def end(self) -> None:
        """Tear down what was subscribed, whatever has become of it."""
        if self.id:
            answer = self.cluster.master("/teardown", "POST", data={"frameworkId": self.id})
            assert answer.status_code in (200, 400), answer.text
        if hasattr(self, "stream"):
            self.stream.close()


def scalar(name: str, value: float, role: str = "*") -> Json:
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}, "allocation_info": {"role": role}}


def resources(cpus: float = 0.1, mem: float = 16, role: str = "*") -> list[Json]:
    return [scalar("cpus", cpus, role), scalar("mem", mem, role)]


def of(offer: Json, name: str) -> float:
    """How much of a scalar there is in an offer."""
    return float(sum(one["scalar"]["value"] for one in offer["resources"] if one["name"] == name))
