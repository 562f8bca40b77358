"""The knobs of a rollout: what they show, what they write, and what is told when it is refused."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from labkit.widgets import knobs
from labkit.widgets.knobs import Rollout, in_pods


class Sandbox:
    """A sandbox that writes down what is asked of it."""

    def __init__(self, refusal: str = "") -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.actions = self
        self._refusal = refusal

    def limit_rollout(self, *arguments: Any) -> None:
        if self._refusal:
            raise ValueError(self._refusal)
        self.asked.append(("limits", *arguments))

    def update(self, *arguments: Any) -> None:
        self.asked.append(("update", *arguments))


READ = knobs.limits


@pytest.fixture(autouse=True)
def _as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knobs, "limits", lambda sandbox, workload: (2, 1))


def test_it_shows_what_is() -> None:
    made = Rollout(Sandbox(), "web")
    assert (made.surge.value, made.unavailable.value) == (2, 1)


def test_a_slider_writes_both_limits() -> None:
    sandbox = Sandbox()
    made = Rollout(sandbox, "web")
    made.surge.value = 3
    assert sandbox.asked == [("limits", "web", 3, 1)]
    assert "maxSurge: 3, maxUnavailable: 1" in made.told.value


def test_the_button_writes_the_image() -> None:
    sandbox = Sandbox()
    made = Rollout(sandbox, "web")
    made.image.value = " whoami:9 "
    made.go.click()
    assert sandbox.asked == [("update", "web", "whoami:9")]


def test_a_refusal_is_told_as_text() -> None:
    made = Rollout(Sandbox("may not be 0 when <maxSurge> is 0"), "web")
    made.unavailable.value = 0
    assert "refused: may not be 0 when &lt;maxSurge&gt; is 0" in made.told.value


@pytest.mark.parametrize(
    ("limit", "surge", "unavailable"), [("25%", 2, 1), (3, 3, 3), ("0%", 0, 0), ("100%", 6, 6), ("1%", 1, 0)]
)
def test_shares_are_rounded_as_the_controller_does(limit: Any, surge: int, unavailable: int) -> None:
    assert in_pods(limit, 6, math.ceil) == surge
    assert in_pods(limit, 6, math.floor) == unavailable


def test_what_the_cluster_says_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    rolling = SimpleNamespace(max_surge="25%", max_unavailable=1)
    spec = SimpleNamespace(replicas=6, strategy=SimpleNamespace(rolling_update=rolling))
    apps = SimpleNamespace(read_namespaced_deployment=lambda *_: SimpleNamespace(spec=spec))
    monkeypatch.setattr("kubernetes.client.AppsV1Api", lambda _: apps)
    assert READ(SimpleNamespace(client=None), "web") == (2, 1)
    spec.strategy.rolling_update = None
    assert READ(SimpleNamespace(client=None), "web") == (0, 0)
