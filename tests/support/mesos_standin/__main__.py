"""``python -m mesos_standin PROGRAM [its arguments]``: the program that an image is named after, until it is ended."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from .flags import WrongFlags
from .roles import ROLES


async def run(program: str, arguments: list[str]) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    begun = asyncio.ensure_future(ROLES[program](os.environ, arguments))
    ended = asyncio.ensure_future(told.wait())
    await asyncio.wait({begun, ended}, return_when=asyncio.FIRST_COMPLETED)
    if begun.done():
        begun.result()
    await told.wait()


def main() -> None:
    logging.basicConfig(level="INFO", stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    program, *arguments = sys.argv[1:]
    try:
        asyncio.run(run(program, arguments))
    except WrongFlags as error:
        sys.exit(f"{program}: {error}")
    os._exit(0)  # what is open ends with the process, as with any of the real ones


if __name__ == "__main__":
    main()
