"""The command line: ``labkit up swarm``, ``labkit env``, ``labkit down`` and the rest.

One module for each group of commands, plus :mod:`labkit.cli.output` for what they print. Everything heavy is imported
inside the commands: ``eval "$(labkit env)"`` stands in people's shell profiles.
"""

from __future__ import annotations

import sys

from labkit.errors import LabkitError


def main() -> None:
    """The console script. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such sandbox or machine."""
    from labkit.cli.app import app

    try:
        app(prog_name="labkit")
    except LabkitError as error:
        print(f"labkit: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
