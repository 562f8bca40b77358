"""A solution's source, as a learner wants to read it."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any


def solution_text(solution: Callable[..., Any], variable: str = "sandbox") -> str:
    """The body of a solution function, dedented, without its signature: what one would type in a cell.

    ``variable`` is what the notebook calls its sandbox: ``context.sandbox`` reads ``swarm`` and ``context.client``
    reads ``swarm.client``, for a cell has no context; a final ``return`` is the last line's value.
    """
    lines = inspect.getsource(solution).splitlines()
    start = next(number for number, line in enumerate(lines) if line.rstrip().endswith(":")) + 1
    body = textwrap.dedent("\n".join(lines[start:])).strip()
    body = body.replace("context.client", f"{variable}.client").replace("context.sandbox", variable)
    return re.sub(r"^return ", "", body, flags=re.MULTILINE)
