"""The images that containers can be made of. Each is a Python class; nothing is pulled, nothing runs on the computer.

How to add an image
-------------------
1. Write a module here, one for a family of images (all tags of ``redis`` are one family), with a class that derives
   from :class:`~labkit.embedded.runtime.images.base.Image`. Class attributes are its metadata, as in a Dockerfile::

       class Greeter(Image):
           name = "example/greeter"              # as people type it: library/ and docker.io/ are left away
           versions = {"1.0": ("1.0",), "2.0": ("2.0", "latest")}    # version -> tags that point to it
           entrypoint = ("/greeter",)
           ports = ("8080/tcp",)
           env = {"GREETING": "hello"}

           def programs(self) -> dict[str, Program]:
               return {"/greeter": greeter}

2. Write its programs: ``async def greeter(process) -> int``. A program reads ``process.args`` and ``process.env``,
   writes with ``process.out`` and ``process.err``, waits with ``process.sleep`` (never ``asyncio.sleep``: sandboxes
   have their own time), listens with ``process.listen`` or ``process.listen_http``, connects with
   ``process.connect``, says what it does on signals with ``process.exits_on``, and returns its exit code. Behave as
   the real program does: the same log lines, the same exit codes, the same answer to SIGTERM.
   For a shell and its tools inside, merge ``shell_programs()`` into ``programs``.
3. Add the class to ``FAMILIES`` in :mod:`~labkit.embedded.runtime.images.catalogue`, and a test to
   ``tests/unit/runtime/test_images.py``.

Ids, digests, sizes and dates are made up from the name and version, always the same.
"""

from labkit.embedded.runtime.images.base import Image, Program
from labkit.embedded.runtime.images.catalogue import Catalogue, UnknownImage
from labkit.embedded.runtime.images.reference import InvalidReference, Reference, parse_reference

__all__ = ["Catalogue", "Image", "InvalidReference", "Program", "Reference", "UnknownImage", "parse_reference"]
