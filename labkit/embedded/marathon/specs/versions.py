"""When an app was changed, and how (``state/VersionInfo.scala``, ``upgrade/GroupVersioningUtil.scala``).

A version is a time as Marathon prints it, ``2021-07-27T20:40:33.123Z``: such strings sort as the times do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

NEVER = "1970-01-01T00:00:00.000Z"


def timestamp(seconds: float) -> str:
    """A time of the sandbox clock (seconds since 1970) as Marathon prints times."""
    # Rounded down: a version must never lie in the future.
    whole, millis = divmod(int(seconds * 1000), 1000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def seconds(text: str) -> float:
    """The reverse. Raises ValueError for what is no time."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


@dataclass(frozen=True, slots=True)
class Versions:
    """``version``: of the last change of any kind. The other two are not known before the first deployment."""

    version: str
    scaled: str | None = None
    configured: str | None = None

    @property
    def config(self) -> str:
        """Of the configuration: tasks of an older one are to be replaced; a back-off belongs to one of them."""
        return self.configured or self.version

    @classmethod
    def new(cls, version: str) -> Versions:
        """Of an app whose configuration is new."""
        return cls(version, version, version)

    def scale(self, version: str) -> Versions:
        return Versions(version, version, self.config)

    def restart(self, version: str) -> Versions:
        """By hand: counts as a change of the configuration."""
        return Versions(version, self.scaled or self.version, version)


RESTART = Versions(NEVER)  # what an app is marked with to be restarted (``VersionInfo.NoVersion``)
