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
    code, words = -2, "RuntimeInconsistency"


class ConnectionLoss(ZooKeeperError):
    """The connection broke before the answer came: the write may have happened, or not."""

    code, words = -4, "ConnectionLoss"


class MarshallingError(ZooKeeperError):
    code, words = -5, "MarshallingError"


class Unimplemented(ZooKeeperError):
    code, words = -6, "Unimplemented"


class OperationTimeout(ZooKeeperError):
    code, words = -7, "OperationTimeout"


class BadArguments(ZooKeeperError):
    code, words = -8, "BadArguments"


class NoNode(ZooKeeperError):
    code, words = -101, "NoNode"


class NoAuth(ZooKeeperError):
    code, words = -102, "NoAuth"


class BadVersion(ZooKeeperError):
    code, words = -103, "BadVersion"


class NoChildrenForEphemerals(ZooKeeperError):
    code, words = -108, "NoChildrenForEphemerals"


class NodeExists(ZooKeeperError):
    code, words = -110, "NodeExists"


class NotEmpty(ZooKeeperError):
    code, words = -111, "Directory not empty"


class SessionExpired(ZooKeeperError):
    """The ensemble has given the session up: its ephemeral nodes are gone, and it answers nothing any more."""

    code, words = -112, "Session expired"


class InvalidCallback(ZooKeeperError):
    code, words = -113, "Invalid callback"


class InvalidAcl(ZooKeeperError):
    code, words = -114, "InvalidACL"


class AuthFailed(ZooKeeperError):
    code, words = -115, "AuthFailed"


class SessionMoved(ZooKeeperError):
    """The session is served by another member since."""

    code, words = -118, "Session moved"


class NoWatcher(ZooKeeperError):
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
