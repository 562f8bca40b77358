"""What dockerd's cluster component says (``daemon/cluster/errors.go``), as types with its statuses."""

from __future__ import annotations

from labkit.embedded.swarm.errors import ApiError, Conflict, NotManager, RpcError, Unavailable


class NoSwarm(Unavailable):
    def __init__(self) -> None:
        super().__init__("This node is not part of a swarm")


class SwarmExists(Unavailable):
    def __init__(self) -> None:
        super().__init__(
            'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.'
        )


class JoinTimeout(Unavailable):
    def __init__(self) -> None:
        super().__init__(
            "Timeout was reached before node joined. The attempt to join the swarm will continue in the background. "
            'Use the "docker info" command to see the current swarm status of your node.'
        )


class Locked(Unavailable):
    def __init__(self) -> None:
        super().__init__(
            "Swarm is encrypted and needs to be unlocked before it can be used. "
            'Please use "docker swarm unlock" to unlock it.'
        )


class LeaveLocked(Unavailable):
    def __init__(self) -> None:
        super().__init__(
            "Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message."
        )


class ManagerNotReady(NotManager):
    """Its role is manager, but it is not (yet) a member that runs."""

    def __init__(self) -> None:
        super().__init__(
            "This node is not a swarm manager. Manager is being prepared or has trouble connecting to the cluster."
        )


class InvalidUnlockKey(ApiError):
    status = 401

    def __init__(self) -> None:
        super().__init__("swarm could not be unlocked: invalid key provided")


class NotLocked(Conflict):
    def __init__(self) -> None:
        super().__init__("swarm is not locked")


class WrongCA(ApiError):
    """The token was made for another swarm. dockerd answers 500."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"remote CA does not match fingerprint. Expected: {digest}")


class DeadlineExceeded(RpcError):
    """dockerd gives a call to the managers 20 seconds."""

    def __init__(self) -> None:
        super().__init__("DeadlineExceeded", "context deadline exceeded")


class ConnectionRefused(RpcError):
    """Nothing listens there: a worker, or a machine without a swarm."""

    def __init__(self, address: str) -> None:
        super().__init__(
            "Unavailable",
            'connection error: desc = "transport: Error while dialing: '
            f'dial tcp {address}: connect: connection refused"',
        )


_LEAVING = "You are attempting to leave the swarm on a node that is participating as a manager. "
_ONLY_WAY = (
    "The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. "
    "Use `--force` to suppress this message."
)


class LeaveManager(Unavailable):
    """``docker swarm leave`` without ``--force`` on a manager."""

    @classmethod
    def warning(cls, *, ready: bool, reachable: int, unreachable: int, counted: bool) -> LeaveManager:
        """The words depend on what would be left. ``counted``: this node knows, and counts as reachable itself."""
        if not ready:
            return cls(_LEAVING + "Doing so may lose the consensus of your cluster. " + _ONLY_WAY)
        if not counted or reachable - 2 > unreachable:  # dockerd's own arithmetic
            return cls(_LEAVING + _ONLY_WAY)
        if (reachable, unreachable) == (1, 0):
            return cls(
                _LEAVING + "Removing the last manager erases all current state of the swarm. "
                "Use `--force` to ignore this message. "
            )
        return cls(
            _LEAVING + f"Removing this node leaves {reachable - 1} managers out of {reachable + unreachable}. "
            "Without a Raft quorum your swarm will be inaccessible. " + _ONLY_WAY
        )
