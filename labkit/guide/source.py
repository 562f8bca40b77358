"""A solution's source, as a learner wants to read it."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from typing import Any


def solution_text(solution: Callable[..., Any]) -> str:
    """The body of a solution function, dedented, without its signature: what one would type in a cell.

    ``context.sandbox`` reads ``sandbox``, ``context.client`` reads ``sandbox.client``: a cell has no context.
    """
    lines = inspect.getsource(solution).splitlines()
    start = next(number for number, line in enumerate(lines) if line.rstrip().endswith(":")) + 1
    body = textwrap.dedent("\n".join(lines[start:])).strip()
    return body.replace("context.client", "sandbox.client").replace("context.sandbox", "sandbox")
