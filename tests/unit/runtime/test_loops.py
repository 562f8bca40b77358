"""The running loop is the one of this thread, at this moment: what is remembered of it must not be another's."""

from __future__ import annotations

import asyncio
import threading

import pytest

from labkit.embedded.runtime import loops


async def _both() -> tuple[asyncio.AbstractEventLoop, asyncio.AbstractEventLoop]:
    return loops.running(), asyncio.get_running_loop()


def test_each_run_has_its_own() -> None:
    found, first = asyncio.run(_both())
    assert found is first
    found, second = asyncio.run(_both())
    assert found is second
    assert second is not first


def test_there_is_none_outside() -> None:
    asyncio.run(_both())
    with pytest.raises(RuntimeError, match="no running event loop"):
        loops.running()


def test_another_thread_has_another_or_none() -> None:
    seen: list[object] = []

    def aside() -> None:
        try:
            loops.running()
        except RuntimeError as error:
            seen.append(str(error))
        found, real = asyncio.run(_both())
        seen.append(found is real)

    async def main() -> bool:
        here = loops.running()
        thread = threading.Thread(target=aside)
        thread.start()
        await asyncio.to_thread(thread.join)
        return loops.running() is here

    assert asyncio.run(main())
    assert seen == ["no running event loop", True]


async def _answer() -> int:
    return 42


def test_a_task_has_its_name() -> None:
    async def main() -> tuple[str, int]:
        task = loops.create_task(_answer(), name="the answer")
        return task.get_name(), await task

    assert asyncio.run(main()) == ("the answer", 42)
