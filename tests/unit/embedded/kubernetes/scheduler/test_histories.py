"""Any history of a cluster: whoever waits at its end really fits nowhere, and nobody was pushed aside by an equal.

This is what finds a change after which a pod should have been tried again, and was not.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.objects import Json, edited, is_terminating, name_of

from .conftest import Stage
from .making import ZONE, a_pod, apart, near, spread, term
from .naive import Naive

WEB, DB = {"app": "web"}, {"app": "db"}
PODS: list[dict[str, Any]] = [
    {"cpu": "500m"},
    {"cpu": "500m", "priorityClassName": "high"},
    {"cpu": "1", "labels": DB, "priorityClassName": "high"},
    {"labels": WEB, "topologySpreadConstraints": [spread()]},
    {"labels": WEB, "topologySpreadConstraints": [spread(ZONE)]},
    {"labels": DB, "affinity": apart(term(app="db"))},
    {"cpu": "100m", "affinity": near(term(ZONE, app="web"))},
    {"nodeSelector": {"disk": "ssd"}},
    {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 80}]}]},
]
NODES = ("a", "b", "c")

steps = st.lists(
    st.one_of(
        st.tuples(st.just("pod"), st.integers(0, len(PODS) - 1)),
        st.tuples(st.just("pod"), st.integers(0, len(PODS) - 1)),
        st.tuples(st.sampled_from(["delete", "finish", "relabel"]), st.integers(0, 20)),
        st.tuples(
            st.sampled_from(["node", "taint", "untaint", "label", "cordon", "uncordon", "grow"]), st.integers(0, 2)
        ),
    ),
    min_size=1,
    max_size=25,
)


class History(Stage):
    def __init__(self) -> None:
        super().__init__()
        self.add_priority("high", 1000)
        self.number = 0

    def do(self, action: str, which: int) -> None:
        if action == "pod":
            self.number += 1
            self.add_pod(a_pod(f"p{self.number}", **PODS[which]))
        elif action in ("delete", "finish", "relabel"):
            pods = self.all(kinds.PODS)
            if pods:
                self._change_pod(action, pods[which % len(pods)])
        else:
            self._change_node(action, NODES[which])

    def _change_pod(self, action: str, pod: Json) -> None:
        if action == "delete":
            self.delete(name_of(pod))
        elif action == "finish" and pod["spec"].get("nodeName"):
            self.change(
                kinds.PODS, name_of(pod), lambda obj: {**obj, "status": {**obj["status"], "phase": "Failed"}}, "status"
            )
        elif action == "relabel":

            def change(obj: Json) -> Json:
                obj = edited(obj)
                obj["metadata"]["labels"] = WEB if obj["metadata"].get("labels") != WEB else DB
                return obj

            self.change(kinds.PODS, name_of(pod), change)

    def _change_node(self, action: str, name: str) -> None:
        known = {name_of(node) for node in self.all(kinds.NODES)}
        if action == "node":
            if name not in known:
                self.add_nodes(name, cpu="1", zone="x" if name == "a" else "y")
            return
        if name not in known:
            return

        def change(obj: Json) -> Json:
            obj = edited(obj)
            if action == "taint":
                obj["spec"]["taints"] = [{"key": "x", "effect": "NoSchedule"}]
            elif action == "untaint":
                obj["spec"].pop("taints", None)
            elif action == "label":
                obj["metadata"]["labels"] = {**obj["metadata"]["labels"], "disk": "ssd"}
            elif action in ("cordon", "uncordon"):
                obj["spec"]["unschedulable"] = action == "cordon"
            return obj

        self.change(kinds.NODES, name, change)
        if action == "grow":
            bigger = {"cpu": "2", "memory": "8Gi", "pods": "110"}
            self.change(
                kinds.NODES, name, lambda obj: {**obj, "status": {**obj["status"], "allocatable": bigger}}, "status"
            )

    def all(self, kind: kinds.Kind) -> list[Json]:
        return [record.obj for record in self.registry.list(kind).records]

    async def calm(self) -> None:
        """Let those go who were asked to, as kubelets do, and let back-offs pass."""
        for _ in range(3):
            await self.clock.advance(11)
            for pod in self.all(kinds.PODS):
                if is_terminating(pod):
                    self.delete(name_of(pod))
        await self.clock.advance(11)

    def check(self) -> None:
        pods = [pod for pod in self.all(kinds.PODS) if pod["status"].get("phase") == "Pending"]
        nodes = [
            {**node, "spec": {"taints": [{"effect": "NoSchedule"}]}} if node["spec"].get("unschedulable") else node
            for node in self.all(kinds.NODES)
        ]
        naive = Naive(nodes, [pod for pod in pods if pod["spec"].get("nodeName")])
        for pod in pods:
            if not pod["spec"].get("nodeName"):
                assert naive.feasible(pod) == [], (name_of(pod), self.condition(name_of(pod)))
        for node in nodes:
            assert naive.has_room(a_pod(), node)
        for pod in self.all(kinds.PODS):
            for condition in pod["status"].get("conditions", ()):
                if condition["type"] == "DisruptionTarget":
                    assert pod["spec"]["priority"] < 1000


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_any_history(history: list[tuple[str, int]]) -> None:
    async def live() -> None:
        stage = History()
        stage.scheduler.start()
        stage.do("node", 0)
        try:
            for action, which in history:
                stage.do(action, which)
                await stage.clock.advance(0.3)
            await stage.calm()
            stage.check()
        finally:
            await stage.scheduler.stop()

    asyncio.run(live())
