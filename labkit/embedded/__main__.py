"""``python -m labkit.embedded swarm|kubernetes|marathon …``: the process of one sandbox.

It takes its state from ``--state``, opens its sockets in ``--run``, writes one JSON line to ``--ready-fd`` when it is
ready (or ``{"error": …}``, and ends with status 1), logs to stderr, and ends on SIGTERM or SIGINT with everything kept.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import gc
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from labkit.embedded import memory
from labkit.embedded.lightimports import import_aiohttp
from labkit.embedded.orchestrators import ORCHESTRATORS, WorldError

if TYPE_CHECKING:
    from labkit.embedded.orchestrators import SandboxWorld

log = logging.getLogger("labkit.embedded")

LEVELS = ("debug", "info", "warning", "error")


class StartError(Exception):
    """The sandbox cannot start; the message is for the person who asked, in one line."""


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m labkit.embedded",
        description="Runs one sandbox in the foreground. People use `labkit up`, which starts this in the background.",
    )
    orchestrators = parser.add_subparsers(dest="orchestrator", required=True, metavar="ORCHESTRATOR")
    wanted = os.environ.get("LABKIT_LOG", "")
    for row in ORCHESTRATORS.values():
        one = orchestrators.add_parser(row.name, help=row.help)
        one.add_argument("--name", default=row.name, help="the sandbox's name")
        one.add_argument("--state", type=Path, required=True, help="folder of the database")
        one.add_argument("--run", type=Path, required=True, help="folder of the sockets; short, on a local disk")
        row.arguments(one)
        one.add_argument("--cpus", type=float, default=4.0, help="of each machine")
        one.add_argument("--memory", type=int, default=8, help="of each machine, in GiB")
        one.add_argument("--speed", type=float, default=1.0, help="sandbox seconds a second")
        one.add_argument("--ready-fd", type=int, help="file descriptor that is told when it is ready")
        one.add_argument("--log-level", choices=LEVELS, default=wanted if wanted in LEVELS else "info")
    return parser.parse_args(argv)


class Lock:
    """One process a state folder. The lock is the kernel's: it goes with the process, however that ends."""

    def __init__(self, folder: Path) -> None:
        import fcntl

        path = folder / "lock"
        self._file = open(path, "a+", encoding="ascii")  # noqa: SIM115  # held for the life of the process
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            pid = self._file.read().strip() or "unknown"
            raise StartError(f"another process (pid {pid}) runs the sandbox in {folder} already") from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()


async def run(arguments: argparse.Namespace) -> None:
    """Bring the sandbox up, tell, serve until told to end."""
    gc.disable()  # until it is up: what is made now stays
    orchestrator = ORCHESTRATORS[arguments.orchestrator]
    try:
        arguments.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = Lock(arguments.state)
        prepared = orchestrator.prepare(arguments)  # may set something going that takes as long as the imports
    except OSError as error:
        raise StartError(str(error)) from error
    import_aiohttp()
    from labkit.embedded.control import Control
    from labkit.embedded.runtime.storage import Storage, StorageError
    from labkit.embedded.sockets import HttpSocket, SocketError, make_runner, prepare_folder

    folder = arguments.run.absolute()
    storage: Storage | None = None
    world: SandboxWorld | None = None
    control: HttpSocket | None = None
    runner = None
    try:
        prepare_folder(folder)
        storage = Storage(arguments.state / "sandbox.db")
        world = await orchestrator.open(arguments, storage, prepared)
        _handle_signals(world)
        # Before it is ready: a swarm without a quorum never is, and it takes a healed machine to get one.
        runner = await make_runner(Control(world).application())
        control = HttpSocket(runner, folder / "control.sock")
        await control.open()
        await _bring_up(world)
        memory.settle()
        tidying = asyncio.create_task(memory.keep_tidy())
        log.info("sandbox %s is ready: %s", world.name, ", ".join(world.fleet.machines))
        _tell(arguments.ready_fd, world.status())
        await world.shutdown.wait()
        tidying.cancel()
        log.info("sandbox %s ends; its state stays in %s", world.name, arguments.state)
    except (SocketError, StorageError, WorldError, OSError, ValueError) as error:
        raise StartError(str(error)) from error
    finally:
        if control is not None:
            control.close()
        if runner is not None:
            await runner.cleanup()
        if world is not None:
            await world.close()
        if storage is not None:
            storage.close()
    del lock


async def _bring_up(world: SandboxWorld) -> None:
    """Until it is ready, or told to end before that."""
    up = asyncio.ensure_future(world.bring_up())
    ended = asyncio.ensure_future(world.shutdown.wait())
    await asyncio.wait({up, ended}, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    if not up.done():
        up.cancel()
        raise StartError("it was told to end before it was ready")
    await up


def _handle_signals(world: SandboxWorld) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, world.request_shutdown)


def _tell(fd: int | None, message: dict[str, object]) -> None:
    if fd is None:
        return
    try:
        os.write(fd, json.dumps(message).encode() + b"\n")
        os.close(fd)
    except OSError as error:  # whoever started us has stopped waiting: the sandbox runs all the same
        log.warning("nobody reads --ready-fd %d: %s", fd, error.strerror)


def main(argv: list[str] | None = None) -> NoReturn:
    """Run it; ends with status 0 when told to end, 1 when it could not start, 2 for wrong arguments."""
    arguments = parse(argv)
    logging.basicConfig(
        level=arguments.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal that started it may be closed
    try:
        asyncio.run(run(arguments))
    except StartError as error:
        log.error("%s", error)
        _tell(arguments.ready_fd, {"error": str(error)})
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        log.exception("the sandbox failed")
        _tell(arguments.ready_fd, {"error": f"{type(error).__name__}: {error}"})
        sys.exit(1)
    sys.exit(0)


if __name__ == "__main__":
    try:
        main()
    except SystemExit as end:
        # All is closed and on disk. Python would now take every object apart, for seconds in a sandbox of 10,000 pods.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
