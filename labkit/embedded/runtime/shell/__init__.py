"""A small POSIX shell and the tools of busybox, all inside the sandbox: nothing of it is run on the computer."""

from __future__ import annotations

from labkit.embedded.runtime.shell.places import DIRECTORIES

__all__ = ["DIRECTORIES"]
