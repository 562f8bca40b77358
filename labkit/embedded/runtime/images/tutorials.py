"""What the tutorials of kubernetes.io run: small servers, a memory eater, and pi."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from labkit.embedded.runtime.images.base import MIB, Image, Program
from labkit.embedded.runtime.images.nginx import CONFIG, Nginx
from labkit.embedded.runtime.images.releases import releases
from labkit.embedded.runtime.images.small import Busybox, WithShell
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.shell.curl import curl_program
from labkit.embedded.runtime.shell.dig import dig_program
from labkit.embedded.runtime.signals import SIGINT, SIGTERM

if TYPE_CHECKING:
    from aiohttp import web

_TEXT = "text/plain; charset=utf-8"


def _plain(*versions: str) -> dict[str, tuple[str, ...]]:
    """Versions with one tag each, the last of them ``latest`` too."""
    return {v: (v, *(("latest",) if v == versions[-1] else ())) for v in versions}


class Bootcamp(WithShell):
    """``Hello Kubernetes bootcamp!``: says which pod answers, and its version."""

    name = "gcr.io/google-samples/kubernetes-bootcamp"
    versions: ClassVar = {"v1": ("v1",), "v2": ("v2",)}
    debian = True
    megabytes = 83.0
    memory = 24 * MIB
    cmd = ("/bin/sh", "-c", "node server.js")
    ports = ("8080/tcp",)
    env = MappingProxyType({**Image.env, "NODE_VERSION": "6.3.1", "NPM_CONFIG_LOGLEVEL": "info"})
    _SERVER = b"// The stand-in for the bootcamp's server. It answers every request with the name of its host.\n"

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "node": bootcamp, "curl": curl_program}

    def contents(self) -> dict[str, bytes]:
        return {**super().contents(), "/server.js": self._SERVER}


class NextBootcamp(Bootcamp):
    """The name that the chapter about updates has for it."""

    name = "jocatalin/kubernetes-bootcamp"


async def bootcamp(process: Process) -> int:
    from labkit.embedded.runtime.images.web import reply

    process.exits_on(SIGTERM, SIGINT)
    number = process.image.version.removeprefix("v")
    started, count = process.clock.time(), 0

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal count
        count += 1
        now = process.clock.time()
        process.out(
            f"Running On: {process.hostname} | Total Requests: {count} | App Uptime: {now - started:.3f} seconds | "
            f"Log Time: {_javascript(now)}\n"
        )
        return reply(200, f"Hello Kubernetes bootcamp! | Running on: {process.hostname} | v={number}\n", "text/plain")

    process.out(f"Kubernetes Bootcamp App Started At: {_javascript(started)} | Running On:  {process.hostname} \n\n")
    await process.listen_http(8080, answer)
    return await process.forever()


def _javascript(now: float) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03d}Z"


class HelloApp(Image):
    """``Hello, world!``, the version, the host name."""

    name = "gcr.io/google-samples/hello-app"
    versions: ClassVar = {"1.0.0": ("1.0",), "2.0.0": ("2.0",)}
    megabytes = 11.4
    entrypoint = ("./hello-app",)
    ports = ("8080/tcp",)
    env = MappingProxyType({**Image.env, "PORT": "8080"})

    def programs(self) -> dict[str, Program]:
        return {"./hello-app": hello_app}


async def hello_app(process: Process) -> int:
    port = _port(process.env.get("PORT", ""), 8080)
    said = f"Hello, world!\nVersion: {process.image.version}\nHostname: {process.hostname}\n"
    return await _serve(process, port, lambda request: said, f"Server listening on port {port}")


class NodeHello(WithShell):
    name = "gcr.io/google-samples/node-hello"
    versions: ClassVar = {"1.0": ("1.0",), "2.0": ("2.0", "latest")}
    debian = True
    megabytes = 255.0
    cmd = ("/bin/sh", "-c", "node server.js")
    ports = ("8080/tcp",)

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "node": node_hello}


async def node_hello(process: Process) -> int:
    return await _serve(process, 8080, lambda request: "Hello Kubernetes!")


class EchoServer(Image):
    """Says everything that it knows of a request."""

    name = "registry.k8s.io/echoserver"
    versions: ClassVar = _plain("1.4", "1.5", "1.8", "1.9", "1.10")
    megabytes = 36.7
    entrypoint = ("/usr/local/bin/run.sh",)
    ports = ("8080/tcp",)

    def programs(self) -> dict[str, Program]:
        return {"/usr/local/bin/run.sh": echo_server}


async def echo_server(process: Process) -> int:
    def answer(request: web.BaseRequest) -> str:
        from labkit.embedded.runtime.images.web import peer

        headers = "".join(f"\t{name.lower()}={value}\n" for name, value in sorted(request.headers.items()))
        return (
            f"\n\nHostname: {process.hostname}\n\nPod Information:\n\t-no pod information available-\n\n"
            "Server values:\n\tserver_version=nginx: 1.13.3 - lua: 10008\n\n"
            f"Request Information:\n\tclient_address={peer(request)[0]}\n\tmethod={request.method}\n"
            f"\treal path={request.raw_path}\n\tquery={request.query_string}\n\trequest_version=1.1\n"
            f"\trequest_scheme=http\n\trequest_uri=http://{request.host}{request.raw_path}\n\n"
            f"Request Headers:\n{headers}\nRequest Body:\n\t-no body in request-\n\n"
        )

    return await _serve(process, 8080, answer, "Generating self-signed cert\nStarting nginx")


class KicbaseEchoServer(Image):
    """What ``minikube`` lets people try a first Service with."""

    name = "kicbase/echo-server"
    versions: ClassVar = _plain("1.0")
    megabytes = 9.4
    entrypoint = ("/bin/echo-server",)
    ports = ("8080/tcp",)
    env = MappingProxyType({**Image.env, "PORT": "8080"})

    def programs(self) -> dict[str, Program]:
        return {"/bin/echo-server": kicbase_echo_server}


async def kicbase_echo_server(process: Process) -> int:
    def answer(request: web.BaseRequest) -> str:
        headers = "".join(f"{name}: {value}\n" for name, value in sorted(request.headers.items()) if name != "Host")
        return (
            f"Request served by {process.hostname}\n\n{request.method} {request.raw_path} HTTP/1.1\n\n"
            f"Host: {request.host}\n{headers}"
        )

    port = _port(process.env.get("PORT", ""), 8080)
    return await _serve(process, port, answer, f"Echo server listening on port {port}.")


class ServeHostname(Image):
    name = "registry.k8s.io/serve_hostname"
    versions: ClassVar = _plain("v1.1", "v1.4")
    megabytes = 5.3
    cmd = ("/bin/sh", "-c", "/serve_hostname 2>&1")
    entrypoint = ("/serve_hostname",)
    ports = ("9376/tcp",)

    def programs(self) -> dict[str, Program]:
        return dict.fromkeys(("/serve_hostname", "serve_hostname"), serve_hostname)


async def serve_hostname(process: Process) -> int:
    return await _serve(process, 9376, lambda request: process.hostname)


class GoProxy(Image):
    """Listens on 8080: what the documentation probes over TCP."""

    name = "registry.k8s.io/goproxy"
    versions: ClassVar = _plain("0.1")
    megabytes = 5.5
    entrypoint = ("/goproxy",)
    ports = ("8080/tcp",)

    def programs(self) -> dict[str, Program]:
        return {"/goproxy": go_proxy}


async def go_proxy(process: Process) -> int:
    return await _serve(
        process, 8080, lambda request: "This is a proxy server. Does not respond to non-proxy requests.\n"
    )


class KubernetesBusybox(Busybox):
    """``registry.k8s.io/busybox``, which the probes' page of the documentation uses."""

    name = "registry.k8s.io/busybox"
    versions: ClassVar = _plain("1.24", "1.27", "1.27.2")


class Bash(WithShell):
    """``bash``, which Jobs with a failure policy are shown with."""

    name = "bash"
    versions: ClassVar = releases("4.4.23 5.0.18 5.1.16 5.2.37")
    megabytes = 14.0
    memory = MIB
    cmd = ("bash",)

    def programs(self) -> dict[str, Program]:
        programs = super().programs()
        return {**programs, "bash": programs["sh"]}


class Curl(WithShell):
    name = "curlimages/curl"
    versions: ClassVar = releases("7.88.1 8.5.0 8.11.1 8.17.0")
    megabytes = 22.0
    memory = MIB
    entrypoint = ("/entrypoint.sh",)
    cmd = ("curl",)

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "curl": curl_program, "/entrypoint.sh": curl_entrypoint}


async def curl_entrypoint(process: Process) -> int:
    """``-s URL`` is for curl; what begins with the name of a program (``curl``, ``sh``) is that program's."""
    args = process.args[1:]
    if not args or args[0].startswith("-") or process.image.lookup(args[0]) is None:
        args = ["curl", *args]
    process.args = args
    if process.entry is not None:
        process.entry.args = args
    return await process.image.program(args, process)(process)


class BusyboxPlus(WithShell):
    """``radial/busyboxplus:curl``, from which the documentation connects to Services."""

    name = "radial/busyboxplus"
    versions: ClassVar = {"curl": ("curl",), "git": ("git", "latest")}
    megabytes = 4.6
    memory = MIB
    cmd = ("/bin/sh",)

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "curl": curl_program}


class DnsUtils(WithShell):
    """What the page about debugging DNS looks names up with."""

    name = "registry.k8s.io/e2e-test-images/jessie-dnsutils"
    versions: ClassVar = _plain("1.3", "1.7")
    megabytes = 112.0
    debian = True
    cmd = ("sleep", "3600")

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "dig": dig_program}


class HelloBackend(Image):
    """``{"message":"Hello"}``: the backend of the tutorial that connects a frontend to one."""

    name = "gcr.io/google-samples/hello-go-gke"
    versions: ClassVar = _plain("1.0")
    megabytes = 11.0
    entrypoint = ("/usr/bin/hello",)
    ports = ("80/tcp",)

    def programs(self) -> dict[str, Program]:
        return {"/usr/bin/hello": hello_backend}


async def hello_backend(process: Process) -> int:
    return await _serve(process, 80, lambda request: '{"message":"Hello"}\n')


class HelloFrontend(Nginx):
    """nginx that hands everything on to the Service ``hello``."""

    name = "gcr.io/google-samples/hello-frontend"
    versions: ClassVar = _plain("1.0")

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.number = "1.27.5"

    def contents(self) -> dict[str, bytes]:
        config = b"server {\n    listen 80;\n    location / {\n        proxy_pass http://hello;\n    }\n}\n"
        return {**super().contents(), CONFIG: config}


class NginxSlim(Nginx):
    """``registry.k8s.io/nginx-slim``: a small nginx, as the StatefulSet pages use it."""

    name = "registry.k8s.io/nginx-slim"
    versions: ClassVar = _plain("0.8", "0.21", "0.24", "0.25", "0.26", "0.27")
    megabytes = 32.0

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.number = "1.27.5"


class NginxHttps(Nginx):
    """nginx for the page about connecting applications: certificates and configuration come from volumes."""

    name = "bprashanth/nginxhttps"
    versions: ClassVar = _plain("1.0")
    ports = ("80/tcp", "443/tcp")

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.number = "1.9.15"


class Fluentd(WithShell):
    """A log collector that collects nothing: what DaemonSets are shown with."""

    name = "quay.io/fluentd_elasticsearch/fluentd"
    versions: ClassVar = _plain("v2.5.2", "v2.6.0", "v3.0.0", "v5.0.1")
    debian = True
    megabytes = 84.0
    memory = 60 * MIB
    entrypoint = ("/entrypoint.sh",)

    def programs(self) -> dict[str, Program]:
        return {**super().programs(), "/entrypoint.sh": fluentd}


async def fluentd(process: Process) -> int:
    process.exits_on(SIGTERM, SIGINT)
    stamp = time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(process.clock.time()))
    process.out(f"{stamp} [info]: #0 fluentd worker is now running worker=0\n")
    return await process.forever()


# -- shared


async def _serve(process: Process, port: int, answer: object, say: str = "", code: int = 2) -> int:
    """Answer every request on ``port`` with what ``answer(request)`` says."""
    from labkit.embedded.runtime.images.web import reply

    process.exits_on(SIGTERM, SIGINT, code=code)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        assert callable(answer)
        return reply(200, answer(request), _TEXT)

    try:
        await process.listen_http(port, handle)
    except OSError as error:
        process.err(f"listen tcp :{port}: bind: {error.strerror}\n")
        return 1
    if say:
        process.out(f"{say}\n")
    return await process.forever()


def _port(text: str, default: int) -> int:
    return int(text) if text.isdigit() and 0 < int(text) < 65536 else default
