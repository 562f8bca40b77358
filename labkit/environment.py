"""The environment variables that point clients at a sandbox: in this process, as shell text, and for terminals."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from labkit.engines.base import Record
from labkit.engines.shapes import SHAPES
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.registry import Registry

# Everything that labkit sets, in groups that belong together: a sandbox sets its own group and leaves the others alone,
# so that a swarm and a Kubernetes cluster can be talked to side by side. What of its group it does not use is unset: a
# DOCKER_TLS_VERIFY that is left over from a TLS endpoint makes the docker CLI fail on a unix socket.
GROUPS = tuple(shape.variables for shape in SHAPES.values())
VARIABLES = tuple(variable for group in GROUPS for variable in group)


def variables_of(env: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that an environment is about: those of every group of which it has one."""
    return tuple(variable for group in GROUPS if any(name in env for name in group) for variable in group)


_before: dict[str, str | None] = {}
_pointed: list[Record] = []  # the sandboxes that this process was pointed at, the newest last


def point_at(record: Record) -> None:
    """Makes this process's clients, and whatever it starts, talk to the sandbox."""
    _pointed[:] = [one for one in _pointed if one.name != record.name] + [record]
    for variable in variables_of(record.env):
        _before.setdefault(variable, os.environ.get(variable))
        _put(variable, record.env.get(variable))


def leave(record: Record) -> None:
    """Points back at the sandbox before it, or at what was there before the first, if this process still points at it.

    Whoever tries a second sandbox in between and takes it down finds the first one again.
    """
    _pointed[:] = [one for one in _pointed if one.name != record.name]
    variables = variables_of(record.env)
    if not variables or os.environ.get(variables[0]) != record.env.get(variables[0]):
        return
    earlier = next((one for one in reversed(_pointed) if variables_of(one.env) == variables), None)
    for variable in variables:
        _put(variable, earlier.env.get(variable) if earlier is not None else _before.pop(variable, None))


def _put(variable: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(variable, None)
    else:
        os.environ[variable] = value


def _posix(variable: str, value: str | None) -> str:
    return f"unset {variable}" if value is None else f"export {variable}={shlex.quote(value)}"


def _fish(variable: str, value: str | None) -> str:
    if value is None:
        return f"set -e {variable};"
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {variable} '{quoted}';"


def _powershell(variable: str, value: str | None) -> str:
    if value is None:
        return f"Remove-Item Env:{variable} -ErrorAction SilentlyContinue"
    quoted = value.replace("'", "''")
    return f"$Env:{variable} = '{quoted}'"


SHELLS: Mapping[str, Callable[[str, str | None], str]] = {
    "sh": _posix,
    "bash": _posix,
    "zsh": _posix,
    "fish": _fish,
    "powershell": _powershell,
}


def shell_lines(env: Mapping[str, str], shell: str = "sh") -> str:
    """Lines that a shell of that kind evaluates to get this environment, and to lose what it does not use."""
    if shell not in SHELLS:
        raise UsageError(f"there is no shell {shell!r}; there are {', '.join(SHELLS)}")
    return "\n".join(SHELLS[shell](variable, env.get(variable)) for variable in variables_of(env))


def publish(registry: Registry) -> None:
    """Tells terminals which sandboxes are the newest, one an orchestrator, by a file that they read before each prompt.

    The file acts once for each time it was written (its stamp), so a ``DOCKER_HOST`` that somebody sets by hand in a
    terminal, to look at another machine, stays until the next `up` or `down`.
    """
    path = registry.paths.shell_env
    records = [record for record in registry.all() if record.env]
    with contextlib.suppress(OSError):
        if not records:
            path.unlink(missing_ok=True)
            return
        registry.paths.make_runtime()
        stamp = f"{time.time_ns():x}"
        newest = {variables_of(record.env): record.env for record in records}
        lines = "\n".join(shell_lines(env) for env in newest.values())
        ours = " ".join(variable for group in newest for variable in group)
        # What the file before has set and this one does not is unset: the last swarm may be gone, and a cluster there.
        text = (
            f'if [ "${{LABKIT_ENV_STAMP-}}" != {stamp} ]; then\n'
            f'[ -z "${{LABKIT_ENV_SET-}}" ] || unset ${{LABKIT_ENV_SET}}\n{lines}\n'
            f"LABKIT_ENV_STAMP={stamp} LABKIT_ENV_SET='{ours}'\nfi\n"
        )
        beside = path.with_name(f".env-{os.getpid()}.tmp")
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
