"""The processes of a container: Python coroutines that live, write, listen and die as Linux processes do.

A :class:`Namespace` is what the processes of one container share; a :class:`Process` is its main one or one that
``exec`` started in it. What they run is a *program* of the image: ``async def program(process) -> exit code``.
Nothing of it is ever executed on the computer.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import random
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from labkit.embedded.runtime import loops, signals
from labkit.embedded.runtime.clock import Clock
from labkit.embedded.runtime.exits import Exit
from labkit.embedded.runtime.files import Files, Layer
from labkit.embedded.runtime.gates import Gate, Held, called
from labkit.embedded.runtime.guarded import Guarded
from labkit.embedded.runtime.logs import Log
from labkit.embedded.runtime.machines import Machine
from labkit.embedded.runtime.namespaces import Entry, Limits, Namespace
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.streams import Bytes, Source
from labkit.embedded.runtime.surroundings import Surroundings
from labkit.embedded.runtime.terminal import Terminal
from labkit.embedded.runtime.users import Identity, identify

if TYPE_CHECKING:
    from labkit.embedded.runtime.dns import Resolver
    from labkit.embedded.runtime.images.base import Image, Program

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_pids = itertools.count(2001)  # as the machine would count them; a container counts its own from 1


class Process(Surroundings):
    """A container's main process, or one that was started in it with :meth:`exec`."""

    __slots__ = (
        "_ballast",
        "_busy",
        "_children",
        "_exited",
        "_handlers",
        "_pending",
        "_task",
        "args",
        "cwd",
        "ended",
        "entry",
        "env",
        "finished_at",
        "identity",
        "image",
        "oom",
        "pid",
        "started_at",
        "stdin",
        "user",
    )

    def __init__(
        self,
        image: Image,
        *,
        args: list[str],
        env: dict[str, str] | None = None,
        hostname: str = "",
        machine: Machine | None = None,
        addresses: list[str] | None = None,
        network: Network | None = None,
        clock: Clock | None = None,
        resolver: Resolver | None = None,
        log: Log | None = None,
        files: Layer | Files | None = None,
        stdin: Source | None = None,
        tty: bool = False,
        rng: random.Random | None = None,
        limits: Limits | None = None,
        workdir: str = "",
        user: str = "",
        ns: Namespace | None = None,
    ) -> None:
        """``ns`` is given for a process that joins a container; else it is made from what is given instead."""
        if ns is None:
            if machine is None or network is None or clock is None:
                raise TypeError("a main process needs a machine, a network and a clock")
            ns = Namespace(
                image,
                hostname=hostname,
                machine=machine,
                addresses=addresses or [],
                network=network,
                clock=clock,
                resolver=resolver,
                files=files,
                rng=rng,
                limits=limits,
            )
        super().__init__(ns, log or Log(ns.clock), tty=tty)
        self.image = image
        self.args = args
        self.env = {"PATH": DEFAULT_PATH, "HOSTNAME": ns.hostname, "HOME": "/root"} if env is None else env
        self.stdin: Source = stdin or Bytes()
        if tty and stdin is not None:
            self.stdin = Terminal(stdin, self.out, lambda: self.kill(signals.SIGINT))
        self.cwd = workdir or image.workdir or "/"
        self.user = user or image.user
        self.identity = Identity()  # known from the start on
        self.pid = 0  # as the machine counts; 0 before start and after the end
        self.entry: Entry | None = None  # its line in the container's table
        self.oom = False
        self.started_at = 0.0
        self.finished_at = 0.0
        self.ended: Callable[[], object] | None = None  # called once, when there is an exit code
        self._ballast = 0
        self._busy = 0.0
        self._task: asyncio.Task[int] | None = None
        self._exited: asyncio.Future[int] | None = None
        self._handlers: dict[int, Callable[[], object]] | None = None
        self._pending: list[int] | None = None
        self._children: set[asyncio.Task[Any]] | None = None

    @property
    def files(self) -> Files:
        """The container's, as whom it runs as sees them."""
        return Guarded(self.ns.files, self.identity) if self.identity.uid or self.identity.gid else self.ns.files

    # life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Run the program that ``args`` names. Raises :class:`ExecutableNotFound` when the image has none.

        :class:`UnknownUser` when it is to run as somebody whom the image does not know.
        """
        if self.user:
            self.identity = identify(self.user, self.files)
        if self.ns.groups:
            self.identity = self.identity.within(self.ns.groups)
        if self.ns.main is None:
            self.env.setdefault("HOME", self.identity.home)
        program = self.image.program(self.args, self)
        loop = loops.running()
        self.entry = self.ns.enter(self.args, self.kill, process=self)
        if self.ns.main is None:
            self.ns.main = self
            for ip in () if self.ns.shares_network else self.ns.addresses:
                self.ns.network.place(ip, self.ns.machine.name)
        self.pid = next(_pids)
        self.started_at = self.clock.time()
        self.log.open()
        self._exited = loop.create_future()
        self._task = loop.create_task(self._run(program))
        if isinstance(self.stdin, Terminal):
            self.spawn(self.stdin.pump())

    async def _run(self, program: Program) -> int:
        code = 1
        try:
            code = int(await self._held(called(program, self)) or 0)
        except Exit as ended:
            code = ended.code
        except asyncio.CancelledError:
            code = 128 + signals.SIGKILL
        except BrokenPipeError:
            code = 128 + signals.SIGPIPE
        except MemoryError:
            code = 128 + signals.SIGKILL
        except Exception as error:  # a program that crashes takes its container down, never the engine
            self.err(f"{self.args[0]}: {type(error).__name__}: {error}\n")
        self._task = None
        self._end(code)
        return code

    def _held(self, coro: Coroutine[Any, Any, Any]) -> Held:
        return Held(coro, *self._gates(), dead=self._is_dead)

    def _is_dead(self) -> bool:
        return self.exit_code is not None

    def _gates(self) -> tuple[Gate, ...]:
        return (self.ns.gate, self.ns.network.fleet.gate(self.ns.machine.name))

    def _end(self, code: int) -> None:
        if self.exit_code is not None:
            return
        self.exit_code = code & 0xFF
        self.finished_at = self.clock.time()
        self.pid = 0
        if self.entry is not None:
            self.ns.leave(self.entry)
        for port in self._owned or ():
            self.ns.unlisten(port)
        for child in tuple(self._children or ()):
            child.cancel()
        if self._task is not None:
            self._task.cancel()
        self.stdin.close()
        if self.ns.main is self:
            self.ns.end()
            for ip in () if self.ns.shares_network else self.ns.addresses:
                self.ns.network.unplace(ip)
        self.log.close()
        self._handlers = None
        if self._exited is not None and not self._exited.done():
            self._exited.set_result(self.exit_code)
        if self.ended is not None:
            loops.running().call_soon(self.ended)

    @property
    def running(self) -> bool:
        return self.pid != 0

    @property
    def paused(self) -> bool:
        return self.running and self.ns.gate.closed

    async def wait(self) -> int:
        """The exit code, as soon as there is one: 128 + signal when a signal ended it."""
        if self.exit_code is not None:
            return self.exit_code
        if self._exited is None:
            raise RuntimeError("the process has not been started")
        return await asyncio.shield(self._exited)

    def exit(self, code: int) -> None:
        """End at once with this code; for handlers of signals and of requests. Programs just return."""
        self._end(code)

    def kill(self, signal: int) -> None:
        """Send a signal. A container's first process is not ended by one that it does not handle, except SIGKILL."""
        if not self.running:
            return
        if signal == signals.SIGKILL:
            self._end(128 + signals.SIGKILL)
        elif any(gate.closed for gate in self._gates()):  # frozen: it finds it when it thaws
            if self._pending is None:
                self._pending = []
                self.spawn(self._deliver())
            self._pending.append(signal)
        else:
            self._receive(signal)

    async def _deliver(self) -> None:
        pending, self._pending = self._pending or [], None
        for signal in pending:
            self._receive(signal)

    def _receive(self, signal: int) -> None:
        handler = (self._handlers or {}).get(signal)
        if handler is not None:
            result = handler()
            if inspect.iscoroutine(result):
                self.spawn(result)
        elif (self.entry is None or self.entry.pid != 1) and signal not in signals.IGNORED | signals.STOPPING:
            self._end(128 + signal)

    async def stop(self, signal: int = signals.SIGTERM, grace: float = 10.0) -> int:
        """Send ``signal``, and SIGKILL after ``grace`` sandbox seconds. Returns the exit code.

        A negative grace waits for ever, as ``docker stop -t -1``.
        """
        self.kill(signal)
        try:
            async with self.clock.timeout(None if grace < 0 else grace):
                return await self.wait()
        except TimeoutError:
            self.kill(signals.SIGKILL)
            return await self.wait()

    def pause(self) -> None:
        """Freeze all processes of the container; those who connect wait."""
        if self.running and not self.ns.gate.closed:
            self.ns.gate.close()
            for listeners in self.ns.listeners.values():
                for listener in listeners:
                    listener.hold()

    def resume(self) -> None:
        if self.ns.gate.closed:
            self.ns.gate.open()
            for listeners in self.ns.listeners.values():
                for listener in listeners:
                    listener.release()

    async def exec(
        self,
        args: list[str],
        env: dict[str, str] | None = None,
        stdin: Source | None = None,
        *,
        log: Log | None = None,
        tty: bool = False,
        workdir: str = "",
        user: str = "",
    ) -> Process:
        """Start another process in this container; its output goes to a log of its own unless ``log`` is given."""
        inherited = dict(self.env)
        if user and inherited.get("HOME") == self.identity.home:  # not one that somebody has asked for
            inherited["HOME"] = identify(user, self.files).home
        process = Process(
            self.image,
            args=args,
            env={**inherited, **(env or {})},
            log=log,
            stdin=stdin,
            tty=tty,
            workdir=workdir or self.cwd,
            user=user or self.user,
            ns=self.ns,
        )
        await process.start()
        return process

    # what programs use, beside their surroundings --------------------------------------------------------------

    def on_signal(self, signal: int, handler: Callable[[], object] | None) -> None:
        """Call ``handler`` (plain or async) when the signal comes; None goes back to the default."""
        if self._handlers is None:
            self._handlers = {}
        if handler is None:
            self._handlers.pop(signal, None)
        else:
            self._handlers[signal] = handler

    def exits_on(self, *numbers: int, code: int = 0, say: str = "") -> None:
        """End with ``code`` on these signals, after ``say`` has gone to standard error: what most servers do."""

        def leave() -> None:
            if say:
                self.err(say)
            self.exit(code)

        for signal in numbers:
            self.on_signal(signal, leave)

    def spawn(self, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something beside; it is frozen and ends with the process. What it raises ends the process."""
        if self._children is None:
            self._children = set()
        task = loops.running().create_task(self._beside(coro))
        self._children.add(task)
        task.add_done_callback(self._children.discard)
        task.add_done_callback(lambda _: coro.close())  # one that was cancelled before its first step
        return task

    async def _beside(self, coro: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await self._held(coro)
        except Exit as ended:
            self._end(ended.code)
        except OSError:
            pass  # a peer that went away
        except Exception as error:
            self.err(f"{self.args[0]}: {type(error).__name__}: {error}\n")
            self._end(1)

    async def forever(self) -> int:
        """Wait for the signal that ends it: the main loop of a server."""
        await loops.running().create_future()
        return 0

    def allocate(self, size: int) -> None:
        """Use ``size`` more bytes of (pretended) memory. Beyond the container's limit the OOM killer ends it: 137."""
        self._ballast = max(0, self._ballast + size)
        limit = self.ns.limits.memory or self.machine.memory
        if self.ns.memory > limit:
            self.oom = True
            if self.ns.main is not None:
                self.ns.main.oom = True
            self._end(128 + signals.SIGKILL)
            raise MemoryError

    @property
    def memory(self) -> int:
        """Bytes it uses: what its image usually takes and what it allocated."""
        return self.image.memory + self._ballast if self.running else 0

    def busy(self, seconds: float) -> None:
        """Account for ``seconds`` of processor time."""
        self._busy += seconds

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it has used so far, for ``docker stats``."""
        until = self.clock.time() if self.running else self.finished_at
        return self._busy + self.image.idle_cpu * max(0.0, until - self.started_at)
