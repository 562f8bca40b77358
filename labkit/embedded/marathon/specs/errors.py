"""What Marathon answers to a body that it does not take, in its own words.

``api/MarathonExceptionMapper.scala`` and ``api/RestResource.scala`` of Marathon.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]


class SpecError(Exception):
    """A body that is refused: ``status`` and ``body()`` are the answer."""

    status = 422

    def body(self) -> Json:
        return {"message": str(self)}


class NotJson(SpecError):
    """It cannot be read as JSON at all."""

    status = 400
    message = "Invalid JSON"

    def __init__(self, why: str) -> None:
        super().__init__(self.message)
        self.why = why

    def body(self) -> Json:
        return {"message": self.message, "details": self.why}


class NoJson(NotJson):
    """There is nothing to be read."""

    message = "Please specify data in JSON format"

    def __init__(self) -> None:
        super().__init__("No content to map due to end-of-input")


Details = list[tuple[str, str]]


class _WithDetails(SpecError):
    message = ""

    def __init__(self, details: Iterable[tuple[str, str]]) -> None:
        self.details: Details = list(details)
        super().__init__(f"{self.message}: {self.details}")

    def body(self) -> Json:
        """Errors of one path stand together, in the order in which they were found."""
        paths: dict[str, list[str]] = {}
        for path, error in self.details:
            errors = paths.setdefault(path, [])
            if error not in errors:
                errors.append(error)
        return {"message": self.message, "details": [{"path": path, "errors": e} for path, e in paths.items()]}


class Malformed(_WithDetails):
    """A field has the wrong type or is outside of what its RAML type allows (``error.expected.jsstring``: play)."""

    message = "Invalid JSON"


class AppRejected(_WithDetails):
    """Every field can be read, but together they make no sense (wix accord's words)."""

    message = "Object is not valid"


class Unprocessable(SpecError):
    """What Marathon throws as IllegalArgumentException, answered with 422 and the bare message."""


class Misnormalized(SpecError):
    """Fields that contradict each other, which Marathon finds out too late: its words, but 422 instead of its 500."""


class PortRangeExhausted(SpecError):
    """No service port is left (``PortRangeExhaustedException``)."""

    status = 500

    def __init__(self, low: int, high: int) -> None:
        super().__init__(f"All ports in the range [{low}-{high}) are already in use")


class Conflict(SpecError):
    """``ConflictingChangeException``."""

    status = 409


class NoSuchApp(SpecError):
    """``AppNotFoundException``."""

    status = 404

    def __init__(self, app: str, version: str | None = None) -> None:
        super().__init__(f"App '{app}' does not exist" + (f" in version {version}" if version else ""))


class NoSuchGroup(SpecError):
    """``UnknownGroupException``."""

    status = 404

    def __init__(self, group: str) -> None:
        super().__init__(f"Group '{group}' does not exist")


class NoSuchPath(SpecError):
    """``PathNotFoundException``."""

    status = 404

    def __init__(self, path: str, version: str | None = None) -> None:
        super().__init__(f"Path '{path}' does not exist" + (f" in version {version}" if version else ""))


class AppLocked(SpecError):
    """A deployment works on one of the apps (``AppLockedException``)."""

    status = 409

    def __init__(self, deployments: Iterable[str]) -> None:
        super().__init__(
            "App is locked by one or more deployments. Override with the option '?force=true'. "
            "View details at '/v2/deployments/<DEPLOYMENT_ID>'."
        )
        self.deployments = list(deployments)

    def body(self) -> Json:
        return {"message": str(self), "deployments": [{"id": each} for each in self.deployments]}
