"""The guestbook of kubernetes.io's tutorial: a page, and a redis that is written to one leader and read from followers.

The images' own names for the two: ``redis-leader`` and ``redis-follower``, up to ``gb-frontend:v4`` ``redis-master``
and ``redis-slave``. They are found by DNS, or with ``GET_HOSTS_FROM=env`` in the variables that Kubernetes sets.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import orjson

from labkit.embedded.runtime.images.base import MIB, Image, Program
from labkit.embedded.runtime.images.redis import Redis, ask
from labkit.embedded.runtime.images.redisdata import RedisError, Value
from labkit.embedded.runtime.images.small import WithShell
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.shell.curl import curl_program
from labkit.embedded.runtime.signals import SIGINT, SIGTERM, SIGWINCH

if TYPE_CHECKING:
    from aiohttp import web

PORT = 6379
_PAGE = b"""<!DOCTYPE html>
<html>
<head><title>Guestbook</title></head>
<body>
<h2>Guestbook</h2>
<form id="form"><input id="words" placeholder="Messages" autofocus> <button>Submit</button></form>
<ul id="list"></ul>
<script>
const ask = (query) => fetch("guestbook.php?" + new URLSearchParams(query)).then((answer) => answer.json());
let said = [];
function show() {
  const rows = said.map((words) => Object.assign(document.createElement("li"), { textContent: words }));
  document.getElementById("list").replaceChildren(...rows);
}
ask({ cmd: "get", key: "messages" }).then((answer) => { said = answer.data.split(",").filter(Boolean); show(); });
document.getElementById("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = document.getElementById("words");
  said.push(words.value);
  words.value = "";
  ask({ cmd: "set", key: "messages", value: said.map((one) => "," + one).join("") }).then(show);
});
</script>
</body>
</html>
"""


class KubernetesRedis(Redis):
    """``registry.k8s.io/redis``, which the tutorial names by its digest."""

    name = "registry.k8s.io/redis"
    versions: ClassVar = {"2.8.19": ("e2e",)}

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.digest = "sha256:cb111d1bd870a6a471385a4a69ad17469d326e9dd91e0e455350cacf36e1b3ee"


class Follower(Redis):
    """A redis that follows the Service ``redis-leader``."""

    name = "gcr.io/google-samples/gb-redis-follower"
    versions: ClassVar = {"v1": ("v1",), "v2": ("v2", "latest")}
    cmd = ("/run.sh",)
    leader: ClassVar[str] = "redis-leader"

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.number = "6.0.5"

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "/run.sh": self._run}

    async def _run(self, process: Process) -> int:
        process.args = ["redis-server", "--replicaof", _host(process, self.leader), str(PORT)]
        return await self.program(process.args, process)(process)


class Slave(Follower):
    """As the same image was called before."""

    name = "gcr.io/google-samples/gb-redisslave"
    versions: ClassVar = {"v1": ("v1",), "v2": ("v2",), "v3": ("v3", "latest")}
    leader = "redis-master"


class Frontend(WithShell):
    """Apache and PHP: the page, and ``guestbook.php``, which asks redis."""

    name = "gcr.io/google-samples/gb-frontend"
    versions: ClassVar = {**{f"v{number}": (f"v{number}",) for number in range(1, 5)}, "v5": ("v5", "latest")}
    debian = True
    megabytes = 160.0
    memory = 14 * MIB
    entrypoint = ("docker-php-entrypoint",)
    cmd = ("apache2-foreground",)
    ports = ("80/tcp",)
    workdir = "/var/www/html"
    stop_signal = "SIGWINCH"
    env = MappingProxyType({**Image.env, "APACHE_CONFDIR": "/etc/apache2", "PHP_VERSION": "7.4.8"})

    def programs(self) -> dict[str, Program]:
        return {
            **super().programs(),
            "docker-php-entrypoint": entrypoint,
            "apache2-foreground": frontend,
            "curl": curl_program,
        }

    def contents(self) -> dict[str, bytes]:
        return {**super().contents(), "/var/www/html/index.html": _PAGE}


async def entrypoint(process: Process) -> int:
    process.args = process.args[1:]
    if process.entry is not None:
        process.entry.args = process.args
    return await process.image.program(process.args, process)(process)


def _host(process: Process, name: str) -> str:
    """The Service, by its name or by the variable that says its address."""
    if process.env.get("GET_HOSTS_FROM") == "env":
        return process.env.get(f"{name.upper().replace('-', '_')}_SERVICE_HOST", name)
    return name


async def frontend(process: Process) -> int:
    from labkit.embedded.runtime.images.web import common_log_date, first_line, peer, reply

    old = process.image.version in ("v1", "v2", "v3", "v4")
    write_to, read_from = ("redis-master", "redis-slave") if old else ("redis-leader", "redis-follower")

    async def respond(request: web.BaseRequest) -> web.Response:
        if request.path in ("/", "/index.html"):
            return reply(200, process.files.read("/var/www/html/index.html"), "text/html")
        if request.path != "/guestbook.php":
            return reply(404, "<h1>Not Found</h1>\n", "text/html; charset=iso-8859-1")
        command, key = request.query.get("cmd"), request.query.get("key", "")
        try:
            if command == "set":
                await _redis(process, write_to, ["SET", key, request.query.get("value", "")])
                said: dict[str, str] = {"message": "Updated"}
            else:
                found = await _redis(process, read_from, ["GET", key])
                said = {"data": found.decode("utf-8", "replace") if isinstance(found, bytes) else ""}
        except (OSError, EOFError, TimeoutError, RedisError) as error:
            process.err(f"PHP Fatal error:  Uncaught Predis\\Connection\\ConnectionException: {error}\n")
            return reply(500, b"", "text/html; charset=UTF-8")
        return reply(200, orjson.dumps(said), "application/json")

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = await respond(request)
        process.out(
            f"{peer(request)[0]} - - [{common_log_date(process.clock.time())}] "
            f'"{first_line(request)}" {response.status} {response.content_length or 0} "-" '
            f'"{request.headers.get("User-Agent", "-")}"\n'
        )
        return response

    process.exits_on(SIGTERM, SIGINT, SIGWINCH)
    await process.listen_http(80, answer)
    process.err("AH00094: Command line: 'apache2 -D FOREGROUND'\n")
    return await process.forever()


async def _redis(process: Process, service: str, words: list[str]) -> Value:
    reader, writer = await process.connect(_host(process, service), PORT)
    try:
        answer = await ask(reader, writer, words)
    finally:
        writer.close()
    if isinstance(answer, RedisError):
        raise answer
    return answer
