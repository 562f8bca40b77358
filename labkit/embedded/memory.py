"""The memory of a sandbox's process: when garbage is looked for, and how free memory goes back to the system.

A sandbox is quiet most of the time, and busy for seconds when somebody scales a workload to a thousand. Python's own
thresholds would look through everything that there is again and again in those seconds, a third of all processor time
with ten thousand pods, to find next to nothing. So it is done afterwards, when nobody waits; and then the C library is
asked to give back what is free, which it does not do by itself for memory in the middle of its heap.
"""

from __future__ import annotations

import asyncio
import gc

# gc.set_threshold: of so many objects that were made and kept it is looked through the new ones. Ten thousand pods are
# two millions, none of them garbage; a lab hardly ever gets there.
YOUNG, MIDDLE, OLD = 2_000_000, 10, 10
EVERY = 5.0  # seconds of the wall clock between two looks
STEP = 50_000  # objects; what a look goes by
GROWN = 2  # steps since the last time: then it is worth while


def settle() -> None:
    """The sandbox is up: what is there now stays, and no collection needs to walk over it."""
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
    gc.enable()


async def keep_tidy() -> None:
    """Tidy up after each burst of work, once hardly anything new is made any more. Ends when it is cancelled."""
    before = 0
    while True:
        await asyncio.sleep(EVERY)
        grown = _grown()
        if grown >= GROWN and grown == before:
            tidy()
            grown = _grown()
        before = grown


def _grown() -> int:
    """How many steps more objects there are, since everything was last looked through."""
    new, young, middle = gc.get_count()
    return (new + (young + middle * MIDDLE) * YOUNG) // STEP


def tidy() -> None:
    """Collect all garbage and give back what is free."""
    gc.collect()
    try:
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):
        pass  # only glibc has it; the others give memory back by themselves, or not at all
