"""The plug of a real machine: what is done to its containers when it fails, freezes, is cut off, slowed and healed.

What docker cannot tell afterwards (slow, cut from some only) is noted in a file of the sandbox, the plug's mark.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from labkit.engines.base import Record
from labkit.engines.hosts import QUICK, docker
from labkit.errors import EngineFailed, UsageError


def mark_of(state: Path, machine: str) -> Path:
    """Where a machine's mark is; it begins with the word that :attr:`labkit.engines.base.MachineInfo.state` is."""
    return state / "plugs" / machine


class Plug:
    """One machine's plug. An engine's own says which containers the machine is, and how its network is cut."""

    inside: ClassVar[tuple[str, ...]] = ()  # options of `docker exec`
    patience: ClassVar[float] = QUICK  # seconds for one docker command
    cut_failed: ClassVar[str] = "cannot cut single machines off here"
    slow_failed: ClassVar[str] = (
        "slowing a real machine needs tc in its image and sch_netem in the kernel; embedded machines do it"
    )

    def __init__(self, record: Record, machine: str) -> None:
        self.record = record
        self.machine = machine
        self.container = self.container_of(machine)
        self.mark = mark_of(Path(record.state), machine)

    def act(self, verb: str, **options: Any) -> None:
        verbs: dict[str, Callable[..., None]] = {
            "fail": self.fail,
            "heal": self.heal,
            "pause": self.pause,
            "partition": self.partition,
            "slow": self.slow,
        }
        verbs[verb](**options)

    # -- what differs from engine to engine

    def container_of(self, machine: str) -> str:
        """The container that has the machine's address."""
        return machine

    def containers(self) -> list[tuple[str, str]]:
        """(container, "up" | "paused" | "down") of all that runs on the machine, in the order in which it is ended."""
        form = "{{if .State.Paused}}paused{{else if .State.Running}}up{{else}}down{{end}}"
        return [(self.container, self.docker("inspect", "-f", form, self.container).strip())]

    def unplug(self) -> bool:
        """Takes the machine off its network; False where that cannot be done without losing its address."""
        return False

    def plug_in(self) -> bool:
        """Undoes :meth:`unplug`; False when it was not done."""
        return False

    def started(self) -> None:
        """Waits until what runs on the machine may be started, when its container has just been."""

    def marks_of(self, machine: str) -> list[str]:
        """What is noted of a machine that is cut off from this one: enough to find its address again."""
        return [machine]

    def address_of(self, mark: str) -> str:
        """The address that one of :meth:`marks_of` stands for."""
        raise NotImplementedError

    def network_device(self) -> str:
        """The device of the network between the machines, inside this one."""
        return "eth0"

    # -- the verbs

    def fail(self) -> None:
        for name, state in self.containers():
            if state == "paused":  # a frozen process does not even die
                self.docker("unpause", name)
            if state != "down":
                self.docker("kill", name)

    def pause(self) -> None:
        states = self.containers()
        if self._own(states) == "down":
            raise UsageError(f"{self.machine} is down; heal it first")
        for name, state in states:
            if state == "up":
                self.docker("pause", name)

    def partition(self, others: list[str] | None = None) -> None:
        """``others`` are the machines on the same side of the cut; one alone has its network unplugged if that goes."""
        if not others and self.unplug():
            return
        together = [self.machine, *(others or ())]
        away = [mark for m in self.record.machines if m.name not in together for mark in self.marks_of(m.name)]
        if not away:
            raise UsageError("a partition has two sides: name some of the machines, not all")
        for machine in together:
            plug = type(self)(self.record, machine)
            for mark in away:
                plug.run("ip", "route", "replace", "blackhole", self.address_of(mark), hint=self.cut_failed)
            plug.note("partitioned " + " ".join(away))

    def slow(self, seconds: float = 0.5) -> None:
        if self._own(self.containers()) != "up":
            raise UsageError(f"{self.machine} is not up; heal it first")
        delay = ("root", "netem", "delay", f"{int(seconds * 1000)}ms")
        self.run("tc", "qdisc", "replace", "dev", self.network_device(), *delay, hint=self.slow_failed)
        self.note(f"slow {seconds}")

    def heal(self) -> None:
        states = self.containers()
        down = self._own(states) == "down"
        for name, state in states:
            if state == "paused":
                self.docker("unpause", name)
        plugged = self.plug_in()
        if self.mark.exists():
            if not down:  # routes and delays do not outlive a stop
                self._undo_mark(new_device=plugged)
            self.mark.unlink()
        if down:
            # The machine comes first: what runs on it lives on its network. What a person had stopped there comes, too.
            self.docker("start", self.container)
            self.started()
            for name, _ in states:
                if name != self.container:
                    self.docker("start", name)

    def _undo_mark(self, *, new_device: bool) -> None:
        what, *marks = self.mark.read_text().split()
        if what == "slow" and not new_device:  # a delay goes with its device
            device = self.network_device()
            self.run("tc", "qdisc", "del", "dev", device, "root", hint="the delay could not be taken away")
        for mark in marks if what == "partitioned" else ():
            hint = f"{mark} could not be connected again"
            self.run("ip", "route", "del", "blackhole", self.address_of(mark), hint=hint)

    def _own(self, states: list[tuple[str, str]]) -> str:
        return dict(states).get(self.container, "down")

    # -- tools

    def note(self, words: str) -> None:
        self.mark.parent.mkdir(parents=True, exist_ok=True)
        self.mark.write_text(words)

    def run(self, *command: str, hint: str) -> str:
        """Runs a command inside the machine; when it fails, ``hint`` says what that means."""
        try:
            return self.docker("exec", *self.inside, self.container, *command)
        except EngineFailed as error:
            raise EngineFailed(f"{hint} ({error})") from error

    def docker(self, *arguments: str) -> str:
        return docker(self.record, *arguments, timeout=self.patience)


class LabelledPlug(Plug):
    """A machine whose container keeps its address in a label: it can leave its network and come back as who it was."""

    @property
    def network(self) -> str:
        return str(self.record.options.get("network", f"labkit-{self.record.name}-nodes"))

    def unplug(self) -> bool:
        if self._on_network():
            self.docker("network", "disconnect", self.network, self.container)
        return True

    def plug_in(self) -> bool:
        if self._on_network():
            return False
        # The address is part of the machine: the others know it by that.
        self.docker("network", "connect", "--ip", self.address_of(self.machine), self.network, self.container)
        return True

    def network_device(self) -> str:
        """Found by the address: Docker numbers networks as it likes, and anew when one is plugged in again."""
        address = self.address_of(self.machine)
        for line in self.run("ip", "-o", "-4", "address", "show", hint=self.slow_failed).splitlines():
            if f" {address}/" in line:
                return line.split()[1]
        raise EngineFailed(f"{self.machine} is not on its network")

    def address_of(self, mark: str) -> str:
        form = '{{index .Config.Labels "labkit.address"}}'
        return self.docker("inspect", "-f", form, self.container_of(mark)).strip()

    def _on_network(self) -> bool:
        form = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}"
        return self.network in self.docker("inspect", "-f", form, self.container).split()
