"""The machines of a sandbox, and the plug of each: power, pause, partition, latency.

Nothing here knows what runs on a machine. Whoever does subscribes, and sends whatever would cross a wire through
:meth:`Fleet.call` or :meth:`labkit.embedded.runtime.network.Network.connect`, which obey the plugs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.gates import Gate

Power = Literal["on", "off", "paused"]
State = Literal["up", "down", "paused", "partitioned", "slow"]
GIB = 1024**3


class UnknownMachine(KeyError):
    """No machine of the sandbox has that name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(name)
        self.name = name
        self.message = f"no machine is called {name!r}; there are {', '.join(known) or 'none'}"

    def __str__(self) -> str:
        return self.message


class Unreachable(ConnectionError):
    """The other machine does not answer: it is off, cut off, or frozen for longer than one waits."""


@dataclass(slots=True, eq=False)
class Machine:
    """A computer: what it has, and whether it has power."""

    name: str
    address: str
    cpus: float = 4.0
    memory: int = 8 * GIB  # bytes
    disk: int = 64 * GIB  # bytes
    attributes: dict[str, str] = field(default_factory=dict)
    os: str = "linux"
    arch: str = "x86_64"
    power: Power = "on"


@dataclass(slots=True)
class _Plug:
    group: int = 0  # machines reach each other when they are in the same one
    latency: float = 0.0  # seconds that each packet from or to it takes longer
    gate: Gate = field(default_factory=Gate)  # closed while the machine is paused


class Fleet:
    """All machines of one sandbox."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.machines: dict[str, Machine] = {}
        self._plugs: dict[str, _Plug] = {}
        self._groups = 0
        self._subscribers: list[Callable[[str, str], object]] = []

    def add(self, machine: Machine) -> Machine:
        if machine.name in self.machines:
            raise ValueError(f"there is already a machine called {machine.name!r}")
        self.machines[machine.name] = machine
        self._plugs[machine.name] = _Plug()
        return machine

    def machine(self, name: str) -> Machine:
        """The machine of that name, or :class:`UnknownMachine`."""
        try:
            return self.machines[name]
        except KeyError:
            raise UnknownMachine(name, self.machines) from None

    def subscribe(self, fn: Callable[[str, str], object]) -> Callable[[], None]:
        """Have ``fn(machine name, what)`` called after each change; returns what ends it.

        ``what`` is ``fail``, ``heal``, ``pause``, ``unpause``, ``partition`` or ``slow``. ``heal`` comes for whatever
        was undone except a pause: look at the machine's ``power`` rather than keep count.
        """
        self._subscribers.append(fn)
        return lambda: self._subscribers.remove(fn) if fn in self._subscribers else None

    def _tell(self, name: str, what: str) -> None:
        for fn in tuple(self._subscribers):
            fn(name, what)

    # the plug -------------------------------------------------------------------------------------------------

    def fail(self, name: str) -> None:
        """Pull the power: processes die at once, sockets close. Done to a machine that is off, it changes nothing."""
        machine = self.machine(name)
        if machine.power == "off":
            return
        machine.power = "off"
        self._plugs[name].gate.open()  # nothing is left that could be held still
        self._tell(name, "fail")

    def heal(self, name: str) -> None:
        """Undo all that was done to the machine: power on, unpause, out of the partition, full speed."""
        machine, plug = self.machine(name), self._plugs[name]
        was = machine.power
        touched = was == "off" or plug.group != 0 or plug.latency > 0
        machine.power, plug.group, plug.latency = "on", 0, 0.0
        plug.gate.open()
        if was == "paused":
            self._tell(name, "unpause")
        if touched:
            self._tell(name, "heal")

    def pause(self, name: str) -> None:
        """Freeze it: nothing answers and nothing moves on, as in a virtual machine that is stopped, until healed."""
        machine = self.machine(name)
        if machine.power != "on":
            return
        machine.power = "paused"
        self._plugs[name].gate.close()
        self._tell(name, "pause")

    def partition(self, names: Iterable[str]) -> None:
        """Cut these machines off from all others; among themselves they still talk. Their processes run on."""
        chosen = [self.machine(name).name for name in dict.fromkeys(names)]
        if not chosen:
            return
        self._groups += 1
        for name in chosen:
            self._plugs[name].group = self._groups
        for name in chosen:
            self._tell(name, "partition")

    def slow(self, name: str, seconds: float) -> None:
        """Let everything from and to the machine take ``seconds`` longer, each way."""
        self.machine(name)
        if not 0 <= seconds <= 3600:
            raise ValueError(f"a delay must be between 0 and 3600 seconds, not {seconds:g}")
        self._plugs[name].latency = float(seconds)
        self._tell(name, "slow")

    def state(self, name: str) -> State:
        """One word for it, the worst that holds."""
        machine, plug = self.machine(name), self._plugs[name]
        if machine.power != "on":
            return "down" if machine.power == "off" else "paused"
        if plug.group != self._majority():
            return "partitioned"
        return "slow" if plug.latency else "up"

    def _majority(self) -> int:
        """The group that is not called partitioned: 0, unless everybody has left it."""
        return 0 if any(p.group == 0 for p in self._plugs.values()) else min(p.group for p in self._plugs.values())

    def plug(self, name: str) -> dict[str, Any]:
        """The plug as JSON, to be given to :meth:`restore` after a restart."""
        machine, plug = self.machine(name), self._plugs[name]
        return {"power": machine.power, "group": plug.group, "latency": plug.latency}

    def restore(self, name: str, saved: dict[str, Any]) -> None:
        """Take over what :meth:`plug` once said. Nobody is told: this happens before anything runs."""
        machine, plug = self.machine(name), self._plugs[name]
        machine.power = saved.get("power", "on")
        plug.group, plug.latency = int(saved.get("group", 0)), float(saved.get("latency", 0.0))
        self._groups = max(self._groups, plug.group)
        if machine.power == "paused":
            plug.gate.close()

    # who can talk to whom -------------------------------------------------------------------------------------

    def gate(self, name: str) -> Gate:
        """What everything on that machine waits at while the machine is paused."""
        self.machine(name)
        return self._plugs[name].gate

    def connected(self, a: str, b: str) -> bool:
        """Is there a working wire between them: both have power (a paused one has) and nothing cuts it?"""
        try:
            off = self.machines[a].power == "off" or self.machines[b].power == "off"
        except KeyError as error:
            raise UnknownMachine(error.args[0], self.machines) from None
        return not off and (a == b or self._plugs[a].group == self._plugs[b].group)

    def quick(self, a: str, b: str) -> bool:
        """Does a message between them have nothing to wait for: neither is paused, no wire is slow?"""
        try:
            one, other = self._plugs[a], self._plugs[b]
        except KeyError as error:
            raise UnknownMachine(error.args[0], self.machines) from None
        return not (one.gate.closed or other.gate.closed or (one is not other and (one.latency or other.latency)))

    def reachable(self, a: str, b: str) -> bool:
        """Would ``b`` answer ``a`` now? Both are on, neither is paused, nothing cuts them."""
        return self.machine(a).power == "on" and self.machine(b).power == "on" and self.connected(a, b)

    def online(self, name: str) -> bool:
        """Does it reach the world outside of the sandbox? Who is cut off from the others is cut off from there, too."""
        return self.state(name) in ("up", "slow")

    def delay(self, a: str, b: str) -> float:
        """Seconds one way between them, beyond what a real wire would take."""
        self.machine(a), self.machine(b)
        return 0.0 if a == b else self._plugs[a].latency + self._plugs[b].latency

    def latency(self, name: str) -> float:
        """Seconds that this machine adds one way."""
        self.machine(name)
        return self._plugs[name].latency

    async def call(self, src: str, dst: str, fn: Callable[..., Any], *args: Any, timeout: float | None = 10.0) -> Any:
        """Call ``fn(*args)`` (plain or async) on ``dst`` as a remote call from ``src``.

        Waits the delay both ways, holds still while the caller's machine is paused, and raises :class:`Unreachable`
        when the wire is cut or a machine off, at once (as an established connection that breaks), or after
        ``timeout`` sandbox seconds when ``dst`` is paused, or the work takes longer. Errors of ``fn`` come through.
        """
        source, target = self.gate(src), self.gate(dst)
        if source.closed:
            await source.wait()
        if not self.connected(src, dst):
            raise Unreachable(f"{dst} does not answer {src}")
        delay = self.delay(src, dst)
        if not delay and not target.closed:  # the common case by far, without a timer
            result = fn(*args)
            if not inspect.isawaitable(result):
                return result
        else:
            result = None
        try:
            async with self.clock.timeout(timeout):
                if result is None:
                    await self._cross(src, dst, delay)
                    await target.wait()
                    result = fn(*args)
                if inspect.isawaitable(result):
                    result = await result
                await target.wait()  # a frozen machine answers when it thaws
                await self._cross(dst, src, delay)
        except TimeoutError:
            raise Unreachable(f"{dst} did not answer {src} within {timeout:g} s") from None
        if source.closed:
            await source.wait()
        if not self.connected(src, dst):
            raise Unreachable(f"{dst} does not answer {src}")
        return result

    async def _cross(self, src: str, dst: str, delay: float) -> None:
        if delay:
            await self.clock.sleep(delay)
        if not self.connected(src, dst):
            raise Unreachable(f"{dst} does not answer {src}")
