"""Runs the syntax tree: one :class:`Shell` a shell process, copied for every subshell."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from labkit.embedded.runtime import signals
from labkit.embedded.runtime.exits import ExecutableNotFound, Exit
from labkit.embedded.runtime.namespaces import Entry
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.shell import children, jobs
from labkit.embedded.runtime.shell.arithmetic import BadExpression
from labkit.embedded.runtime.shell.context import Context, Pace
from labkit.embedded.runtime.shell.expand import Expander, matches
from labkit.embedded.runtime.shell.jumps import Break, Continue, ExitShell, Return, ShellError
from labkit.embedded.runtime.shell.parser import Parser
from labkit.embedded.runtime.shell.redirections import OpenFailed, Streams, own_streams, redirected
from labkit.embedded.runtime.shell.syntax import (
    AndOr,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Pipeline,
    Sequence,
    ShellSyntaxError,
    Simple,
    Subshell,
    While,
)
from labkit.embedded.runtime.shell.traps import Traps
from labkit.embedded.runtime.shell.variables import State, Unset
from labkit.embedded.runtime.streams import Buffer, TooMuch

MAX_DEPTH = 60  # functions, subshells and evals in each other; a real shell's stack ends somewhere, too


class Shell:
    """A shell and what it stands in. ``streams`` are the file descriptors of the commands that run just now."""

    def __init__(self, process: Process, state: State, streams: Streams, *, entry: Entry | None = None) -> None:
        self.process = process
        self.state = state
        self.streams = streams
        self.entry = entry or process.entry
        self.pace = Pace(process)
        self.jobs: dict[int, jobs.Job] = {}
        self.traps = Traps(process, self.entry)
        self.subshell = False
        self._substituted = 0  # exit code of the last $(…) of the command that is being expanded
        self.interactive = False
        self.local_frames: list[dict[str, str | None]] = []  # what `local` hid, a dict for every function
        self._tested = 0  # inside a condition, where a failure does not end the shell (set -e)
        self.expander = Expander(state, process.files, self._substitute)

    # running text ---------------------------------------------------------------------------------------------

    async def run_text(self, text: str) -> int:
        """Run a script; the shell's own errors are reported and raise :class:`ExitShell` unless it is interactive."""
        parser = Parser(text)
        while True:
            try:
                sequence = parser.next_command()
            except ShellSyntaxError as error:
                await self.complain(str(error))
                self.state.status = 2
                if self.interactive:
                    return 2
                raise ExitShell(2) from None
            if sequence is None:
                return self.state.status
            await self.run_guarded(sequence)

    async def run_guarded(self, sequence: Sequence) -> int:
        """Run commands, and turn the shell's errors into words and an exit code."""
        try:
            return await self.sequence(sequence)
        except (ShellError, Unset, TooMuch, BadExpression, PermissionError) as error:
            words = "out of memory" if isinstance(error, TooMuch) else str(error)
            await self.complain(words)
            self.state.status = error.code if isinstance(error, ShellError) else 2
            if self.interactive:
                return self.state.status
            raise ExitShell(self.state.status) from None
        except Break:
            return self.state.status

    async def complain(self, words: str) -> None:
        await self.streams[2].write(f"{self.state.name}: {words}\n".encode())

    async def _substitute(self, body: Sequence) -> str:
        buffer = Buffer()
        shell = self.fork({**self.streams, 1: buffer})
        self._substituted = await shell.run_subshell(body)
        return bytes(buffer.data).replace(b"\0", b"").decode("utf-8", "surrogateescape").rstrip("\n")

    def fork(self, streams: Streams, entry: Entry | None = None) -> Shell:
        """A subshell: it has a copy of everything, and its traps are reset."""
        if self.state.depth >= MAX_DEPTH:
            raise ShellError("can't fork: too many shells in each other")
        shell = Shell(self.process, self.state.copy(), streams, entry=entry or self.entry)
        shell.pace = self.pace
        shell.subshell = True
        shell.traps.leads = entry is not None
        shell._tested = self._tested
        return shell

    async def run_subshell(self, body: Sequence) -> int:
        try:
            await self.run_guarded(body)
        except (ExitShell, Return) as ended:
            self.state.status = ended.code
        try:
            return await self.run_exit_trap(self.state.status)
        finally:
            for job in self.jobs.values():  # they live on; the main shell's process is what ends them
                job.task.add_done_callback(lambda task: task.cancelled() or task.exception())

    # traps ----------------------------------------------------------------------------------------------------

    async def run_traps(self) -> None:
        """Run the traps of signals that have come, between two commands as a shell does."""
        for command in self.traps.take():
            status = self.state.status
            await self.run_text(command)
            self.state.status = status

    async def run_exit_trap(self, code: int) -> int:
        command = self.traps.commands.pop("EXIT", None)
        if not command:
            return code
        self.state.status = code
        try:
            await self.run_text(command)
        except (ExitShell, Return) as ended:
            return ended.code
        return code

    # lists ----------------------------------------------------------------------------------------------------

    async def sequence(self, node: Sequence) -> int:
        for andor, background in node.items:
            if self.traps.pending:
                await self.run_traps()
            if background:
                jobs.background(self, andor)
                self.state.status = 0
            else:
                await self._and_or(andor)
        if self.traps.pending:
            await self.run_traps()
        return self.state.status

    async def _and_or(self, node: AndOr) -> int:
        status = await self._pipeline(node.first, tested=bool(node.rest))
        for index, (operator, pipeline) in enumerate(node.rest):
            if (status == 0) == (operator == "&&"):
                status = await self._pipeline(pipeline, tested=index < len(node.rest) - 1)
        return status

    async def _pipeline(self, node: Pipeline, tested: bool = False) -> int:
        tested = tested or node.negated
        self._tested += tested
        try:
            if len(node.commands) == 1:
                status = await self.command(node.commands[0])
            else:
                status = await jobs.pipeline(self, node.commands)
        finally:
            self._tested -= tested
        if node.negated:
            status = int(status == 0)
        self.state.status = status
        if status and "e" in self.state.options and not self._tested and not tested:
            raise ExitShell(status)
        return status

    # commands -------------------------------------------------------------------------------------------------

    async def command(self, node: Command) -> int:
        await self.pace.step()
        if isinstance(node, Simple):
            return await self._simple(node)
        if not node.redirects:
            return await self._compound(node)
        before = self.streams
        try:
            streams = await redirected(self, node.redirects)
        except OpenFailed as error:
            await self.complain(str(error))
            return 1
        try:
            self.streams = streams
            return await self._compound(node)
        finally:
            self.streams = before

    async def _compound(self, node: Command) -> int:
        match node:
            case Group():
                return await self.sequence(node.body)
            case Subshell():
                return await self.fork(dict(self.streams)).run_subshell(node.body)
            case If():
                for condition, body in node.branches:
                    if await self._condition(condition) == 0:
                        return await self.sequence(body)
                self.state.status = 0
                return await self.sequence(node.otherwise) if node.otherwise is not None else 0
            case While():
                return await self._while(node)
            case For():
                return await self._for(node)
            case Case():
                return await self._case(node)
            case Function():
                self.state.functions[node.name] = node.body
                return 0
        raise AssertionError(node)

    async def _condition(self, node: Sequence) -> int:
        self._tested += 1
        try:
            return await self.sequence(node)
        finally:
            self._tested -= 1

    async def _while(self, node: While) -> int:
        status = 0
        self.state.loops += 1
        try:
            while (await self._condition(node.condition) == 0) != node.until:
                await self.pace.step()
                try:
                    status = await self.sequence(node.body)
                except Break as jump:
                    if not self._again(jump):
                        status = 0
                        break
        finally:
            self.state.loops -= 1
        return status

    async def _for(self, node: For) -> int:
        values = list(self.state.positional) if node.words is None else await self.expander.fields(node.words)
        status = 0
        self.state.loops += 1
        try:
            for value in values:
                self.state.put(node.name, value)
                await self.pace.step()
                try:
                    status = await self.sequence(node.body)
                except Break as jump:
                    if not self._again(jump):
                        status = 0
                        break
        finally:
            self.state.loops -= 1
        return status

    def _again(self, jump: Break) -> bool:
        """Does the loop that caught it go on? Jumps over several loops are raised again."""
        if jump.levels > 1 and self.state.loops > 1:
            jump.levels -= 1
            raise jump
        return isinstance(jump, Continue)

    async def _case(self, node: Case) -> int:
        text = await self.expander.text(node.word)
        for patterns, body in node.branches:
            for pattern in patterns:
                if matches(text, await self.expander.pattern(pattern)):
                    self.state.status = 0
                    return await self.sequence(body)
        return 0

    async def _simple(self, node: Simple) -> int:
        self._substituted = 0
        args = await self.expander.fields(node.words) if node.words else []
        assigned = [(name, await self.expander.text(word)) for name, word in node.assignments]
        for name, values in node.arrays:
            self.state.put_array(name, await self.expander.fields(values))
        try:
            streams = await redirected(self, node.redirects) if node.redirects else self.streams
        except OpenFailed as error:
            await self.complain(str(error))
            return 1
        if "x" in self.state.options and (args or assigned):
            shown = [f"{name}={value}" for name, value in assigned] + args
            await self.streams[2].write(("+ " + " ".join(shown) + "\n").encode())
        if not args:
            for name, value in assigned:
                self.state.put(name, value)
            # x=$(false) has the status of false; x=1 has 0.
            return self._substituted
        return await self._invoke(args, assigned, streams)

    async def _invoke(self, args: list[str], assigned: list[tuple[str, str]], streams: Streams) -> int:
        from labkit.embedded.runtime.shell.builtins import BUILTINS, SPECIAL

        name = args[0]
        before = self.streams
        self.streams = streams
        try:
            if name in self.state.functions and name not in SPECIAL:
                return await self._with(assigned, self._call(self.state.functions[name], args))
            builtin = BUILTINS.get(name)
            if builtin is not None:
                if name == "exec" and len(args) == 1:
                    before = streams  # its redirections stay
                if name in SPECIAL:  # assignments before them stay, too
                    for variable, value in assigned:
                        self.state.put(variable, value)
                    return await builtin(self, args[1:])
                return await self._with(assigned, builtin(self, args[1:]))
            return await self.external(args, {**self.state.environment(), **dict(assigned)})
        finally:
            self.streams = before

    async def _with(self, assigned: list[tuple[str, str]], work: Coroutine[Any, Any, int]) -> int:
        """Run with some variables set for as long as it takes."""
        saved = {name: self.state.get(name) for name, _ in assigned}
        for name, value in assigned:
            self.state.put(name, value)
        try:
            return await work
        finally:
            for name, old in saved.items():
                if old is None:
                    self.state.variables.pop(name, None)
                else:
                    self.state.variables[name] = old

    async def _call(self, body: Command, args: list[str]) -> int:
        if self.state.depth >= MAX_DEPTH:
            raise ShellError("too many functions in each other", 139)  # a real one overflows its stack: SIGSEGV
        saved, self.state.positional = self.state.positional, args[1:]
        loops, self.state.loops = self.state.loops, 0
        self.state.depth += 1
        self.local_frames.append({})
        try:
            return await self.command(body)
        except Return as returned:
            return returned.code
        finally:
            for name, old in self.local_frames.pop().items():
                if old is None:
                    self.state.variables.pop(name, None)
                else:
                    self.state.variables[name] = old
            self.state.positional, self.state.loops = saved, loops
            self.state.depth -= 1

    # programs -------------------------------------------------------------------------------------------------

    async def external(self, args: list[str], env: dict[str, str]) -> int:
        """Run a program of the image as a child: 127 when there is none, 128 + signal when one ends it."""
        context = self.context(args, env)
        try:
            return await children.run(context, args)
        except ExecutableNotFound as error:
            await self.complain(f"{args[0]}: {_why(error)}")
            return error.exit_code
        except BlockingIOError as error:
            raise ShellError(f"can't fork: {error}") from None

    def context(self, args: list[str], env: dict[str, str] | None = None) -> Context:
        return Context(
            name=args[0],
            args=args[1:],
            process=self.process,
            stdin=self.streams[0],
            stdout=self.streams[1],
            stderr=self.streams[2],
            env=self.state.environment() if env is None else env,
            cwd=self.state.cwd,
            pace=self.pace,
            run=children.run,
            shell=self,
        )

    async def exec(self, args: list[str]) -> int:
        """``exec program``: it takes the place of the shell, signals and process id included."""
        process = self.process
        if self.subshell or any(self.streams[fd] is not process_stream for fd, process_stream in own_streams(process)):
            raise ExitShell(await self.external(args, self.state.environment()))
        try:
            program = process.image.program(args, process)
        except ExecutableNotFound as error:
            await self.complain(f"exec: line 0: {args[0]}: {_why(error)}")
            raise ExitShell(error.exit_code) from None
        for name in self.traps.commands:
            if name in signals.NUMBERS:
                process.on_signal(signals.NUMBERS[name], None)
        process.args = args
        process.env = self.state.environment()
        process.cwd = self.state.cwd
        if process.entry is not None:
            process.entry.args = args
        raise Exit(int(await program(process) or 0))


def _why(error: ExecutableNotFound) -> str:
    return "Permission denied" if error.exit_code == 126 else "not found"
