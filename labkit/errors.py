"""Errors that labkit's users see: one clear line each, in a shell and in a notebook."""

from __future__ import annotations


class LabkitError(Exception):
    """Something that the person at the keyboard can understand and mend.

    The message is one line that says what is wrong and, where there is a way out, what to type. The command line prints
    it and leaves with ``exit_code``; a notebook shows it without a traceback.
    """

    exit_code = 1

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for this before it renders one itself. A newcomer who mistyped a name should read
        # the sentence, not forty lines of somebody else's stack.
        return [f"labkit: {self}"]


class UsageError(LabkitError, ValueError):
    """An argument that makes no sense; the message says which would."""

    exit_code = 2


class NotFound(LabkitError, LookupError):
    """There is no sandbox (or machine) of that name."""

    exit_code = 3


class Refused(LabkitError):
    """labkit could, but will not without being asked by name: the cluster is not its own."""


class EngineFailed(LabkitError):
    """A sandbox could not be started or stopped; the message carries the engine's own last words."""


class ClusterError(LabkitError):
    """The cluster did not do it; the message is the orchestrator's own."""
