"""Where labkit keeps things: the only place that knows.

*State* (records, databases, logs) lives in the user's state folder and survives a reboot. *Runtime* (sockets) lives
in a short private folder, because the path of a unix socket ends at 107 bytes and a hub's home may be on NFS, where
sockets do not work.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import LabkitError, UsageError

# sun_path has 108 bytes on Linux and 104 on macOS, the closing NUL included.
SOCKET_PATH_LIMIT = 103 if sys.platform == "darwin" else 107
LONGEST_SOCKET = "manager-99.sock"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


def check_name(name: str) -> str:
    """The name, if it may name a sandbox: it becomes a folder, a part of socket paths and of container names."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a sandbox: use 1 to 32 lower-case letters, digits and hyphens, such as 'demo-2'"
        )
    return name


@dataclass(frozen=True, slots=True)
class Paths:
    """The two folders, and what is where in them."""

    state: Path
    runtime: Path

    @classmethod
    def of(cls, environ: Mapping[str, str] | None = None) -> Paths:
        """Those of ``LABKIT_STATE_DIR`` and ``LABKIT_RUNTIME_DIR`` in the environment, or the usual ones."""
        env = os.environ if environ is None else environ
        return cls(_state(env).absolute(), _runtime(env).absolute())

    @property
    def sandboxes(self) -> Path:
        return self.state / "sandboxes"

    def state_of(self, name: str) -> Path:
        """The folder of a sandbox's database, log and record."""
        return self.sandboxes / check_name(name)

    def run_of(self, name: str) -> Path:
        """The folder of a sandbox's sockets."""
        return self.runtime / check_name(name)

    def record_of(self, name: str) -> Path:
        return self.state_of(name) / "record.json"

    def lock_of(self, name: str) -> Path:
        return self.sandboxes / f"{check_name(name)}.lock"

    @property
    def shell_env(self) -> Path:
        """What JupyterLab's terminals read before each prompt: where the newest sandbox is."""
        return self.runtime / "env.sh"

    def make_state(self) -> Path:
        """Makes the state folder, readable by its owner alone: databases hold join tokens and keys."""
        try:
            for left in reversed(range(20)):
                try:
                    self.sandboxes.mkdir(parents=True, exist_ok=True, mode=0o700)
                    break
                except FileNotFoundError:  # the last `down` tidies the parents away at this very moment
                    if not left:
                        raise
        except OSError as error:
            raise LabkitError(
                f"cannot make the state folder {self.sandboxes}: {error.strerror}; "
                "set LABKIT_STATE_DIR to a folder of yours"
            ) from error
        return self.sandboxes

    def make_runtime(self) -> Path:
        """Makes the runtime folder and makes sure that it is this user's alone.

        Under a shared ``/tmp`` anybody could have made the folder first; sockets in somebody else's folder could be
        swapped for theirs, so that is refused.
        """
        try:
            self.runtime.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = self.runtime.lstat()
        except OSError as error:
            raise LabkitError(
                f"cannot make the runtime folder {self.runtime}: {error.strerror}; "
                "set LABKIT_RUNTIME_DIR to a short path in a folder of yours"
            ) from error
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise LabkitError(
                f"{self.runtime} belongs to somebody else, so sockets there would not be safe; "
                "set LABKIT_RUNTIME_DIR to a short path in a folder of yours"
            )
        if stat.S_IMODE(found.st_mode) & 0o077:
            self.runtime.chmod(0o700)
        return self.runtime

    def check_socket_length(self, name: str) -> None:
        """Refuses a runtime folder so deep that the sandbox's sockets could not be bound."""
        longest = self.run_of(name) / LONGEST_SOCKET
        length = len(os.fsencode(longest))
        if length > SOCKET_PATH_LIMIT:
            raise LabkitError(
                f"the socket path {longest} has {length} bytes and the system allows {SOCKET_PATH_LIMIT}; "
                "set LABKIT_RUNTIME_DIR to a shorter path, or take a shorter name"
            )


def _state(env: Mapping[str, str]) -> Path:
    if chosen := env.get("LABKIT_STATE_DIR"):
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_state_path("labkit", appauthor=False)


def _runtime(env: Mapping[str, str]) -> Path:
    if chosen := env.get("LABKIT_RUNTIME_DIR"):
        return Path(chosen).expanduser()
    # Only if it is really there: containers and `sudo -u` often pass on the name of a folder that is not.
    session = env.get("XDG_RUNTIME_DIR")
    if session and os.path.isdir(session) and os.access(session, os.W_OK | os.X_OK):
        return Path(session) / "labkit"
    # Not tempfile.gettempdir() alone: on macOS that is a long path under /var/folders.
    base = Path("/tmp") if os.access("/tmp", os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    return base / f"labkit-{os.getuid()}"
