"""The environment variables that point clients at a sandbox: in this process, as shell text, and for terminals."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from labkit.engines.base import Record
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.registry import Registry

# Everything that labkit sets for any engine. What a sandbox does not use is unset: a DOCKER_TLS_VERIFY that is left
# over from a TLS endpoint makes the docker CLI fail on a unix socket.
VARIABLES = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")

_before: dict[str, str | None] = {}
_pointed: list[Record] = []  # the sandboxes that this process was pointed at, the newest last


def point_at(record: Record) -> None:
    """Makes this process's clients, and whatever it starts, talk to the sandbox."""
    _pointed[:] = [one for one in _pointed if one.name != record.name] + [record]
    for variable in VARIABLES:
        _before.setdefault(variable, os.environ.get(variable))
        _put(variable, record.env.get(variable))


def leave(record: Record) -> None:
    """Points back at the sandbox before it, or at what was there before the first, if this process still points at it.

    Whoever tries a second sandbox in between and takes it down finds the first one again.
    """
    _pointed[:] = [one for one in _pointed if one.name != record.name]
    if not record.env or os.environ.get("DOCKER_HOST") != record.env.get("DOCKER_HOST"):
        return
    for variable in VARIABLES:
        _put(variable, _pointed[-1].env.get(variable) if _pointed else _before.pop(variable, None))


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
    return "\n".join(SHELLS[shell](variable, env.get(variable)) for variable in VARIABLES)


def publish(registry: Registry) -> None:
    """Tells terminals which sandbox is the newest, by a file that they read before each prompt.

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
        text = (
            f'if [ "${{LABKIT_ENV_STAMP-}}" != {stamp} ]; then\n{shell_lines(records[-1].env)}\n'
            f"LABKIT_ENV_STAMP={stamp}\nfi\n"
        )
        beside = path.with_name(f".env-{os.getpid()}.tmp")
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
