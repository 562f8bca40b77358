"""``trap``: commands for signals, and for the end of a shell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from labkit.embedded.runtime import signals
from labkit.embedded.runtime.namespaces import Entry
from labkit.embedded.runtime.processes import Process


class Traps:
    """The traps of one shell. Signals are noted as they come; the shell runs the commands between two of its own."""

    def __init__(self, process: Process, entry: Entry | None) -> None:
        self._process = process
        self._entry = entry  # the shell's line in the process table
        self.leads = True  # it has a process id of its own, so that signals find it
        self.commands: dict[str, str] = {}  # "TERM" or "EXIT" -> command
        self.pending: list[int] = []  # signals that have come
        self.signalled = asyncio.Event()
        self._caught: dict[int, Callable[[], object]] = {}

    def set(self, name: str, command: str | None) -> None:
        """``trap command NAME``; None goes back to the default, an empty command ignores the signal."""
        number = signals.NUMBERS.get(name)
        if command is None:
            self.commands.pop(name, None)
        else:
            self.commands[name] = command
        if number is None or not self.leads:
            return

        def arrived() -> None:
            if command:
                self.pending.append(number)
                self.signalled.set()

        handler = None if command is None else arrived
        if self._entry is self._process.entry:
            self._process.on_signal(number, handler)
        elif self._entry is not None:
            self._handle(self._entry, number, handler)

    def _handle(self, entry: Entry, number: int, handler: Callable[[], object] | None) -> None:
        """Catch a signal for a shell that has a line in the process table but is no :class:`Process` of its own."""
        if not self._caught:
            default = entry.kill

            def kill(signal: int) -> object:
                caught = self._caught.get(signal)
                return default(signal) if caught is None else caught()

            entry.kill = kill
        if handler is None:
            self._caught.pop(number, None)
        else:
            self._caught[number] = handler

    def take(self) -> list[str]:
        """The commands for the signals that have come since the last time."""
        names = [signals.NAMES[number] for number in self.pending]
        self.pending.clear()
        self.signalled.clear()
        return [self.commands[name] for name in names if self.commands.get(name)]
