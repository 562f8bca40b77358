"""Marathon's state in ZooKeeper: what is written, and what it costs to keep it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from typing import Any, cast

from labkit.embedded.marathon.core.store import Session, Store
from labkit.embedded.zookeeper.ops import OPEN_ACL, Create


class Kept:
    """A session that keeps what it is given, as ZooKeeper's tree and log do."""

    acl = OPEN_ACL

    def __init__(self) -> None:
        self.ops: list[Any] = []

    async def multi(self, ops: Iterable[Any]) -> None:
        self.ops += ops


async def test_what_is_stored_takes_little_more_than_it_is_long() -> None:
    session = Kept()
    store = Store(cast(Session, session))
    tracemalloc.start(1)
    try:
        before = tracemalloc.get_traced_memory()[0]
        await store.save([("instance", f"web.{number}", {"host": "x" * 500}) for number in range(400)])
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    values = [op.data for op in session.ops if isinstance(op, Create) and op.data]
    assert len(values) == 400
    assert taken < 3 * sum(map(len, values))  # a buffer of orjson's each would be eight times as much
