"""Image references: ``nginx``, ``docker.io/library/nginx:1.27``, ``host:5000/a/b@sha256:…``, as Docker reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass

DOCKER_IO = "docker.io"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")
_ID = re.compile(r"[a-f0-9]{64}")


class InvalidReference(ValueError):
    """Not an image reference; ``str()`` is in the engine's words."""

    def __init__(self, words: str = "invalid reference format") -> None:
        super().__init__(words)


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference in full. ``tag`` is ``latest`` unless another or a digest was given."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """``docker.io/library/nginx``."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """``nginx``: what people type and what the CLI shows."""
        if self.domain != DOCKER_IO:
            return self.repository
        return self.path.removeprefix("library/") if self.path.count("/") == 1 else self.path

    @property
    def familiar(self) -> str:
        """``nginx:1.27`` or ``nginx@sha256:…``."""
        tag = f":{self.tag}" if self.tag else ""
        return self.familiar_name + tag + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return self.repository + tag + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> Reference:
    """Read a reference as ``docker pull`` does; :class:`InvalidReference` when it is none."""
    if _ID.fullmatch(text):
        raise InvalidReference(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise InvalidReference
    domain, path = _split_domain(rest)
    name, colon, tag = path.partition(":")
    if name.lower() != name:
        raise InvalidReference(f"invalid reference format: repository name ({name}) must be lowercase")
    if not _DOMAIN.fullmatch(domain) or not _PATH.fullmatch(name) or (colon and not _TAG.fullmatch(tag)):
        raise InvalidReference
    if len(name) > 255:
        raise InvalidReference("repository name must not be more than 255 characters")
    return Reference(domain, name, tag or ("" if digest else "latest"), digest)


def _split_domain(name: str) -> tuple[str, str]:
    """The part before the first slash is a registry if it looks like a host, else the image is Docker Hub's."""
    first, slash, rest = name.partition("/")
    is_host = slash and (any(char in first for char in ".:") or first == "localhost" or first.lower() != first)
    domain, path = (first, rest) if is_host else (DOCKER_IO, name)
    if domain == "index.docker.io":
        domain = DOCKER_IO
    if domain == DOCKER_IO and "/" not in path:
        path = f"library/{path}"
    return domain, path
