"""A process that is killed in the middle of its writes loses nothing that it has acknowledged."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.runtime.storage import Storage

# Many writers at once: each creates, changes and every third time deletes, and says so once it is on disk.
WRITER = textwrap.dedent(
    """
    import asyncio, sys
    from labkit.embedded.kubernetes import kinds
    from labkit.embedded.kubernetes.etcd import Etcd, disk
    from labkit.embedded.runtime.storage import Storage

    async def main():
        disk.ASIDE = int(sys.argv[2])
        etcd = Etcd(Storage(sys.argv[1]))

        async def write(writer):
            number = 0
            while True:
                number += 1
                key = ("default", f"w{writer}-{number}")
                for step in range(3):
                    if step == 2 and number % 3 == 0:
                        revision = etcd.delete(kinds.PODS, key).revision
                    else:
                        obj = {"metadata": {"namespace": key[0], "name": key[1]}, "step": step, "pad": "x" * 2000}
                        revision = etcd.put(kinds.PODS, key, obj).revision
                    await etcd.durable()
                    gone = step == 2 and number % 3 == 0
                    print(key[1], -1 if gone else step, revision, flush=True)

        await asyncio.gather(*(write(writer) for writer in range(8)))

    asyncio.run(main())
    """
)


@pytest.mark.parametrize(("lines", "aside"), [(5, 300), (400, 300), (5, 1), (400, 1)])
def test_what_was_said_is_there(tmp_path: Path, lines: int, aside: int) -> None:
    """``aside``: transactions of so many changes are written on another thread."""
    file = tmp_path / "store"
    command = [sys.executable, "-c", WRITER, str(file), str(aside)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(lines)]
        writer.kill()
        rest = writer.stdout.read().splitlines(keepends=True)
        said += [line for line in rest if line.endswith("\n")]  # the last one may have been cut short
    etcd = Etcd(Storage(file))
    newest: dict[str, tuple[int, int]] = {}
    for line in said:
        name, step, revision = line.split()
        newest[name] = int(step), int(revision)
    for name, (step, revision) in newest.items():
        record = etcd.get(kinds.PODS, ("default", name))
        if step == -1:
            assert record is None, name
        elif record is None:  # it was deleted, and killed before it could say so
            assert int(name.partition("-")[2]) % 3 == 0
        else:
            assert record.revision >= revision, name
    assert etcd.revision >= max(revision for _, revision in newest.values())
