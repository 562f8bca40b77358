"""Who may do what in a new cluster."""

from __future__ import annotations

import pytest

from labkit.embedded.kubernetes.apiserver.authorization import Attributes, Authorizer, Binding, Rule, refusal
from labkit.embedded.kubernetes.users import ADMIN, ANONYMOUS, AUTHENTICATED, User, service_account

BOB = User("bob", (AUTHENTICATED,))
DEFAULT = service_account("default", "default")


@pytest.mark.parametrize(
    ("user", "asked", "allowed"),
    [
        (ADMIN, Attributes("delete", resource="nodes", name="x"), True),
        (User("k", ("kubeadm:cluster-admins",)), Attributes("delete", resource="nodes", name="x"), True),
        (BOB, Attributes("list", resource="pods", namespace="default"), False),
        (BOB, Attributes("get", path="/api/v1"), True),
        (BOB, Attributes("get", path="/metrics"), False),
        (BOB, Attributes("create", "authorization.k8s.io", resource="selfsubjectaccessreviews"), True),
        (ANONYMOUS, Attributes("get", path="/healthz"), True),
        (ANONYMOUS, Attributes("get", path="/version"), True),
        (ANONYMOUS, Attributes("get", path="/api"), False),
        (DEFAULT, Attributes("get", resource="secrets", namespace="default"), False),
        (DEFAULT, Attributes("get", path="/openid/v1/jwks"), True),
    ],
)
def test_what_is_built_in(user: User, asked: Attributes, allowed: bool) -> None:
    assert Authorizer().decide(user, asked)[0] is allowed


def test_the_reason_names_the_binding() -> None:
    _, reason = Authorizer().decide(BOB, Attributes("get", path="/api"))
    assert reason == (
        'RBAC: allowed by ClusterRoleBinding "system:discovery" of ClusterRole "system:discovery" '
        'to Group "system:authenticated"'
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            Attributes("list", resource="pods", namespace="a"),
            'pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "a"',
        ),
        (
            Attributes("get", resource="pods", subresource="log", namespace="a", name="x"),
            'pods "x" is forbidden: User "bob" cannot get resource "pods/log" in API group "" in the namespace "a"',
        ),
        (
            Attributes("list", "apps", resource="deployments"),
            'deployments.apps is forbidden: User "bob" cannot list resource "deployments" in API group "apps" '
            "at the cluster scope",
        ),
        (Attributes("get", path="/"), 'forbidden: User "bob" cannot get path "/"'),
    ],
)
def test_refusals_read_as_the_real_ones(asked: Attributes, words: str) -> None:
    assert str(refusal(BOB, asked)) == words


def test_more_rules_can_be_had_from_elsewhere() -> None:
    authorizer = Authorizer()
    binding = Binding("readers", "reader", ("User", "bob"), "a")
    rule = Rule(("get", "list"), ("",), ("pods", "pods/log"))
    authorizer.sources.append(lambda namespace: [(binding, (rule,))])
    assert authorizer.decide(BOB, Attributes("list", resource="pods", namespace="a"))[0]
    assert authorizer.decide(BOB, Attributes("get", resource="pods", subresource="log", namespace="a"))[0]
    assert not authorizer.decide(BOB, Attributes("list", resource="pods", namespace="b"))[0]
    assert not authorizer.decide(BOB, Attributes("delete", resource="pods", namespace="a"))[0]
    assert rule in authorizer.rules(BOB, "a")
    assert rule not in authorizer.rules(BOB, "b")


def test_names_narrow_a_rule() -> None:
    rule = Rule(("get",), ("",), ("configmaps",), names=("one",))
    assert rule.allows(Attributes("get", resource="configmaps", name="one"))
    assert not rule.allows(Attributes("get", resource="configmaps", name="two"))
    assert not rule.allows(Attributes("list", resource="configmaps"))
