"""Errors as the Docker Engine words them. Each carries the HTTP status that dockerd answers with.

``ApiError`` renders as ``{"message": …}``; the CLI puts ``Error response from daemon: `` before it.
Errors that come from SwarmKit over gRPC carry ``rpc error: code = X desc = …`` in their message, as in dockerd.
"""

from __future__ import annotations


class ApiError(Exception):
    """A request that the engine refuses. ``status`` is an HTTP status code, ``message`` the engine's words."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(ApiError):
    """400: malformed JSON, unknown filter, value out of range."""

    status = 400


class Forbidden(ApiError):
    status = 403


class NotFound(ApiError):
    """404: ``No such container: x``, ``node x not found``."""

    status = 404


class NotAcceptable(ApiError):
    status = 406


class Conflict(ApiError):
    """409: name clashes, a container that is running."""

    status = 409


class TooLarge(ApiError):
    status = 413


class Unavailable(ApiError):
    """503: this node is not a manager, or is not in a swarm."""

    status = 503


class RpcError(ApiError):
    """An error of SwarmKit's gRPC API, as dockerd shows it.

    ``code`` is gRPC's name of it; dockerd maps it to an HTTP status (``InvalidArgument`` 400, ``NotFound`` 404,
    ``AlreadyExists`` 409, ``FailedPrecondition`` 400, ``Unavailable`` 503, else 500).
    """

    def __init__(self, code: str, desc: str) -> None:
        super().__init__(f"rpc error: code = {code} desc = {desc}")
        self.code = code
        self.desc = desc
        self.status = _GRPC_STATUS.get(code, 500)


_GRPC_STATUS = {
    "InvalidArgument": 400,
    "NotFound": 404,
    "AlreadyExists": 409,
    "FailedPrecondition": 400,
    "OutOfRange": 400,
    "PermissionDenied": 403,
    "Unauthenticated": 401,
    "Unavailable": 503,
    "Unimplemented": 501,
}


class OutOfSequence(RpcError):
    """A write whose ``version`` is not the stored one. Observed on dockerd: HTTP 500, code Unknown."""

    def __init__(self) -> None:
        super().__init__("Unknown", "update out of sequence")


class NoLeader(RpcError):
    """The managers have lost their quorum (or are still electing)."""

    def __init__(self) -> None:
        super().__init__(
            "Unknown",
            "The swarm does not have a leader. It's possible that too few managers are online. "
            "Make sure more than half of the managers are online.",
        )


class NotManager(Unavailable):
    """The node is a worker, or in no swarm at all."""

    IN_SWARM = (
        "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. "
        "Please run this command on a manager node or promote the current node to a manager."
    )
    NO_SWARM = (
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" '
        "to connect this node to swarm and try again."
    )
