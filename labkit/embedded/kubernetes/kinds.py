"""The table of kinds: every resource that the API server serves is a row here.

Discovery, routes, the generic registry, the garbage collector, the namespace controller and the printers go through
this table, so that a new kind is a row (and, where it behaves in a way of its own, a strategy, defaults, validation).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

ALL = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CREATE_ONLY = ("create",)
READ_ONLY = ("get", "list")
STATUS = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of an object with a path of its own. ``kind`` and its group are what its body is, "" for the object's."""

    name: str
    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, eq=False)  # each is one of a kind, and the key of dictionaries on every path
class Kind:
    """A resource: its names, where it lives and what may be done with it."""

    kind: str  # "Deployment"
    plural: str  # "deployments"
    group: str = ""  # "apps"; "" is the core group
    version: str = "v1"
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL
    subresources: Mapping[str, Subresource] = field(default_factory=dict)
    stored: bool = True  # False: computed when asked (reviews, component statuses)
    api_version: str = field(init=False)  # ``apps/v1``, ``v1``: what an object's ``apiVersion`` says

    def __post_init__(self) -> None:
        object.__setattr__(self, "api_version", f"{self.group}/{self.version}" if self.group else self.version)

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def resource(self) -> str:
        """``deployments.apps``, ``pods``: unique over all groups, and what people read in messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    def path(self, namespace: str = "", name: str = "") -> str:
        """Its URL path: ``/apis/apps/v1/namespaces/default/deployments/web``."""
        parts = ["/apis" if self.group else "/api", *([self.group] if self.group else []), self.version]
        if namespace:
            parts += ["namespaces", namespace]
        return "/".join([*parts, self.plural, *([name] if name else [])])

    def __repr__(self) -> str:
        return f"<Kind {self.resource}>"


def _subresources(*rows: Subresource) -> Mapping[str, Subresource]:
    return {row.name: row for row in rows}


_STATUS = Subresource("status", STATUS)
_SCALE = Subresource("scale", STATUS, kind="Scale", group="autoscaling", version="v1")
_ANY_METHOD = ("create", "delete", "get", "patch", "update")
_CONNECT = ("create", "get")  # opened with GET (WebSocket) or POST (SPDY)

NAMESPACES = Kind(
    "Namespace", "namespaces", namespaced=False, short=("ns",),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    subresources=_subresources(_STATUS, Subresource("finalize", ("update",))),
)  # fmt: skip
NODES = Kind("Node", "nodes", namespaced=False, short=("no",), subresources=_subresources(_STATUS))
PODS = Kind(
    "Pod", "pods", short=("po",), categories=("all",),
    subresources=_subresources(
        _STATUS,
        Subresource("binding", CREATE_ONLY, kind="Binding", version="v1"),
        Subresource("ephemeralcontainers", STATUS),
        Subresource("eviction", CREATE_ONLY, kind="Eviction", group="policy", version="v1"),
        Subresource("log", ("get",)),
        Subresource("exec", _CONNECT, kind="PodExecOptions", version="v1"),
        Subresource("attach", _CONNECT, kind="PodAttachOptions", version="v1"),
        Subresource("portforward", _CONNECT, kind="PodPortForwardOptions", version="v1"),
        Subresource("proxy", _ANY_METHOD, kind="PodProxyOptions", version="v1"),
    ),
)  # fmt: skip
SERVICES = Kind(
    "Service", "services", short=("svc",), categories=("all",),
    subresources=_subresources(_STATUS, Subresource("proxy", _ANY_METHOD, kind="ServiceProxyOptions", version="v1")),
)  # fmt: skip
ENDPOINTS = Kind("Endpoints", "endpoints", short=("ep",))
REPLICATION_CONTROLLERS = Kind(
    "ReplicationController", "replicationcontrollers", short=("rc",), categories=("all",),
    subresources=_subresources(_STATUS, _SCALE),
)  # fmt: skip
CONFIG_MAPS = Kind("ConfigMap", "configmaps", short=("cm",))
SECRETS = Kind("Secret", "secrets")
SERVICE_ACCOUNTS = Kind(
    "ServiceAccount", "serviceaccounts", short=("sa",),
    subresources=_subresources(
        Subresource("token", CREATE_ONLY, kind="TokenRequest", group="authentication.k8s.io", version="v1")
    ),
)  # fmt: skip
EVENTS = Kind("Event", "events", short=("ev",))
COMPONENT_STATUSES = Kind(
    "ComponentStatus", "componentstatuses", namespaced=False, short=("cs",), verbs=READ_ONLY, stored=False
)
DEPLOYMENTS = Kind(
    "Deployment", "deployments", "apps", short=("deploy",), categories=("all",),
    subresources=_subresources(_STATUS, _SCALE),
)  # fmt: skip
REPLICA_SETS = Kind(
    "ReplicaSet", "replicasets", "apps", short=("rs",), categories=("all",),
    subresources=_subresources(_STATUS, _SCALE),
)  # fmt: skip
DAEMON_SETS = Kind(
    "DaemonSet", "daemonsets", "apps", short=("ds",), categories=("all",), subresources=_subresources(_STATUS)
)
CONTROLLER_REVISIONS = Kind("ControllerRevision", "controllerrevisions", "apps")
JOBS = Kind("Job", "jobs", "batch", categories=("all",), subresources=_subresources(_STATUS))
ENDPOINT_SLICES = Kind("EndpointSlice", "endpointslices", "discovery.k8s.io")
LEASES = Kind("Lease", "leases", "coordination.k8s.io")
POD_DISRUPTION_BUDGETS = Kind(
    "PodDisruptionBudget", "poddisruptionbudgets", "policy", short=("pdb",), subresources=_subresources(_STATUS)
)
# There are none, and kubectl asks for them whenever it meets a kind that it does not know.
CUSTOM_RESOURCE_DEFINITIONS = Kind(
    "CustomResourceDefinition", "customresourcedefinitions", "apiextensions.k8s.io", namespaced=False,
    short=("crd", "crds"), categories=("api-extensions",), verbs=READ_ONLY, stored=False,
)  # fmt: skip
PRIORITY_CLASSES = Kind("PriorityClass", "priorityclasses", "scheduling.k8s.io", namespaced=False, short=("pc",))


def _review(kind: str, group: str, *, namespaced: bool = False) -> Kind:
    return Kind(kind, f"{kind.lower()}s", group, namespaced=namespaced, verbs=CREATE_ONLY, stored=False)


TOKEN_REVIEWS = _review("TokenReview", "authentication.k8s.io")
SELF_SUBJECT_REVIEWS = _review("SelfSubjectReview", "authentication.k8s.io")
SUBJECT_ACCESS_REVIEWS = _review("SubjectAccessReview", "authorization.k8s.io")
SELF_SUBJECT_ACCESS_REVIEWS = _review("SelfSubjectAccessReview", "authorization.k8s.io")
LOCAL_SUBJECT_ACCESS_REVIEWS = _review("LocalSubjectAccessReview", "authorization.k8s.io", namespaced=True)
SELF_SUBJECT_RULES_REVIEWS = _review("SelfSubjectRulesReview", "authorization.k8s.io")

KINDS: tuple[Kind, ...] = (
    COMPONENT_STATUSES, CONFIG_MAPS, ENDPOINTS, EVENTS, NAMESPACES, NODES, PODS, REPLICATION_CONTROLLERS, SECRETS,
    SERVICE_ACCOUNTS, SERVICES,
    CONTROLLER_REVISIONS, DAEMON_SETS, DEPLOYMENTS, REPLICA_SETS,
    TOKEN_REVIEWS, SELF_SUBJECT_REVIEWS,
    SUBJECT_ACCESS_REVIEWS, SELF_SUBJECT_ACCESS_REVIEWS, LOCAL_SUBJECT_ACCESS_REVIEWS, SELF_SUBJECT_RULES_REVIEWS,
    JOBS, LEASES, ENDPOINT_SLICES, POD_DISRUPTION_BUDGETS, PRIORITY_CLASSES,
    CUSTOM_RESOURCE_DEFINITIONS,
)  # fmt: skip

_BY_PATH = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}
_BY_KIND = {(kind.api_version, kind.kind): kind for kind in KINDS}


def at(group: str, version: str, plural: str) -> Kind | None:
    """The kind that is served at that path."""
    return _BY_PATH.get((group, version, plural))


def of(api_version: str, kind: str) -> Kind | None:
    """The kind of an object that says this of itself."""
    return _BY_KIND.get((api_version, kind))


def stored() -> Iterator[Kind]:
    """Those of which there are objects in the store."""
    return (kind for kind in KINDS if kind.stored)


def groups() -> dict[str, list[str]]:
    """Group → its versions, in the order in which the real one lists groups; the core group is ""."""
    found: dict[str, list[str]] = {}
    for kind in KINDS:
        versions = found.setdefault(kind.group, [])
        if kind.version not in versions:
            versions.append(kind.version)
    return found
