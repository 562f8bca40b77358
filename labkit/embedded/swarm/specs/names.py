"""What may be a name, an image reference, a constraint: SwarmKit's patterns."""

from __future__ import annotations

import re
from collections.abc import Iterable

from labkit.embedded.runtime.images.reference import InvalidReference, parse_reference
from labkit.embedded.swarm.errors import RpcError
from labkit.embedded.swarm.leader import constraint

_DNS_NAME = re.compile(r"[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*")
_SECRET_NAME = re.compile(r"[a-zA-Z0-9]+(?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?")


def check_name(name: str) -> None:
    """A name of a service or network. Raises RpcError InvalidArgument."""
    if not name:
        raise RpcError("InvalidArgument", "meta: name must be provided")
    if not _DNS_NAME.fullmatch(name):
        raise RpcError("InvalidArgument", "name must be valid as a DNS name component")
    if len(name) > 63:
        raise RpcError("InvalidArgument", "name must be 63 characters or fewer")


def check_secret_name(name: str) -> None:
    """A name of a secret or config. Raises RpcError InvalidArgument."""
    if not name:
        raise RpcError("InvalidArgument", "name must be provided")
    if len(name) > 64 or not _SECRET_NAME.fullmatch(name):
        raise RpcError(
            "InvalidArgument",
            "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, "
            "and the start and end character must be [a-zA-Z0-9]",
        )


def is_reference(image: str) -> bool:
    """Whether ``image`` is written as an image reference."""
    try:
        parse_reference(image)
    except InvalidReference:
        return False
    return True


def check_constraints(constraints: Iterable[str]) -> None:
    """Placement constraints parse. Raises RpcError Unknown: SwarmKit gives these no code, so they are a 500."""
    try:
        constraint.parse(constraints)
    except constraint.InvalidConstraint as error:
        raise RpcError("Unknown", str(error)) from None
