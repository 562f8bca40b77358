"""What ZooKeeper refuses, each with its code on the wire (``KeeperException.Code``) and its own words."""

from __future__ import annotations


class ZooKeeperError(Exception):
    """A request was refused or came to nothing. ``code`` is the wire's number, ``words`` what Java prints."""

    code = -1
    words = "SystemError"

    def __init__(self, path: str | None = None) -> None:
        self.path = path
        super().__init__(f"KeeperErrorCode = {self.words}" + (f" for {path}" if path else ""))


class RuntimeInconsistency(ZooKeeperError):
    """In the answer to a multi: an operation that was not looked at, since one before it was refused."""

    code, words = -2, "RuntimeInconsistency"


class ConnectionLoss(ZooKeeperError):
    """The connection broke before the answer came: the write may have happened, or not."""

    code, words = -4, "ConnectionLoss"


class MarshallingError(ZooKeeperError):
    """What came over the wire is no request of its kind."""

    code, words = -5, "MarshallingError"


class Unimplemented(ZooKeeperError):
    """There is no such request, or not here."""

    code, words = -6, "Unimplemented"


class OperationTimeout(ZooKeeperError):
    """A quorum did not agree in time. Kept for its code; nothing here raises it."""

    code, words = -7, "OperationTimeout"


class BadArguments(ZooKeeperError):
    """A path or a value that cannot be: ``/a//b``, a sequence below nothing."""

    code, words = -8, "BadArguments"


class NoNode(ZooKeeperError):
    """The node, or the parent of one that is to be made, is not there."""

    code, words = -101, "NoNode"


class NoAuth(ZooKeeperError):
    """The node's access list does not let this client do that."""

    code, words = -102, "NoAuth"


class BadVersion(ZooKeeperError):
    """The node has another version than the write was meant for."""

    code, words = -103, "BadVersion"


class NoChildrenForEphemerals(ZooKeeperError):
    """The parent goes with its session, so nothing may be below it."""

    code, words = -108, "NoChildrenForEphemerals"


class NodeExists(ZooKeeperError):
    """A node of that path is there already."""

    code, words = -110, "NodeExists"


class NotEmpty(ZooKeeperError):
    """The node has children, and is not deleted before they are."""

    code, words = -111, "Directory not empty"


class SessionExpired(ZooKeeperError):
    """The ensemble has given the session up: its ephemeral nodes are gone, and it answers nothing any more."""

    code, words = -112, "Session expired"


class InvalidCallback(ZooKeeperError):
    """Kept for its code; nothing here raises it."""

    code, words = -113, "Invalid callback"


class InvalidAcl(ZooKeeperError):
    """An access list that is empty, or names a scheme or an identity that cannot be."""

    code, words = -114, "InvalidACL"


class AuthFailed(ZooKeeperError):
    """What a client said to prove who it is was not accepted."""

    code, words = -115, "AuthFailed"


class SessionMoved(ZooKeeperError):
    """The session is served by another member since."""

    code, words = -118, "Session moved"


class NoWatcher(ZooKeeperError):
    """A watch is to be taken away that was never set."""

    code, words = -121, "No such watcher"


class SessionClosed(SessionExpired):
    """The session was closed by its own owner, or the machine that it ran on lost its power."""


class MultiFailed(ZooKeeperError):
    """One operation of a multi was refused, so none was done. ``results`` has an error for each operation: None for
    those that would have gone well, ``RuntimeInconsistency`` for those after the one that failed."""

    def __init__(self, results: list[ZooKeeperError | None]) -> None:
        self.results = results
        self.cause = next(e for e in results if e is not None and not isinstance(e, RuntimeInconsistency))
        super().__init__(self.cause.path)
        self.code = self.cause.code
        self.words = self.cause.words
        self.args = self.cause.args
