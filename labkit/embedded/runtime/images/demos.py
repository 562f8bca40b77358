"""Images that tutorials show a swarm with: small servers that say where they run, and ``hello-world``."""

from __future__ import annotations

from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from labkit.embedded.runtime.images.base import Image, Program
from labkit.embedded.runtime.images.nginx import CONFIG, ROOT, Nginx
from labkit.embedded.runtime.images.releases import releases
from labkit.embedded.runtime.images.small import WithShell
from labkit.embedded.runtime.images.whoami import Whoami
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.signals import SIGINT, SIGTERM

if TYPE_CHECKING:
    from aiohttp import web

_GREETING = """
Hello from Docker, as a sandbox of labkit speaks it!

That you can read this means that everything on the way works:
 1. The docker client asked the engine of this machine for a container.
 2. The engine took the image "hello-world" from the (simulated) registry.
 3. It made a container of the image and ran its program, which wrote this.
 4. The client showed you what the program wrote, and the program ended.

Now something with a shell in it:
 $ docker run -it alpine sh

"""


class HelloWorld(Image):
    name = "hello-world"
    versions: ClassVar = {"1": ("latest", "linux")}
    megabytes = 0.02
    cmd = ("/hello",)

    def programs(self) -> dict[str, Program]:
        return {"/hello": hello}


async def hello(process: Process) -> int:
    process.out(_GREETING)
    return 0


class ContainousWhoami(Whoami):
    """The name of traefik/whoami before its makers were called Traefik."""

    name = "containous/whoami"
    versions: ClassVar = {
        "v1.3.0": ("v1.3.0", "v1.3"),
        "v1.4.0": ("v1.4.0", "v1.4"),
        "v1.5.0": ("v1.5.0", "v1.5", "latest"),
    }


class JwilderWhoami(WithShell):
    """Answers ``I'm <host name>`` on port 8000."""

    name = "jwilder/whoami"
    versions: ClassVar = {"1": ("latest",)}
    megabytes = 10.1
    env = MappingProxyType({**Image.env, "PORT": "8000"})
    cmd = ("/app/http",)
    ports = ("8000/tcp",)

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "/app/http": jwilder_whoami}


async def jwilder_whoami(process: Process) -> int:
    port = _port(process.env.get("PORT", ""), 8000)
    process.out(f"Listening on :{port}\n")
    return await _serve(process, port, f"I'm {process.hostname}\n", "text/plain; charset=utf-8")


class HttpEcho(Image):
    """Answers every request with the text that it was given."""

    name = "hashicorp/http-echo"
    versions: ClassVar = releases("0.2.1 0.2.3 1.0.0")
    entrypoint = ("/http-echo",)
    ports = ("5678/tcp",)

    def programs(self) -> dict[str, Program]:
        return {"/http-echo": http_echo}


async def http_echo(process: Process) -> int:
    options = {"text": process.env.get("ECHO_TEXT", ""), "listen": ":5678"}
    left = process.args[1:]
    while left:
        name, equals, value = left.pop(0).lstrip("-").partition("=")
        if name not in options:
            process.err(f"flag provided but not defined: -{name}\n")
            return 127
        options[name] = value if equals or not left else left.pop(0)
    if not options["text"]:
        process.err("Missing -text option!\n")
        return 127
    port = _port(options["listen"].rpartition(":")[2], 5678)
    process.out(f"[INFO] server is listening on {options['listen']}\n")
    return await _serve(process, port, f"{options['text']}\n", "text/plain; charset=utf-8")


class Webapp(WithShell):
    """Docker's training application: ``Hello world!`` on port 5000, or whatever ``PROVIDER`` says."""

    name = "training/webapp"
    versions: ClassVar = {"1": ("latest",)}
    megabytes = 349.0
    memory = 20 * 1024 * 1024
    cmd = ("python", "app.py")
    ports = ("5000/tcp",)
    workdir = "/opt/webapp"

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "python": webapp}

    def contents(self) -> dict[str, bytes]:
        return {**super().contents(), "/opt/webapp/app.py": b"# labkit's stand-in: the program is not written here\n"}


async def webapp(process: Process) -> int:
    if process.args[1:] != ["app.py"]:
        process.err(f"{process.args[0]}: this stand-in knows no program but app.py\n")
        return 2
    process.err(" * Running on http://0.0.0.0:5000/\n")
    said = f"Hello {process.env.get('PROVIDER') or 'world'}!"
    return await _serve(process, 5000, said, "text/html; charset=utf-8")


class NginxHello(Nginx):
    """nginx that says on which address and host it runs, as a page or as plain text."""

    name = "nginxdemos/hello"
    versions: ClassVar = releases("0.2 0.3 0.4", variants=("", "-plain-text"))
    megabytes = 16.0
    labels = MappingProxyType({"maintainer": "NGINX Docker Maintainers <docker-maint@nginx.com>"})
    _LINES = (
        ("Server address", "$server_addr:$server_port"),
        ("Server name", "$hostname"),
        ("Date", "$time_local"),
        ("URI", "$request_uri"),
    )

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.number = "1.27.5"
        self.env = {**self.env, "NGINX_VERSION": self.number}

    def contents(self) -> dict[str, bytes]:
        plain = self.version.endswith("-plain-text")
        if plain:
            said = "".join(f"{name}: {value}\\n" for name, value in (*self._LINES, ("Request ID", "$request_id")))
        else:
            rows = "".join(f"<p><span>{name}:</span> <span>{value}</span></p>\\n" for name, value in self._LINES)
            head = "<!DOCTYPE html>\\n<html>\\n<head><title>Hello World</title></head>\\n"
            said = f"{head}<body>\\n{rows}</body>\\n</html>\\n"
        kind = "text/plain" if plain else "text/html"
        config = f"server {{\n    listen 80;\n    location / {{\n        default_type {kind};\n        "
        return {**super().contents(), CONFIG: f'{config}return 200 "{said}";\n    }}\n}}\n'.encode()}


class StaticSite(Nginx):
    """A page that greets whom ``AUTHOR`` names."""

    name = "dockersamples/static-site"
    versions: ClassVar = {"1": ("latest",)}
    cmd = ("static-site",)
    entrypoint = ()
    ports = ("80/tcp", "443/tcp")
    workdir = ROOT

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.number = "1.9.15"
        self.env = {**self.env, "NGINX_VERSION": self.number, "AUTHOR": "Docker"}

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "static-site": static_site}


async def static_site(process: Process) -> int:
    """Write the author into the page, then become nginx."""
    author = escape(process.env.get("AUTHOR", ""))
    process.files.write(
        f"{ROOT}/index.html",
        f"<!DOCTYPE html>\n<html>\n<head><title>Docker Sample App</title></head>\n<body>\n<h1>Hello {author}!</h1>\n"
        "<p>This is being served from a <b>docker</b><br>container running Nginx.</p>\n</body>\n</html>\n".encode(),
    )
    process.args = ["nginx", "-g", "daemon off;"]
    if process.entry is not None:
        process.entry.args = process.args
    return await process.image.program(process.args, process)(process)


def _port(text: str, default: int) -> int:
    return int(text) if text.isdigit() and 0 < int(text) < 65536 else default


async def _serve(process: Process, port: int, said: str, kind: str) -> int:
    """Answer every request on ``port`` with the same words."""
    from labkit.embedded.runtime.images.web import reply

    process.exits_on(SIGTERM, SIGINT, code=2)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return reply(200, said, kind)

    try:
        await process.listen_http(port, answer)
    except OSError as error:
        process.err(f"listen tcp :{port}: bind: {error.strerror}\n")
        return 1
    return await process.forever()
