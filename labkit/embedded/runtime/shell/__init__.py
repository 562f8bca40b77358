"""A small POSIX shell and the tools of busybox, all inside the sandbox: nothing of it is run on the computer.

``lexer`` cuts text into words, ``parser`` makes a ``syntax`` tree, ``interpreter`` walks it with ``expand`` for words
and ``builtins`` for what changes the shell itself; ``applets`` are the tools, ``main`` is ``sh`` as a program.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from labkit.embedded.runtime.shell.places import DIRECTORIES

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from labkit.embedded.runtime.images.base import Program
    from labkit.embedded.runtime.processes import Process

__all__ = ["DIRECTORIES", "shell_programs"]


@cache
def shell_programs() -> dict[str, Program]:
    """The shell and all its tools, to be merged into the programs of an image."""
    from labkit.embedded.runtime.shell.applets import APPLETS
    from labkit.embedded.runtime.shell.main import shell, shell_tool

    APPLETS.update(sh=shell_tool, ash=shell_tool)
    programs = {name: _program(name) for name in APPLETS if name not in ("sh", "ash")}
    for name in ("sh", "ash"):
        programs[name] = _tool_program(shell, name)
    return programs


def _program(name: str) -> Program:
    async def program(process: Process) -> int:
        from labkit.embedded.runtime.shell import children
        from labkit.embedded.runtime.shell.context import Context, Pace

        context = Context(
            name=process.args[0].rpartition("/")[2],
            args=process.args[1:],
            process=process,
            stdin=process.stdin,
            stdout=process.stdout,
            stderr=process.stderr,
            env=process.env,
            cwd=process.cwd,
            pace=Pace(process),
            run=children.run,
        )
        return await children.tool(name, context)

    return _tool_program(program, name)


def _tool_program(program: Callable[[Process], Coroutine[Any, Any, int]], name: str) -> Program:
    """Marks a program as one that a shell can run inside itself."""
    program.applet = name  # type: ignore[attr-defined]
    return program
