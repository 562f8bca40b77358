"""What the API server answers when it does not do as asked: ``Status`` objects, in its own words.

The types and words are those of ``k8s.io/apimachinery/pkg/api/errors``; the field errors of :class:`Cause` are those of
``k8s.io/apimachinery/pkg/util/validation/field``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labkit.embedded.kubernetes.objects import Json


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is wrong with an object.

    ``reason`` is a ``CauseType`` (``FieldValueInvalid``, ``FieldValueRequired``, …), ``message`` what follows the path.
    """

    reason: str
    message: str
    field: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message

    def as_dict(self) -> Json:
        return {"reason": self.reason, "message": self.message, "field": self.field}


class StatusError(Exception):
    """An answer other than success. ``str()`` is the message that people read."""

    code = 500
    reason = "InternalError"

    def __init__(self, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def status(self) -> Json:
        """The ``Status`` object that goes over the wire."""
        status: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


def _details(resource: str, group: str, name: str = "", **more: Any) -> Json:
    details: Json = {"name": name} if name else {}
    if group:
        details["group"] = group
    if resource:
        details["kind"] = resource
    return {**details, **more}


def qualified(resource: str, group: str) -> str:
    """``deployments.apps``, ``pods``: what the real one prints for a resource."""
    return f"{resource}.{group}" if group else resource


class _AboutOne(StatusError):
    """An error about one object of a resource (its plural, e.g. ``pods``)."""

    words = "{resource} {name}"

    def __init__(self, resource: str, group: str, name: str, problem: str = "") -> None:
        message = self.words.format(resource=qualified(resource, group), name=f'"{name}"', problem=problem)
        super().__init__(message, _details(resource, group, name))


class NotFound(_AboutOne):
    code, reason = 404, "NotFound"
    words = "{resource} {name} not found"


class AlreadyExists(_AboutOne):
    code, reason = 409, "AlreadyExists"
    words = "{resource} {name} already exists"


class Conflict(_AboutOne):
    code, reason = 409, "Conflict"
    words = "Operation cannot be fulfilled on {resource} {name}: {problem}"


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


class Forbidden(StatusError):
    code, reason = 403, "Forbidden"

    def __init__(self, resource: str, group: str, name: str, problem: str) -> None:
        if not resource:
            message = f"forbidden: {problem}"
        elif not name:
            message = f"{qualified(resource, group)} is forbidden: {problem}"
        else:
            message = f'{qualified(resource, group)} "{name}" is forbidden: {problem}'
        super().__init__(message, _details(resource, group, name))


class Invalid(StatusError):
    """422: the object says something that cannot be. ``kind`` is the object's kind, not its plural."""

    code, reason = 422, "Invalid"

    def __init__(self, kind: str, group: str, name: str, causes: Sequence[Cause]) -> None:
        texts = list(dict.fromkeys(str(cause) for cause in causes))
        problem = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        super().__init__(
            f'{qualified(kind, group)} "{name}" is invalid: {problem}',
            _details(kind, group, name, causes=[cause.as_dict() for cause in causes]),
        )
        self.causes = tuple(causes)


class BadRequest(StatusError):
    code, reason = 400, "BadRequest"


class Unauthorized(StatusError):
    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized") -> None:
        super().__init__(message)


class PathNotFound(StatusError):
    """404 for a path that the API server does not serve at all."""

    code, reason = 404, "NotFound"

    def __init__(self, message: str = "the server could not find the requested resource") -> None:
        super().__init__(message, {})


class MethodNotAllowed(StatusError):
    code, reason = 405, "MethodNotAllowed"

    def __init__(self, message: str = "the server does not allow this method on the requested resource") -> None:
        super().__init__(message, {})


class NotAcceptable(StatusError):
    code, reason = 406, "NotAcceptable"

    def __init__(self, accepted: Sequence[str]) -> None:
        super().__init__(f"only the following media types are accepted: {', '.join(accepted)}")


class UnsupportedMediaType(StatusError):
    code, reason = 415, "UnsupportedMediaType"

    def __init__(self, accepted: Sequence[str]) -> None:
        super().__init__(
            "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
        )


class RequestEntityTooLarge(StatusError):
    code, reason = 413, "RequestEntityTooLarge"

    def __init__(self, limit: int) -> None:
        super().__init__(f"Request entity too large: limit is {limit}", {})


class Expired(StatusError):
    """410: the history no longer goes back as far as was asked."""

    code, reason = 410, "Expired"


class TooManyRequests(StatusError):
    code, reason = 429, "TooManyRequests"

    def __init__(self, message: str, retry_after: int = 0, causes: Sequence[Json] = ()) -> None:
        details: Json = {"causes": list(causes)} if causes else {}
        if retry_after:
            details["retryAfterSeconds"] = retry_after
        super().__init__(message, details)


class InternalError(StatusError):
    def __init__(self, problem: str) -> None:
        super().__init__(f"Internal error occurred: {problem}", {"causes": [{"message": problem}]})


class ServiceUnavailable(StatusError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(StatusError):
    """504: it did not become possible in time; ask again after so many seconds."""

    code, reason = 504, "Timeout"

    def __init__(self, message: str, retry_after: int = 0, causes: Sequence[Json] = ()) -> None:
        details: Json = {"causes": list(causes)} if causes else {}
        if retry_after:
            details["retryAfterSeconds"] = retry_after
        super().__init__(f"Timeout: {message}", details)
