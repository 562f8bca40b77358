"""What the random histories ask for: small apps that fit on three small agents even when only one is left."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Attributes = Mapping[str, str]

GROUP = "/shop"
"""Made as a group, of two apps one of which depends on the other; the others are made one by one."""


@dataclass(frozen=True)
class Rule:
    """A constraint, and what it means: ``holds(value of the new one, how many of the others are where, instances)``."""

    body: list[str]
    holds: Callable[[str, Counter[str], int], bool]
    always: Callable[[Counter[str]], bool]
    """What is to be said of all instances once everything is healed, however they came to be where they are."""

    @property
    def attribute(self) -> str:
        return self.body[0]


def _distinct(counts: Counter[str]) -> bool:
    return all(count == 1 for count in counts.values())


def _anything(counts: Counter[str]) -> bool:
    return True


RULES = {
    "UNIQUE": Rule(["hostname", "UNIQUE"], lambda value, counts, wanted: not counts[value], _distinct),
    "CLUSTER": Rule(
        ["rack", "CLUSTER", "rack-1"],
        lambda value, counts, wanted: value == "rack-1",
        lambda counts: counts.keys() <= {"rack-1"},
    ),
    "GROUP_BY": Rule(
        ["zone", "GROUP_BY", "3"], lambda value, counts, wanted: counts[value] < -(-wanted // 3), _anything
    ),
    "LIKE": Rule(
        ["zone", "LIKE", "a|b"],
        lambda value, counts, wanted: re.fullmatch("a|b", value) is not None,
        lambda counts: counts.keys() <= {"a", "b"},
    ),
    "MAX_PER": Rule(["machine", "MAX_PER", "2"], lambda value, counts, wanted: counts[value] < 2, _anything),
}

_BRIDGE: Json = {
    "container": {
        "type": "DOCKER",
        "docker": {"image": "traefik/whoami:v1.10"},
        "portMappings": [{"containerPort": 80}],
    },
    "networks": [{"mode": "container/bridge"}],
}
_SLEEPER: Json = {"container": {"type": "MESOS", "docker": {"image": "busybox:1.36"}}, "cmd": "sleep 300"}
_CHECKED: Json = {"healthChecks": [{"protocol": "MESOS_HTTP", "path": "/", "intervalSeconds": 30}]}
_PROBED: Json = {"healthChecks": [{"protocol": "HTTP", "path": "/", "intervalSeconds": 30, "gracePeriodSeconds": 5}]}
_PATIENT: Json = {"unreachableStrategy": {"inactiveAfterSeconds": 60, "expungeAfterSeconds": 400}}


@dataclass(frozen=True)
class Kind:
    """One app of the histories."""

    id: str
    most: int
    body: Json
    rule: Rule | None = None
    parts: tuple[str, ...] = field(default=())

    @property
    def apps(self) -> tuple[str, ...]:
        """The apps that it stands for: the group has two."""
        return self.parts or (self.id,)

    def app(self, instances: int, version: int, id: str = "") -> Json:
        """Its definition."""
        made: Json = {"id": id or self.id, "cpus": 0.1, "mem": 32, "instances": instances, "env": {"V": str(version)}}
        made |= self.body
        if self.rule is not None:
            made["constraints"] = [self.rule.body]
        return made

    def group(self, instances: int, version: int) -> Json:
        """The definition of the group."""
        apps = [self.app(instances, version, id) for id in self.apps]
        apps[1]["dependencies"] = [self.apps[0]]
        return {"id": self.id, "apps": apps}


KINDS = (
    Kind("/web", 4, {**_BRIDGE, **_CHECKED}),
    Kind("/quick", 3, {**_BRIDGE, "upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0}}),
    Kind("/each", 3, {**_BRIDGE, **_PATIENT}, RULES["UNIQUE"]),
    Kind("/one-rack", 3, _SLEEPER, RULES["CLUSTER"]),
    Kind("/spread", 4, {**_BRIDGE, "unreachableStrategy": "disabled"}, RULES["GROUP_BY"]),
    Kind("/team/like", 3, {**_BRIDGE, **_PROBED, **_PATIENT}, RULES["LIKE"]),
    Kind("/team/most", 4, _SLEEPER, RULES["MAX_PER"]),
    Kind(GROUP, 2, _BRIDGE, parts=(f"{GROUP}/db", f"{GROUP}/front")),
)
BY_APP = {app: kind for kind in KINDS for app in kind.apps}
