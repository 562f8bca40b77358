"""Writes are done, all of them, whenever they are added."""

from __future__ import annotations

import asyncio
from typing import Any

from labkit.embedded.kubernetes.scheduler.writing import Writer


class Wire:
    """A client and a recorder that only remember."""

    def __init__(self) -> None:
        self.bound: list[str] = []

    async def bind(self, namespace: str, name: str, node: str) -> None:
        self.bound.append(name)

    def event(self, *_: Any, **__: Any) -> None: ...


class Pod:
    def __init__(self, name: str) -> None:
        self.key, self.obj = ("default", name), {}


async def test_a_write_that_is_added_as_the_last_writer_ends_is_done() -> None:
    wire: Any = Wire()
    writer = Writer(wire, wire, "default-scheduler")
    for pause in range(4):  # loop rounds between the two, so that one of them meets the end of the writer
        writer.bind(Pod("first"), "n", lambda problem: None)  # type: ignore[arg-type]
        for _ in range(pause):
            await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(writer.bind, Pod("second"), "n", lambda problem: None)
        for _ in range(5):
            await asyncio.sleep(0)
        assert wire.bound == ["first", "second"] * (pause + 1)
