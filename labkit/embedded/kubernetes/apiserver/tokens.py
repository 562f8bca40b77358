"""Service account tokens: JWTs as ``kubectl create token`` and pods get them.

Their claims are those of the real ones. They are signed with HMAC (``HS256``) and a secret of the sandbox, where the
real API server uses an RSA key whose public half others may check them with: the engine has no library for that, and
asks nobody else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from dataclasses import dataclass

import orjson

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.errors import NotFound, Unauthorized
from labkit.embedded.kubernetes.objects import Json, uid_of
from labkit.embedded.kubernetes.registry import Registry
from labkit.embedded.kubernetes.users import User, service_account
from labkit.embedded.runtime.clock import Clock

ISSUER = "https://kubernetes.default.svc.cluster.local"
AUDIENCES = (ISSUER,)
DEFAULT_SECONDS = 3600
LEAST_SECONDS = 600
MOST_SECONDS = 1 << 32
_LEEWAY = 1.0  # seconds that clocks may differ by
EXTRA = "authentication.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class Token:
    """An issued token, and when it ends (seconds since the epoch of the sandbox)."""

    text: str
    expires: float


class Tokens:
    """Issues and checks them."""

    def __init__(self, key: bytes, registry: Registry, clock: Clock) -> None:
        self._key = key
        self._registry = registry
        self._clock = clock
        self._head = _encode(orjson.dumps({"alg": "HS256", "kid": _encode(hashlib.sha256(key).digest()).decode()}))

    def issue(
        self,
        account: Json,
        *,
        seconds: float = DEFAULT_SECONDS,
        audiences: tuple[str, ...] = (),
        bound: Json | None = None,
        node: Json | None = None,
    ) -> Token:
        """A token of a ServiceAccount object, bound to ``bound`` (a Pod or Secret; it ends with that) if given."""
        metadata = account["metadata"]
        now = int(self._clock.time())
        private: Json = {"namespace": metadata["namespace"]}
        if node is not None:
            private["node"] = {"name": node["metadata"]["name"], "uid": uid_of(node)}
        if bound is not None:
            private[bound["kind"].lower()] = {"name": bound["metadata"]["name"], "uid": uid_of(bound)}
        private["serviceaccount"] = {"name": metadata["name"], "uid": uid_of(account)}
        claims = {
            "aud": list(audiences or (ISSUER,)),
            "exp": now + int(seconds),
            "iat": now,
            "iss": ISSUER,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": private,
            "nbf": now,
            "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
        }
        signed = self._head + b"." + _encode(orjson.dumps(claims))
        return Token((signed + b"." + self._signature(signed)).decode(), now + int(seconds))

    def check(self, text: str, audiences: tuple[str, ...] = ()) -> tuple[User, tuple[str, ...]]:
        """Who it is that shows this token, and for which of the ``audiences`` it is good.

        Raises:
            Unauthorized: it is no token of this cluster, has run out, or its account is gone.
        """
        signed, _, signature = text.encode().rpartition(b".")
        if not hmac.compare_digest(self._signature(signed), signature):
            raise Unauthorized
        try:
            claims = orjson.loads(_decode(signed.partition(b".")[2]))
            private = claims["kubernetes.io"]
            now = self._clock.time()
            if not claims["nbf"] - _LEEWAY <= now < claims["exp"] + _LEEWAY:
                raise Unauthorized
            good = tuple(item for item in audiences or (ISSUER,) if item in claims["aud"])
            if not good or not self._exist(private):
                raise Unauthorized
        except (ValueError, KeyError, TypeError):
            raise Unauthorized from None
        account = private["serviceaccount"]
        user = service_account(private["namespace"], account["name"], account["uid"])
        extra = {f"{EXTRA}credential-id": (f"JTI={claims['jti']}",)}
        for name in ("pod", "node"):
            if name in private:
                extra[f"{EXTRA}{name}-name"] = (private[name]["name"],)
                extra[f"{EXTRA}{name}-uid"] = (private[name]["uid"],)
        return User(user.name, user.groups, user.uid, extra), good

    def _exist(self, private: Json) -> bool:
        """Whether the account and what the token is bound to are still there, the very same ones."""
        for name, kind in _BOUND.items():
            if name not in private:
                continue
            namespace = private["namespace"] if kind.namespaced else ""
            try:
                found = self._registry.get(kind, namespace, private[name]["name"])
            except NotFound:
                return False
            if uid_of(found) != private[name]["uid"]:
                return False
        return True

    def _signature(self, signed: bytes) -> bytes:
        return _encode(hmac.digest(self._key, signed, "sha256"))


_BOUND = {"serviceaccount": kinds.SERVICE_ACCOUNTS, "pod": kinds.PODS, "secret": kinds.SECRETS}


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decode(data: bytes) -> bytes:
    return base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4))
