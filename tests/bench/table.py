"""The benchmark's table: embedded beside real, their ratio, and the goal."""

from __future__ import annotations

import os
import platform
import statistics
import timeit

from rich.console import Console
from rich.table import Table as RichTable


class Table:
    """Rows as they come; printed once at the end, progress on the way to standard error."""

    def __init__(self, real_note: str = "") -> None:
        self._rows: list[tuple[str, ...]] = []
        self._real_note = real_note
        self._log = Console(stderr=True)

    def say(self, text: str) -> None:
        self._log.print(f"[dim]{text}[/dim]")

    def add(
        self, name: str, embedded: float, unit: str, *, real: float | None = None, goal: str = "", more: bool = False
    ) -> None:
        """One row; the ratio is how many times better ours is (``more``: where a larger figure is the better one)."""
        ratio = ""
        if real and embedded:
            ratio = f"{embedded / real if more else real / embedded:.1f} ×"
        self._rows.append((name, figure(embedded, unit), figure(real, unit) if real is not None else "", ratio, goal))
        self.say(f"{name}: {figure(embedded, unit)}" + (f", real {figure(real, unit)}" if real is not None else ""))

    def print(self) -> None:
        made = RichTable("measured", "embedded", "real", "times better", "goal", title="labkit bench")
        for row in self._rows:
            made.add_row(*row)
        console = Console(width=max(Console().width, 110))
        console.print(made)
        if self._real_note:
            console.print(f"The real engine is not in this run: {self._real_note}")
        console.print(machine())


def machine() -> str:
    """What figures of two runs must have in common to be compared: how fast is Python itself here, and on what."""
    passes = statistics.median(timeit.repeat("for i in range(1_000_000): pass", number=1, repeat=9))
    return (
        f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores; "
        f"an empty loop of a million passes takes it {passes * 1000:.0f} ms."
    )


def figure(value: float, unit: str) -> str:
    """``0.62 s``, ``54 MB``: three significant figures."""
    return f"{value:,.3g} {unit}" if abs(value) < 1000 else f"{value:,.0f} {unit}"
