"""An app: what the API shows of it, and what the rest of Marathon asks it all the time (``state/AppDefinition.scala``).

The body is in canonical form with its defaults filled in, and never changed after it was made. What is computed from
it is computed once per version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from labkit.embedded.marathon import constraints
from labkit.embedded.marathon.specs import paths
from labkit.embedded.marathon.specs.versions import RESTART, Versions

Json = dict[str, Any]

SINGLE_INSTANCE = "MARATHON_SINGLE_INSTANCE_APP"

# A change of these alone replaces no task (``AppDefinition.isUpgrade``).
_NOT_CONFIGURATION = {"id", "instances", "executorResources", "residency"}
_SETS = {"constraints", "healthChecks", "acceptedResourceRoles", "dependencies"}


@dataclass(frozen=True, slots=True)
class Unreachable:
    """When a task on a lost agent is replaced, and when it is given up."""

    inactive_after: float
    expunge_after: float


@dataclass(frozen=True, slots=True)
class Port:
    """One entry of portDefinitions or of the container's portMappings."""

    host: int | None  # None: no port of the agent is wanted (container networks); 0: any
    container: int | None
    service: int
    name: str | None
    protocols: tuple[str, ...]
    labels: Mapping[str, str]
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class App:
    """One version of an app."""

    body: Json  # as in the API, without ``version`` and ``versionInfo``
    versions: Versions

    def __repr__(self) -> str:
        return f"App({self.id} @ {self.version}, {self.instances})"

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, App)
            and self.versions == other.versions
            and self.instances == other.instances
            and self.id == other.id
            and not self.is_upgrade(other)
        )

    def __hash__(self) -> int:
        return hash((self.id, self.versions.version))

    # -- the API's face

    def to_json(self) -> Json:
        """As ``GET /v2/apps/ID`` shows it, without counts of tasks."""
        found = {**self.body, "version": self.versions.version}
        if self.versions.scaled is not None:
            found["versionInfo"] = {
                "lastScalingAt": self.versions.scaled,
                "lastConfigChangeAt": self.versions.configured,
            }
        return found

    @classmethod
    def from_json(cls, data: Json) -> App:
        """The reverse, for what was stored. Nothing is checked."""
        body = {key: value for key, value in data.items() if key not in ("version", "versionInfo")}
        info = data.get("versionInfo") or {}
        return cls(body, Versions(data["version"], info.get("lastScalingAt"), info.get("lastConfigChangeAt")))

    # -- plain fields

    @cached_property
    def id(self) -> str:
        found: str = self.body["id"]
        return found

    @cached_property
    def instances(self) -> int:
        found: int = self.body["instances"]
        return found

    @property
    def version(self) -> str:
        return self.versions.version

    @property
    def config_version(self) -> str:
        """Tasks of an older one are replaced; constraints and back-offs look only at tasks of this one."""
        return self.versions.config

    @property
    def cmd(self) -> str | None:
        return self.body.get("cmd")

    @property
    def args(self) -> list[str]:
        return self.body.get("args") or []

    @property
    def role(self) -> str:
        """The role in whose name its tasks take resources."""
        found: str = self.body["role"]
        return found

    @property
    def labels(self) -> dict[str, str]:
        return self.body.get("labels") or {}

    @property
    def container(self) -> Json | None:
        return self.body.get("container")

    @property
    def health_checks(self) -> list[Json]:
        return self.body.get("healthChecks") or []

    @property
    def readiness_checks(self) -> list[Json]:
        return self.body.get("readinessChecks") or []

    @property
    def kill_selection(self) -> str:
        """``YOUNGEST_FIRST`` or ``OLDEST_FIRST``."""
        found: str = self.body["killSelection"]
        return found

    @property
    def accepted_resource_roles(self) -> list[str]:
        """Empty: those of the flag ``--default_accepted_resource_roles``."""
        return self.body.get("acceptedResourceRoles") or []

    @cached_property
    def resources(self) -> dict[str, float]:
        """What an instance needs: cpus, mem, disk, gpus."""
        return {name: float(self.body[name]) for name in ("cpus", "mem", "disk", "gpus")}

    @cached_property
    def dependencies(self) -> frozenset[str]:
        """Ids of apps and groups."""
        return frozenset(self.body.get("dependencies") or ())

    @cached_property
    def constraints(self) -> tuple[constraints.Constraint, ...]:
        """Read once, ready to be asked."""
        return tuple(constraints.compile_constraint(each) for each in self.body.get("constraints") or ())

    @cached_property
    def unreachable(self) -> Unreachable | None:
        """None: tasks on lost agents are waited for, forever."""
        found = self.body.get("unreachableStrategy")
        if not isinstance(found, dict):
            return None
        return Unreachable(found["inactiveAfterSeconds"], found["expungeAfterSeconds"])

    @property
    def backoff(self) -> float:
        """Seconds."""
        return float(self.body["backoffSeconds"])

    @property
    def backoff_factor(self) -> float:
        """How many times longer each delay is than the one before."""
        return float(self.body["backoffFactor"])

    @property
    def max_launch_delay(self) -> float:
        """Seconds."""
        return float(self.body["maxLaunchDelaySeconds"])

    @property
    def kill_grace_period(self) -> float | None:
        """Seconds; None: the executor's own."""
        found = self.body.get("taskKillGracePeriodSeconds")
        return None if found is None else float(found)

    @property
    def minimum_health_capacity(self) -> float:
        """The share of instances that has to be healthy at any moment of a deployment."""
        return float(self.body["upgradeStrategy"]["minimumHealthCapacity"])

    @property
    def maximum_over_capacity(self) -> float:
        """The share of instances that a deployment may run beyond those that are wanted."""
        return float(self.body["upgradeStrategy"]["maximumOverCapacity"])

    @cached_property
    def hostname(self) -> str:
        """The name of its tasks, for service discovery."""
        return paths.hostname(self.id)

    @cached_property
    def safe_id(self) -> str:
        """The id as task ids begin with it."""
        return paths.safe(self.id)

    # -- networks and ports

    @property
    def networks(self) -> list[Json]:
        found: list[Json] = self.body["networks"]
        return found

    @cached_property
    def network_mode(self) -> str:
        """``host``, ``container/bridge`` or ``container``."""
        found: str = self.networks[0]["mode"]
        return found

    @property
    def has_container_networks(self) -> bool:
        """Tasks have an address of their own, reported by Mesos."""
        return self.network_mode == "container"

    @cached_property
    def ports(self) -> tuple[Port, ...]:
        """The port mappings of the container, or the port definitions."""
        mappings = (self.container or {}).get("portMappings")
        if mappings:
            return tuple(
                Port(
                    each.get("hostPort"),
                    each["containerPort"],
                    each["servicePort"],
                    each.get("name"),
                    tuple(each["protocol"].split(",")),
                    each.get("labels") or {},
                    tuple(each.get("networkNames") or ()),
                )
                for each in mappings
            )
        require = self.body["requirePorts"]
        return tuple(
            Port(
                each["port"] if require else 0,
                None,
                each["port"],
                each.get("name"),
                tuple(each["protocol"].split(",")),
                each.get("labels") or {},
            )
            for each in self.body.get("portDefinitions") or ()
        )

    @property
    def service_ports(self) -> list[int]:
        """The ports under which load balancers offer it."""
        return [port.service for port in self.ports]

    @cached_property
    def compiled(self) -> dict[Any, Any]:
        """A place for what others compute once of this version (``matching`` keeps its blueprint here)."""
        return {}

    # -- comparing

    @cached_property
    def configuration(self) -> Json:
        """Everything whose change replaces the tasks. Sets compare without order."""
        return {
            key: frozenset(orjson.dumps(each, option=orjson.OPT_SORT_KEYS) for each in value) if key in _SETS else value
            for key, value in self.body.items()
            if key not in _NOT_CONFIGURATION
        }

    def is_upgrade(self, to: App) -> bool:
        """Whether tasks of this version have to be replaced by those of the other."""
        return self.body is not to.body and self.configuration != to.configuration

    def is_only_scale_change(self, to: App) -> bool:
        """Do the two differ in the number of instances alone?"""
        return self.instances != to.instances and not self.is_upgrade(to)

    def needs_restart(self, to: App) -> bool:
        """Have tasks of this version to be replaced by those of the other, if only because somebody asked for it?"""
        return self.versions != to.versions or self.is_upgrade(to)

    # -- other versions

    def with_versions(self, versions: Versions) -> App:
        return self if versions == self.versions else App(self.body, versions)

    def with_fields(self, **fields: Any) -> App:
        """The same version with other fields in the body; it is on the caller to give it a new version."""
        return App({**self.body, **fields}, self.versions)

    def with_instances(self, instances: int) -> App:
        return self.with_fields(instances=instances)

    def marked_for_restart(self) -> App:
        """To be handed to ``prepare``, which then gives it the version of a restart."""
        return App(self.body, RESTART)
