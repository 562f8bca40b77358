"""What Marathon and Mesos answer when they do not do it, in their own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from labkit.errors import ClusterError


class ServiceError(ClusterError):
    """A request that was answered with an error. ``status`` is its HTTP status, 0 when nothing answered at all."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class MarathonError(ServiceError):
    """What Marathon refused.

    ``details`` names each path of an object that is not valid and why (422); ``deployments`` are the ids of those that
    keep an app locked (409): ``force=True`` overrides them.
    """

    def __init__(
        self,
        message: str,
        status: int = 0,
        details: Sequence[Mapping[str, Any]] = (),
        deployments: Sequence[str] = (),
    ) -> None:
        super().__init__(message, status)
        self.details = tuple(details)
        self.deployments = tuple(deployments)


class MesosError(ServiceError):
    """What a Mesos master (or agent) refused."""


class Unreachable(MarathonError, MesosError):
    """No server of this kind answers: refused, silent, or away."""

    def __init__(self, message: str, status: int = 0) -> None:
        MarathonError.__init__(self, message, status)


def marathon_error(status: int, content: bytes) -> MarathonError:
    """The error of an answer: ``message``, and below it what is said of each path."""
    try:
        told = orjson.loads(content)
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, Mapping):
        return MarathonError(_plain("Marathon", status, content), status)
    details = [row for row in told.get("details") or () if isinstance(row, Mapping)]
    message = str(told.get("message") or told.get("error") or f"Marathon answered {status}")
    paths = "; ".join(f"{row.get('path', '/')}: {', '.join(map(str, row.get('errors') or ()))}" for row in details)
    locks = [str(row.get("id")) for row in told.get("deployments") or () if isinstance(row, Mapping)]
    return MarathonError(f"{message} ({paths})" if paths else message, status, details, locks)


def mesos_error(status: int, content: bytes) -> MesosError:
    """Mesos answers in plain text."""
    return MesosError(_plain("Mesos", status, content), status)


def _plain(who: str, status: int, content: bytes) -> str:
    text = content.decode("utf-8", "replace").strip()
    if status == 401:
        return f"{who} wants credentials: put user and password into its URL (http://user:password@host:port)"
    if not text or text.startswith("<"):  # a page for people
        return f"{who} answered {status}"
    return text.splitlines()[0][:300]
