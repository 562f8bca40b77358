"""Who may do what: the rules that a cluster has from its start, and how they are asked.

Rules are data as RBAC has them: roles hold rules, bindings give roles to users and groups. The tables here are what
``kubeadm`` and the API server's bootstrap policy (``plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go``) make.
Roles and bindings of a cluster's own would come from :attr:`Authorizer.sources`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from labkit.embedded.kubernetes.errors import Forbidden
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.users import (
    AUTHENTICATED,
    MASTERS,
    SERVICE_ACCOUNTS,
    UNAUTHENTICATED,
    User,
)

ANY = ("*",)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What somebody wants to do: to a resource, or (``path``) to something that is none."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def whole(self) -> str:
        """``pods/log``."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True, slots=True)
class Rule:
    """A ``PolicyRule``."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    def allows(self, asked: Attributes) -> bool:
        if "*" not in self.verbs and asked.verb not in self.verbs:
            return False
        if asked.path:
            return any(
                url == asked.path or (url.endswith("*") and asked.path.startswith(url[:-1])) for url in self.urls
            )
        if "*" not in self.groups and asked.group not in self.groups:
            return False
        if self.names and asked.name not in self.names:
            return False
        wanted = {"*", asked.whole, f"*/{asked.subresource}" if asked.subresource else asked.resource}
        return not wanted.isdisjoint(self.resources)

    def as_json(self) -> Json:
        """As in a ``SelfSubjectRulesReview``."""
        if self.urls:
            return {"verbs": list(self.verbs), "nonResourceURLs": list(self.urls)}
        found = {"verbs": list(self.verbs), "apiGroups": list(self.groups), "resources": list(self.resources)}
        return {**found, "resourceNames": list(self.names)} if self.names else found


@dataclass(frozen=True, slots=True)
class Binding:
    """Gives the rules of a role to a subject: in one namespace, or ("") everywhere."""

    name: str
    role: str
    subject: tuple[str, str]  # ("Group" | "User", name)
    namespace: str = ""

    def binds(self, user: User) -> bool:
        kind, name = self.subject
        return name in user.groups if kind == "Group" else name == user.name


_REVIEWS = Rule(("create",), ("authorization.k8s.io",), ("selfsubjectaccessreviews", "selfsubjectrulesreviews"))
_DISCOVERY = ("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz",
              "/version", "/version/")  # fmt: skip
_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_LEASES = Rule(("create", "get", "list", "update", "watch", "patch"), ("coordination.k8s.io",), ("leases",))
_EVENTS = Rule(("create", "patch", "update"), ("", "events.k8s.io"), ("events",))

ROLES: dict[str, tuple[Rule, ...]] = {
    "cluster-admin": (Rule(ANY, ANY, ANY), Rule(ANY, urls=ANY)),
    "system:basic-user": (_REVIEWS, Rule(("create",), ("authentication.k8s.io",), ("selfsubjectreviews",))),
    "system:discovery": (Rule(("get",), urls=_DISCOVERY),),
    "system:public-info-viewer": (
        Rule(("get",), urls=("/healthz", "/livez", "/readyz", "/version", "/version/")),
    ),
    "system:service-account-issuer-discovery": (
        Rule(("get",), urls=("/.well-known/openid-configuration", "/.well-known/openid-configuration/",
                             "/openid/v1/jwks", "/openid/v1/jwks/")),
    ),
    "system:kube-scheduler": (
        _EVENTS, _LEASES, Rule(_READ, ("",), ("nodes", "pods", "namespaces", "services", "replicationcontrollers")),
        Rule(("create",), ("",), ("bindings", "pods/binding")), Rule(("delete",), ("",), ("pods",)),
        Rule(("patch", "update"), ("",), ("pods/status",)),
        Rule(_READ, ("apps", "policy"), ("replicasets", "statefulsets", "poddisruptionbudgets")),
    ),
    "system:kube-controller-manager": (
        _EVENTS, _LEASES, Rule(_READ, ANY, ANY), Rule(_WRITE, ("", "apps", "batch", "discovery.k8s.io", "policy"), ANY),
        Rule(("create",), ("authentication.k8s.io", "authorization.k8s.io"),
             ("tokenreviews", "subjectaccessreviews")),
    ),
    # The real one goes through the node authorizer, which looks at what runs on the node that asks.
    "system:node": (
        _EVENTS, _LEASES, Rule(_READ, ("",), ("nodes", "pods", "services", "configmaps", "secrets")),
        Rule(("create", "update", "patch"), ("",), ("nodes", "nodes/status", "pods", "pods/status")),
        Rule(("delete",), ("",), ("pods",)), Rule(("create",), ("",), ("pods/eviction", "serviceaccounts/token")),
        Rule(("create",), ("authentication.k8s.io", "authorization.k8s.io"),
             ("tokenreviews", "subjectaccessreviews", "selfsubjectreviews")),
    ),
    "system:node-proxier": (
        _EVENTS, Rule(("list", "watch"), ("",), ("services", "endpoints")), Rule(_READ, ("",), ("nodes",)),
        Rule(("list", "watch"), ("discovery.k8s.io",), ("endpointslices",)),
    ),
    "system:coredns": (
        Rule(("list", "watch"), ("",), ("endpoints", "services", "pods", "namespaces")),
        Rule(("list", "watch"), ("discovery.k8s.io",), ("endpointslices",)),
    ),
}  # fmt: skip

BINDINGS: tuple[Binding, ...] = (
    Binding("cluster-admin", "cluster-admin", ("Group", MASTERS)),
    Binding("kubeadm:cluster-admins", "cluster-admin", ("Group", "kubeadm:cluster-admins")),
    Binding("system:basic-user", "system:basic-user", ("Group", AUTHENTICATED)),
    Binding("system:discovery", "system:discovery", ("Group", AUTHENTICATED)),
    Binding("system:public-info-viewer", "system:public-info-viewer", ("Group", AUTHENTICATED)),
    Binding("system:public-info-viewer", "system:public-info-viewer", ("Group", UNAUTHENTICATED)),
    Binding("system:service-account-issuer-discovery", "system:service-account-issuer-discovery",
            ("Group", SERVICE_ACCOUNTS)),
    Binding("system:kube-scheduler", "system:kube-scheduler", ("User", "system:kube-scheduler")),
    Binding("system:kube-controller-manager", "system:kube-controller-manager",
            ("User", "system:kube-controller-manager")),
    Binding("system:node", "system:node", ("Group", "system:nodes")),
    Binding("kubeadm:node-proxier", "system:node-proxier", ("User", "system:serviceaccount:kube-system:kube-proxy")),
    Binding("system:coredns", "system:coredns", ("User", "system:serviceaccount:kube-system:coredns")),
)  # fmt: skip

Granted = tuple[Binding, tuple[Rule, ...]]
Source = Callable[[str], Iterable[Granted]]  # namespace ("" for none) -> bindings that hold there, with their rules


def built_in(namespace: str) -> Iterator[Granted]:
    """What every cluster has."""
    return ((binding, ROLES[binding.role]) for binding in BINDINGS)


class Authorizer:
    """Answers whether somebody may do something."""

    def __init__(self) -> None:
        self.sources: list[Source] = [built_in]

    def _granted(self, user: User, namespace: str) -> Iterator[Granted]:
        return (
            (binding, rules)
            for source in self.sources
            for binding, rules in source(namespace)
            if binding.binds(user) and binding.namespace in ("", namespace)
        )

    def decide(self, user: User, asked: Attributes) -> tuple[bool, str]:
        """Whether, and (for those who ask for a review) because of what."""
        if user.is_master:  # the real one does not even look at its rules
            return True, ""
        for binding, rules in self._granted(user, asked.namespace):
            if any(rule.allows(asked) for rule in rules):
                kind, name = binding.subject
                return True, (
                    f'RBAC: allowed by ClusterRoleBinding "{binding.name}" of ClusterRole "{binding.role}" '
                    f'to {kind} "{name}"'
                )
        return False, ""

    def require(self, user: User, asked: Attributes) -> None:
        """Raises Forbidden unless the user may."""
        if user.is_master:
            return
        allowed, reason = self.decide(user, asked)
        if not allowed:
            raise refusal(user, asked, reason)

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """Everything that the user may do in a namespace."""
        return [rule for _, rules in self._granted(user, namespace) for rule in rules]


def refusal(user: User, asked: Attributes, reason: str = "") -> Forbidden:
    """403 in the words of ``responsewriters.Forbidden``."""
    more = f": {reason}" if reason else ""
    if asked.path:
        return Forbidden("", "", "", f'User "{user.name}" cannot {asked.verb} path "{asked.path}"{more}')
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    words = (
        f'User "{user.name}" cannot {asked.verb} resource "{asked.whole}" in API group "{asked.group}" {where}{more}'
    )
    return Forbidden(asked.resource, asked.group, asked.name, words)
