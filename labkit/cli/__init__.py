"""The command line: ``labkit up swarm``, ``labkit env``, ``labkit down`` and the rest.

One module for each group of commands, plus :mod:`labkit.cli.output` for what they print. Everything heavy is imported
inside the commands: ``eval "$(labkit env)"`` stands in people's shell profiles.
"""

from __future__ import annotations

import os
import sys

from labkit.errors import LabkitError

_COMPLETION = "_LABKIT_COMPLETE"  # set by the shell that asks for completions


def main() -> None:
    """The console script. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such sandbox or machine."""
    try:
        code = _without_parser(sys.argv[1:])
        if code is not None:
            sys.exit(code)
        from labkit.cli.app import app

        app(prog_name="labkit")
    except LabkitError as error:
        print(f"labkit: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


# Commands that need no parser as long as they are given no option: what does it, and how many words it takes.
_SIMPLE = {"env": ("show_env", 1), "ls": ("show_list", 0), "status": ("show_status", 1)}


def _without_parser(words: list[str]) -> int | None:
    """The exit code of what needs no parsing (`labkit env swarm`), None for everything else."""
    show, most = _SIMPLE.get(words[0], ("", 0)) if words else ("", 0)
    if not show or len(words) - 1 > most or any(word.startswith("-") for word in words) or _COMPLETION in os.environ:
        return None
    from labkit.cli import showing

    code: int = getattr(showing, show)(*words[1:])
    return code
