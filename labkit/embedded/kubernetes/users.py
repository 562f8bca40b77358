"""Who asks: the identity behind a request, as authentication finds it and authorization sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
SERVICE_ACCOUNTS = "system:serviceaccounts"
SERVICE_ACCOUNT = "system:serviceaccount:"
ANONYMOUS_NAME = "system:anonymous"


@dataclass(frozen=True, slots=True)
class User:
    """A user's name, groups and what else is known, as ``k8s.io/apiserver/pkg/authentication/user`` has it."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    @property
    def is_master(self) -> bool:
        return MASTERS in self.groups


ANONYMOUS = User(ANONYMOUS_NAME, (UNAUTHENTICATED,))
ADMIN = User("kubernetes-admin", ("kubeadm:cluster-admins", MASTERS, AUTHENTICATED))


def service_account(namespace: str, name: str, uid: str = "") -> User:
    """The user that a service account is."""
    return User(
        f"{SERVICE_ACCOUNT}{namespace}:{name}",
        (SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}", AUTHENTICATED),
        uid,
    )
