"""Who sends a request: by client certificate, bearer token, or nobody known; and whom an administrator speaks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from multidict import CIMultiDictProxy

from labkit.embedded.kubernetes.apiserver.tokens import Tokens
from labkit.embedded.kubernetes.errors import BadRequest, Unauthorized
from labkit.embedded.kubernetes.users import ANONYMOUS, ANONYMOUS_NAME, AUTHENTICATED, User, service_account

Headers = CIMultiDictProxy[str]
May = Callable[[User, str, str, str, str], None]  # user, API group, resource, namespace, name: raises Forbidden

_IMPERSONATE = "Impersonate-"


class Authenticator:
    """Says who a request is from."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def authenticate(self, headers: Headers, certificate: Mapping[str, Any] | None) -> User:
        """The user. ``certificate`` is what ``getpeercert()`` says, checked against the CA already.

        Raises:
            Unauthorized: it shows a token that is none.
        """
        if certificate:
            user = _user_of(certificate["subject"])
            if user is not None:
                return user
        kind, _, token = headers.get("Authorization", "").strip().partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            # Basic credentials and the like are nobody's business: the real one ignores them too.
            return ANONYMOUS
        return self._tokens.check(token.strip())[0]


@lru_cache(maxsize=64)
def _user_of(subject: tuple[tuple[tuple[str, str], ...], ...]) -> User | None:
    """The user of a certificate's subject: the common name, and the organizations as groups."""
    pairs = [pair for part in subject for pair in part]
    name = next((value for key, value in pairs if key == "commonName"), "")
    groups = tuple(value for key, value in pairs if key == "organizationName")
    return User(name, (*groups, AUTHENTICATED)) if name else None


def impersonated(headers: Headers, user: User, may: May) -> User:
    """The user that ``user`` asks to be taken for (``kubectl --as``), or ``user`` when it asks for nothing.

    Raises:
        Forbidden: it may not speak for that user. BadRequest: groups without a user.
    """
    name = headers.get("Impersonate-User", "")
    groups = headers.getall("Impersonate-Group", [])
    extra: dict[str, tuple[str, ...]] = {}
    for key, value in headers.items():
        if key.lower().startswith("impersonate-extra-"):
            label = unquote(key[len("Impersonate-Extra-") :].lower())
            extra[label] = (*extra.get(label, ()), value)
    uid = headers.get("Impersonate-Uid", "")
    if not name:
        if groups or extra or uid:
            raise BadRequest(f"requested {[*groups, *extra, uid]} without impersonating a user")
        return user
    account = _account_of(name)
    if account is not None:
        may(user, "", "serviceaccounts", account[0], account[1])
    else:
        may(user, "", "users", "", name)
    for group in groups:
        may(user, "", "groups", "", group)
    for label, values in extra.items():
        for value in values:
            may(user, "authentication.k8s.io", f"userextras/{label}", "", value)
    if uid:
        may(user, "authentication.k8s.io", "uids", "", uid)
    if not groups and account is not None:
        groups = list(service_account(*account).groups)
    if name != ANONYMOUS_NAME and AUTHENTICATED not in groups:
        groups = [*groups, AUTHENTICATED]
    elif name == ANONYMOUS_NAME and not groups:
        groups = list(ANONYMOUS.groups)
    return User(name, tuple(groups), uid, extra)


def _account_of(name: str) -> tuple[str, str] | None:
    parts = name.split(":")
    return (parts[2], parts[3]) if parts[:2] == ["system", "serviceaccount"] and len(parts) == 4 else None


__all__ = ["Authenticator", "Headers", "Unauthorized", "impersonated"]
