"""What a call is answered, in libprocess' form: a status, and words as plain text."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with no JSON in it."""

    status: int
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)


ACCEPTED = Answer(202)
OK = Answer(200)


def bad_request(text: str) -> Answer:
    return Answer(400, text)


def forbidden(text: str) -> Answer:
    return Answer(403, text)


def not_found(text: str = "") -> Answer:
    return Answer(404, text)


def method_not_allowed(allowed: tuple[str, ...], method: str) -> Answer:
    """As libprocess' ``http::MethodNotAllowed`` words it."""
    listed = "', '".join(allowed)
    text = f"405 Method Not Allowed. Expecting one of {{ '{listed}' }}, but received '{method}'."
    return Answer(405, text, {"Allow": ", ".join(allowed)})


def redirect(location: str) -> Answer:
    """Its body is what libprocess' ``TemporaryRedirect`` says."""
    return Answer(307, "", {"Location": location})


def not_implemented(text: str = "") -> Answer:
    return Answer(501, text)


def unavailable(text: str) -> Answer:
    return Answer(503, text)
