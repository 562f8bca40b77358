"""``redis``: a server that speaks RESP, and ``redis-cli``. What it knows is in :mod:`.rediscommands`."""

from __future__ import annotations

import asyncio
import shlex
import time
from functools import partial
from typing import ClassVar

from labkit.embedded.runtime.images.base import Program
from labkit.embedded.runtime.images.rediscommands import run
from labkit.embedded.runtime.images.redisdata import Database, RedisError, Value, encode
from labkit.embedded.runtime.images.redisreplicas import READ_ONLY, WRITES, Followers, follow
from labkit.embedded.runtime.images.releases import releases
from labkit.embedded.runtime.images.small import WithShell
from labkit.embedded.runtime.namespaces import NameNotFound
from labkit.embedded.runtime.nodes import DIRECTORY, Node
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.signals import SIGINT, SIGTERM

MAX_BULK = 1024 * 1024  # bytes of one argument
MAX_ARGS = 1024
DUMP = "dump.rdb"
_REDIS = 999, 999  # its user and group


class Redis(WithShell):
    name = "redis"
    versions: ClassVar = releases(
        "2.8.23 3.0.0-7 3.2.12 4.0.14 5.0.0-14 6.0.0-20 6.2.0-18 7.0.0-15 7.2.0-8 7.4.0-4 8.0.0-2",
        variants=("", "-alpine"),
        also={"": ("-bookworm",)},
    )
    debian = True
    megabytes = 49.0
    memory = 12 * 1024 * 1024
    entrypoint = ("docker-entrypoint.sh",)
    cmd = ("redis-server",)
    ports = ("6379/tcp",)
    workdir = "/data"
    own_user = ("redis", _REDIS[0])
    volumes = ("/data",)

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.number = version.partition("-")[0]
        self.env = {**self.env, "REDIS_VERSION": self.number}

    def programs(self) -> dict[str, Program]:
        return {
            **super().programs(),
            "docker-entrypoint.sh": entrypoint,
            "redis-server": redis_server,
            "redis-cli": redis_cli,
        }

    def contents(self) -> dict[str, bytes]:
        return {**super().contents(), "/data/": Node(b"", DIRECTORY, *_REDIS)}


async def entrypoint(process: Process) -> int:
    process.args = process.args[1:] or ["redis-server"]
    if process.args[0].startswith("-") or process.args[0].endswith(".conf"):
        process.args = ["redis-server", *process.args]
    if process.entry is not None:
        process.entry.args = process.args
    return await process.image.program(process.args, process)(process)


async def redis_server(process: Process) -> int:
    image = process.image
    number = image.number if isinstance(image, Redis) else "8.0.2"
    if "--version" in process.args or "-v" in process.args:
        process.out(f"Redis server v={number} sha=00000000:0 malloc=jemalloc-5.3.0 bits=64\n")
        return 0
    return await _Server(process, number, _arguments(process.args[1:])).run()


def _arguments(args: list[str]) -> dict[str, str]:
    """``--port 7000 --requirepass secret``."""
    found: dict[str, str] = {}
    name = ""
    for arg in args:
        if arg.startswith("--"):
            name = arg[2:].lower()
            found[name] = ""
        elif name:
            found[name] = f"{found[name]} {arg}".strip()
    return found


class _Server:
    def __init__(self, process: Process, number: str, options: dict[str, str]) -> None:
        self.process = process
        self.options = options
        self.port = int(options.get("port", "6379")) if options.get("port", "6379").isdigit() else 6379
        self.data = Database(process.clock.time, number, self.port, options, process.allocate)
        self.followers = Followers(self.data)
        host, _, port = (options.get("replicaof") or options.get("slaveof", "")).partition(" ")
        self.leader = (host, int(port)) if port.isdigit() else None

    def log(self, words: str, role: str = "M", mark: str = "*") -> None:
        now = self.process.clock.time()
        stamp = time.strftime("%d %b %Y %H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}"
        self.process.out(f"1:{role} {stamp} {mark} {words}\n")

    async def run(self) -> int:
        self.log("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo", "C")
        self.log(f"Redis version={self.data.number}, bits=64, commit=00000000, modified=0, pid=1, just started", "C")
        if not self.options:
            self.log(
                "Warning: no config file specified, using the default config. "
                "In order to specify a config file use redis-server /path/to/redis.conf",
                "C",
                "#",
            )
        self.log(f"Running mode=standalone, port={self.port}.")
        self.process.on_signal(SIGTERM, lambda: self._stop("SIGTERM"))
        self.process.on_signal(SIGINT, lambda: self._stop("SIGINT"))
        self._load()
        try:
            await self.process.listen(self.port, self._client)
        except OSError as error:
            self.log(f"Failed listening on port {self.port} (tcp), aborting: {error.strerror}", mark="#")
            return 1
        self.log("Server initialized")
        self.log("Ready to accept connections tcp")
        if self.leader is not None:
            log = partial(self.log, role="S")
            self.process.spawn(follow(self.process, self.data, self.leader, log, _read_command))
        return await self.process.forever()

    def _stop(self, name: str) -> None:
        self.log(f"Received {name} scheduling shutdown...", "signal-handler")
        self.log("User requested shutdown...")
        if self.data.size():
            self.log("Saving the final RDB snapshot before exiting.")
            self.save()
            self.log("DB saved on disk")
        self.log("Redis is now ready to exit, bye bye...", mark="#")
        self.process.exit(0)

    def _dump(self) -> str:
        return f"{self.process.cwd.rstrip('/')}/{DUMP}"

    def save(self) -> None:
        """Write everything into the container's files, so that a volume keeps it."""
        try:
            self.process.files.write(self._dump(), self.data.dump())
        except OSError as error:
            self.log(f"Failed opening the temp RDB file: {error.strerror}", mark="#")

    def _load(self) -> None:
        if self.process.files.isfile(self._dump()):
            try:
                count = self.data.load(self.process.files.read(self._dump()))
            except ValueError:
                self.log("Wrong signature trying to load DB from file", mark="#")
                self.process.exit(1)
                return
            self.log(f"Done loading RDB, keys loaded: {count}, keys expired: 0.")

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        finally:
            self.followers.drop(writer)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session: dict[str, int] = {"db": 0, "auth": 0}
        while True:
            try:
                words = await _read_command(reader)
            except RedisError as error:
                writer.write(encode(error))
                return
            if words is None:
                return
            if not words:
                continue
            name = words[0].decode("utf-8", "replace").upper()
            try:
                if name == "SYNC" and (session["auth"] or not self.options.get("requirepass")):
                    self.followers.add(writer)
                    continue
                if name in WRITES and self.leader is not None:
                    raise RedisError(READ_ONLY)
                answer: Value = run(self.data, session, name, words[1:])
            except RedisError as error:
                answer = error
            else:
                if name in WRITES:
                    self.followers.tell(session["db"], words)
            if name in ("SAVE", "BGSAVE") and not isinstance(answer, RedisError):
                self.save()
            if name == "SHUTDOWN":
                self._stop("SHUTDOWN")
                return
            writer.write(encode(answer))
            await writer.drain()
            if name == "QUIT":
                return


async def _read_command(reader: asyncio.StreamReader) -> list[bytes] | None:
    """One command, in RESP or typed by hand; None when the client has gone."""
    try:
        line = await reader.readline()
    except ValueError:
        raise RedisError("ERR Protocol error: too big inline request") from None
    if not line:
        return None
    line = line.strip()
    if not line.startswith(b"*"):
        try:
            return [word.encode() for word in shlex.split(line.decode("utf-8", "replace"))]
        except ValueError:
            raise RedisError("ERR Protocol error: unbalanced quotes in request") from None
    count = _length(line[1:], MAX_ARGS, "invalid multibulk length")
    words: list[bytes] = []
    try:
        for _ in range(count):
            head = (await reader.readline()).strip()
            if not head.startswith(b"$"):
                raise RedisError(f"ERR Protocol error: expected '$', got '{head[:1].decode('latin-1')}'")
            words.append((await reader.readexactly(_length(head[1:], MAX_BULK, "invalid bulk length") + 2))[:-2])
    except (asyncio.IncompleteReadError, ValueError):
        return None
    return words


def _length(text: bytes, most: int, words: str) -> int:
    if not text.isdigit() or int(text) > most:
        raise RedisError(f"ERR Protocol error: {words}")
    return int(text)


# redis-cli ----------------------------------------------------------------------------------------------------


async def redis_cli(process: Process) -> int:
    args, host, port, password = process.args[1:], "127.0.0.1", 6379, ""
    while args and args[0] in ("-h", "-p", "-a", "-n", "--raw", "--no-raw", "--no-auth-warning"):
        option = args[0]
        value = args[1] if option in ("-h", "-p", "-a", "-n") and len(args) > 1 else ""
        host = value if option == "-h" else host
        port = int(value) if option == "-p" and value.isdigit() else port
        password = value if option == "-a" else password
        args = args[2:] if value else args[1:]
    try:
        reader, writer = await process.connect(host, port)
    except (OSError, TimeoutError) as error:
        reason = str(error) if isinstance(error, NameNotFound) else getattr(error, "strerror", "") or "timed out"
        process.err(f"Could not connect to Redis at {host}:{port}: {reason}\n")
        return 1
    try:
        if password:
            await ask(reader, writer, ["AUTH", password])
        if args:
            process.out(_shown(await ask(reader, writer, args), process.tty) + "\n")
            return 0
        while True:
            if process.tty:
                process.out(f"{host}:{port}> ")
            line = (await process.stdin.readline()).decode("utf-8", "replace")
            if not line or line.strip().lower() in ("quit", "exit"):
                return 0
            try:
                words = shlex.split(line)
            except ValueError:
                process.out("Invalid argument(s)\n")
                continue
            if words:
                process.out(_shown(await ask(reader, writer, words), process.tty) + "\n")
    except (OSError, EOFError):
        process.err("Error: Server closed the connection\n")
        return 1
    finally:
        writer.close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, words: list[str]) -> Value:
    """One command to a server, and its answer; EOFError when it hangs up."""
    writer.write(encode([word.encode("utf-8", "surrogateescape") for word in words]))
    await writer.drain()
    return await _read_value(reader)


async def _read_value(reader: asyncio.StreamReader) -> Value:
    line = await reader.readline()
    if not line:
        raise EOFError
    kind, rest = line[:1], line[1:].strip()
    if kind == b"+":
        return rest.decode()
    if kind == b"-":
        return RedisError(rest.decode())
    if kind == b":":
        return int(rest)
    if int(rest) < 0:
        return None
    if kind == b"$":
        return (await reader.readexactly(int(rest) + 2))[:-2]
    return [await _read_value(reader) for _ in range(int(rest))]


def _shown(value: Value, tty: bool, indent: str = "") -> str:
    """An answer as redis-cli prints it: with types for somebody at a terminal, raw for a pipe."""
    if isinstance(value, list):
        if not value:
            return "(empty array)" if tty else ""
        lines = [_shown(item, tty, indent + "   ") for item in value]
        if tty:
            lines = [f"{number}) {line}" for number, line in enumerate(lines, 1)]
        return f"\n{indent}".join(lines) if tty else "\n".join(lines)
    if value is None:
        return "(nil)" if tty else ""
    if isinstance(value, RedisError):
        return f"(error) {value}" if tty else f"{value}\n"
    if isinstance(value, int):
        return f"(integer) {value}" if tty else str(value)
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return f'"{text}"' if tty and isinstance(value, bytes) else text
