"""A front end that only listens: counts what widgets send. The idea is ipywidgets' own (its widgets/tests/utils.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import comm
from comm.base_comm import BaseComm
from ipywidgets.widgets import widget as widget_module


@dataclass
class Wire:
    """Everything that was sent since the last :meth:`clear`."""

    messages: list[tuple[dict[str, Any], int]] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """JSON and buffers; without the envelope that every Jupyter message has."""
        return sum(size for _, size in self.messages)

    @property
    def keys(self) -> set[str]:
        return {key for data, _ in self.messages for key in data.get("state", {})}

    def clear(self) -> None:
        self.messages.clear()

    def updates(self) -> list[dict[str, Any]]:
        """Plotly's update messages."""
        found = (data.get("state", {}).get("_py2js_update") for data, _ in self.messages)
        return [update for update in found if update]


@contextmanager
def listening() -> Iterator[Wire]:
    """Widgets made inside send to the wire that this gives."""
    wire = Wire()

    class Listener(BaseComm):
        def publish_msg(
            self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
        ) -> None:
            size = len(json.dumps(data, separators=(",", ":"))) + sum(memoryview(b).nbytes for b in buffers or ())
            wire.messages.append((data or {}, size))

    before = comm.create_comm
    for module in (comm, widget_module.comm):
        module.create_comm = lambda *args, **kwargs: Listener(*args, **kwargs)
    try:
        yield wire
    finally:
        for module in (comm, widget_module.comm):
            module.create_comm = before
