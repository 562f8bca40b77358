"""``busybox``."""

from __future__ import annotations

from typing import ClassVar

from labkit.embedded.runtime.images.base import Image, Program
from labkit.embedded.runtime.processes import Process


class Busybox(Image):
    name = "busybox"
    versions: ClassVar = {
        "1.35.0": ("1.35", "1.35.0"),
        "1.36.1": ("1.36", "1.36.1"),
        "1.37.0": ("1.37", "1.37.0", "latest"),
    }
    megabytes = 4.3
    cmd = ("sh",)

    def programs(self) -> dict[str, Program]:
        return {"sleep": sleep, "sh": shell}


async def sleep(process: Process) -> int:
    await process.sleep(float(process.args[1]))
    return 0


async def shell(process: Process) -> int:
    return 0
