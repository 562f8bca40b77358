"""Who may drive the sandbox: one user with a random password, in a file that only its owner can read.

Marathon starts commands of whoever asks, as the user who runs the sandbox, and loopback is open to every user of the
computer: so nobody gets in without the password. The file has the form of Mesos' own (``--credentials``, described in
its ``docs/authentication.md``), so that a framework or an agent of one's own can be given the very same file.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

USER = "labkit"
FILE = "credentials"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A principal and its secret; ``repr`` does not show it."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r})"

    def in_url(self, host: str, port: int) -> str:
        """``http://labkit:…@127.20.0.10:8080``."""
        return f"http://{self.user}:{self.password}@{host}:{port}"


def prepare(state: Path) -> Credentials:
    """Those of this sandbox, made when it is new. Raises OSError.

    Letters and digits only: they stand in URLs and in people's shells without any quoting.
    """
    path = state / FILE
    try:
        found = json.loads(path.read_text("ascii"))["credentials"][0]
        return Credentials(str(found["principal"]), str(found["secret"]))
    except (FileNotFoundError, ValueError, KeyError, IndexError, TypeError):
        made = Credentials(USER, secrets.token_hex(16))
    beside = path.with_name(f".{FILE}-{os.getpid()}.tmp")
    body = {"credentials": [{"principal": made.user, "secret": made.password}]}
    with open(beside, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        json.dump(body, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    return made
