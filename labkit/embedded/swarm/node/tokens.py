"""Join tokens (``SWMTKN-1-<digest of the root CA>-<secret>``) and unlock keys (``SWMKEY-1-<key>``)."""

from __future__ import annotations

import base64
import binascii
import random
from dataclasses import dataclass

from labkit.embedded.swarm.errors import ApiError, BadRequest

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_DIGEST_LENGTH = 50  # a SHA-256 in base 36
_SECRET_LENGTH = 25  # 16 bytes in base 36
_KEY_BYTES = 32


class InvalidJoinToken(ApiError):
    """Not a token at all. dockerd answers 500."""

    def __init__(self) -> None:
        super().__init__("invalid join token")


@dataclass(frozen=True, slots=True)
class JoinToken:
    """``digest`` of the root CA in hexadecimal, and the secret that tells the role."""

    digest: str
    secret: str


def make_join_token(rng: random.Random, digest: str) -> str:
    """A new token for the swarm whose root CA has this SHA-256 (hexadecimal)."""
    secret = _base36(rng.getrandbits(128)).rjust(_SECRET_LENGTH, "0")
    return f"SWMTKN-1-{_base36(int(digest, 16)).rjust(_DIGEST_LENGTH, '0')}-{secret}"


def parse_join_token(token: str) -> JoinToken:
    """Take a token apart. Raises :class:`InvalidJoinToken`."""
    parts = token.split("-")
    if parts[:1] != ["SWMTKN"] or (len(parts), *parts[1:2]) not in ((4, "1"), (5, "2")):
        raise InvalidJoinToken
    digest, secret = parts[-2:]
    if len(digest) != _DIGEST_LENGTH or len(secret) != _SECRET_LENGTH or not set(digest) <= set(_DIGITS):
        raise InvalidJoinToken
    return JoinToken(f"{int(digest, 36):064x}", secret)


def make_unlock_key(rng: random.Random) -> str:
    """A new key in the form that people copy."""
    return "SWMKEY-1-" + base64.b64encode(rng.randbytes(_KEY_BYTES)).decode().rstrip("=")


def check_unlock_key(key: str) -> None:
    """Raises BadRequest (``invalid key string``) for what cannot be a key."""
    prefix, _, text = key.rpartition("-")
    try:
        well_formed = prefix == "SWMKEY-1" and bool(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except binascii.Error:
        well_formed = False
    if not well_formed:
        raise BadRequest("invalid key string")


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
