"""The last snapshot and what it was made of, so that the next one makes only what changed and forgets nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from labkit.model import Endpoint, Framework, Node, NodeState, Offer, State, Task, Workload
from labkit.orchestrators.marathon import apps, discovery, reading
from labkit.orchestrators.marathon.sources import Places, Raw, parsed

Json = Mapping[str, Any]
Item = TypeVar("Item", Node, Workload, Task, Endpoint, Framework, Offer)

_UNREACHABLE = "unreachable: the masters have not heard of it for a while, and its tasks are lost to them"
_NOT_BACK = "has not registered again since this master leads"
_STORE_NODE = "zookeeper:"
SAID_KEPT = 2000  # ends of tasks that are remembered with their words


class Memory:
    """Turns what was read into model objects; each stays the same object as long as it is equal.

    What could not be read this time is what was read last: a cluster without a leading master keeps its tasks.
    """

    def __init__(self, places: Places) -> None:
        self.nodes: dict[str, Node] = {}
        self.workloads: dict[str, Workload] = {}
        self.tasks: dict[str, Task] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.frameworks: dict[str, Framework] = {}
        self.offers: dict[str, Offer] = {}
        self.queue: list[Json] = []
        self.marathon = ""  # the id of its framework
        self._places = places
        self._bodies: dict[str, bytes] = {}
        self._parsed: dict[str, Any] = {}
        self._seen: tuple[Any, ...] = ()
        self._said: dict[str, str] = {}  # task → what was said of its end; the masters' /state does not keep it
        self._lost: dict[str, Node] = {}  # agents that were there once, and are not in the master's list any more

    @property
    def state(self) -> Json:
        """The newest ``/state``; empty before there was one."""
        found: Json = self._parsed.get("state") or {}
        return found

    def note(self, event: Json) -> None:
        """An event of Marathon's: keeps what it says of a task's end. From any thread."""
        message = str(event.get("message") or "")
        if event.get("eventType") == "status_update_event" and message and event.get("taskId"):
            self._remember(str(event["taskId"]), message)

    def _remember(self, task: str, message: str) -> None:
        self._said[task] = message
        while len(self._said) > SAID_KEPT:
            self._said.pop(next(iter(self._said)), None)

    def take(self, raw: Raw) -> bool:
        """Learn what a look brought; whether nodes, workloads or tasks are other ones than before."""
        fresh = {key for key, body in raw.bodies.items() if body != self._bodies.get(key)}
        said = next(reversed(self._said.items()), None)
        around = (raw.leader, tuple(raw.masters.items()), tuple(raw.members.items()), raw.mesos_error != "", said)
        if not fresh and around == self._seen:
            return False
        self._seen = around
        for key in fresh:
            self._bodies[key] = raw.bodies[key]
            body = raw.bodies[key]
            self._parsed[key] = body.decode("utf-8", "replace") if key == "haproxy" else parsed(body, {})
        before = (self.nodes, self.workloads, self.tasks)
        self._read(raw)
        return any(old is not new for old, new in zip(before, (self.nodes, self.workloads, self.tasks), strict=True))

    # -- putting together ----------------------------------------------------------------------------------------

    def _read(self, raw: Raw) -> None:
        state = self.state
        found = _rows(self._parsed.get("apps"), "apps")
        tasks = _rows(self._parsed.get("tasks"), "tasks")
        self.queue = _rows(self._parsed.get("queue"), "queue")
        frameworks = list(reading.frameworks_of(state))
        self.marathon = _marathon(frameworks, self._parsed.get("info") or {})
        agents = self._agents(state)
        self.nodes = kept(self.nodes, [*self._masters(raw, state), *agents])
        self.offers = kept(self.offers, reading.read_offers(state))
        self.tasks = kept(self.tasks, self._tasks(frameworks, found, tasks))
        self.workloads = kept(self.workloads, self._workloads(frameworks, found))
        total = reading.totals(state)
        weights = reading.weights_of(self._parsed.get("roles") or {})
        names = tuple(sorted(str(app["id"]) for app in found))
        self.frameworks = kept(
            self.frameworks,
            (
                reading.read_framework(f, total, weights, names if f["id"] == self.marathon else (str(f["id"]),))
                for f in frameworks
            ),
        )
        self.endpoints = kept(self.endpoints, self._endpoints(found, tasks))

    def _tasks(self, frameworks: Iterable[Json], found: list[Json], tasks: list[Json]) -> Iterable[Task]:
        naming, health = apps.marathon_naming(tasks, found), apps.healthy(tasks, found)
        remembered = {str(task["id"]) for task in tasks}
        for app in found:
            failure = app.get("lastTaskFailure") or {}
            if failure.get("taskId") and failure.get("message") and failure["taskId"] not in self._said:
                self._remember(str(failure["taskId"]), str(failure["message"]))
        for framework in frameworks:
            if framework["id"] == self.marathon:
                for task in reading.read_tasks(framework, naming):
                    message = self._said.get(task.id, "")
                    if message and not task.message and not task.state.alive:
                        task = replace(task, message=message)
                    if task.state is State.LOST and task.id not in remembered:
                        task = replace(task, wanted=False)  # expunged: should it come back, Marathon will kill it
                    yield apps.with_health(task, health)
            else:
                yield from reading.read_tasks(framework, reading.plain_naming(str(framework["id"])))
        yield from apps.waiting(self.queue)

    def _workloads(self, frameworks: Iterable[Json], found: list[Json]) -> Iterable[Workload]:
        running: dict[str, int] = {}
        alive: dict[str, int] = {}
        for task in self.tasks.values():
            running[task.workload] = running.get(task.workload, 0) + (task.state is State.RUNNING)
            alive[task.workload] = alive.get(task.workload, 0) + task.state.alive
        deployments = self._parsed.get("deployments")
        words = apps.deploying(deployments if isinstance(deployments, list) else ())
        for app in found:
            app_id = str(app["id"])
            yield apps.read_app(app, running.get(app_id, 0), words.get(app_id, ""))
        for framework in frameworks:
            key = str(framework["id"])
            if key != self.marathon:
                name = str(framework.get("name") or key)
                wanted = alive.get(key, 0)
                yield Workload(key, name, "framework", "framework", desired=wanted, running=running.get(key, 0))

    def _endpoints(self, found: list[Json], tasks: list[Json]) -> list[Endpoint]:
        back = discovery.back_ends(self._parsed.get("haproxy") or "")
        owners = {str(task["id"]): str(task.get("appId", "")) for task in tasks}
        name = next((f.name for f in self.frameworks.values() if f.id == self.marathon), "marathon")
        return [
            *discovery.balanced(back, found, apps.ports_of(tasks)),
            *discovery.named(self._parsed.get("dns") or {}, name, owners),
        ]

    # -- nodes -----------------------------------------------------------------------------------------------------

    def _masters(self, raw: Raw, state: Json) -> list[Node]:
        leads = "" if raw.mesos_error else raw.leader
        version = str(state.get("version", ""))
        stores = self._stores(raw.members)
        made: dict[str, Node] = {}
        for name, server in self._places.masters.items():
            there = raw.masters.get(name, False) or server.netloc == leads
            made[name] = Node(
                id=f"master:{server.netloc}", name=name, role="master", leader=there and server.netloc == leads,
                state=NodeState.READY if there else NodeState.DOWN, reachable=there, address=server.host,
                version=version, store=stores.pop(name, ""), message="" if there else "this master does not answer",
            )  # fmt: skip
        if leads and not any(server.netloc == leads for server in self._places.masters.values()):
            # A master that nobody told us of: the one that we were sent to.
            made[leads] = Node(f"master:{leads}", leads, "master", NodeState.READY, leader=True, reachable=True,
                               address=leads.rpartition(":")[0], version=version)  # fmt: skip
        for name, mode in stores.items():
            down = mode in ("down", "no quorum")
            made[name] = Node(f"{_STORE_NODE}{name}", name, "zookeeper", store=mode,
                              state=NodeState.DOWN if mode == "down" else NodeState.READY,
                              message="this member of the ensemble serves nobody" if down else "")  # fmt: skip
        return list(made.values())

    def _stores(self, members: Mapping[str, str]) -> dict[str, str]:
        """Node name → what its member of the ensemble is; members on machines of their own go by their address."""
        hosts = {server.host: name for name, server in self._places.masters.items()}
        found: dict[str, str] = {}
        for member, mode in members.items():
            if mode:
                host = member.rpartition(":")[0]
                found[self._places.members.get(member) or hosts.get(host) or member] = mode
        return found

    def _agents(self, state: Json) -> list[Node]:
        there = [reading.read_agent(agent) for agent in state.get("slaves") or ()]
        known = {agent.id for agent in there}
        for data in state.get("recovered_slaves") or ():
            if str(data.get("id")) not in known:
                back = replace(reading.read_agent(data), state=NodeState.UNKNOWN, message=_NOT_BACK)
                there.append(back)
                known.add(back.id)
        places = {agent.address for agent in there} | {agent.name for agent in there}
        for node in self.nodes.values():
            if node.role == "agent" and node.id not in known:
                self._lost[node.id] = replace(node, state=NodeState.DOWN, message=_UNREACHABLE)
        for framework in state.get("frameworks") or ():
            for task in framework.get("unreachable_tasks") or ():
                key = str(task.get("slave_id", ""))
                if key and key not in known and key not in self._lost:
                    name = key.rpartition("-")[2] or key
                    self._lost[key] = Node(key, name, "agent", NodeState.DOWN, message=_UNREACHABLE)
        # An agent that came back as another one (a new id at the same address) takes the old one's place.
        self._lost = {
            key: node
            for key, node in self._lost.items()
            if key not in known and node.name not in places and (not node.address or node.address not in places)
        }
        self._name_the_lost({agent.name for agent in there})
        return [*there, *self._lost.values()]

    def _name_the_lost(self, there: set[str]) -> None:
        """Nobody tells which machine an agent was on that was lost before we looked; if only one is left, on that."""
        nameless = [node for node in self._lost.values() if not node.address and node.name not in self._places.agents]
        free = set(self._places.agents) - there - {node.name for node in self._lost.values()}
        if len(nameless) == len(free) == 1:
            self._lost[nameless[0].id] = replace(nameless[0], name=free.pop())


def _marathon(frameworks: Iterable[Json], info: Json) -> str:
    """The id of Marathon's framework: as it says itself; by its name while it cannot be asked."""
    told = str(info.get("frameworkId") or "")
    ids = [str(f["id"]) for f in frameworks]
    if told in ids:
        return told
    return next((str(f["id"]) for f in frameworks if str(f.get("name", "")).startswith("marathon")), told)


def _rows(found: Any, key: str) -> list[Json]:
    rows = found.get(key) if isinstance(found, Mapping) else None
    return [row for row in rows or () if isinstance(row, Mapping)]


def kept(before: dict[str, Item], now: Iterable[Item]) -> dict[str, Item]:
    """By id, the old object wherever the new one equals it; the old mapping if nothing changed at all."""
    made = {item.id: before[item.id] if before.get(item.id) == item else item for item in now}
    same = len(made) == len(before) and all(before.get(key) is item for key, item in made.items())
    return before if same else made
