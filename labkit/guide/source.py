"""A solution's source, as a learner wants to read it."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

# What the notebooks call their sandbox, by orchestrator; any other is called as its orchestrator is.
VARIABLES = {"": "sandbox", "kubernetes": "kube"}


def solution_text(solution: Callable[..., Any], orchestrator: str = "") -> str:
    """The body of a solution function, dedented, without its signature: what one would type in a cell.

    A cell has no context: in a lab about Swarm ``context.sandbox`` reads ``swarm`` and ``context.client`` reads
    ``swarm.client``; about Kubernetes ``kube`` and ``kube.client``. What earlier cells of the notebook define, a
    solution imports from ``__main__``; a cell simply has it. A final ``return`` is the last line's value.
    """
    variable = VARIABLES.get(orchestrator, orchestrator)
    lines = inspect.getsource(solution).splitlines()
    start = next(number for number, line in enumerate(lines) if line.rstrip().endswith(":")) + 1
    body = textwrap.dedent("\n".join(lines[start:]))
    body = re.sub(r"^from __main__ import .*\n+", "", body, flags=re.MULTILINE).strip()
    body = body.replace("context.client", f"{variable}.client").replace("context.sandbox", variable)
    return re.sub(r"^return ", "", body, flags=re.MULTILINE)
