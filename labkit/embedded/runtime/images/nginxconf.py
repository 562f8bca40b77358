"""The part of nginx's configuration that lessons use: server, listen, root, index, location, return, proxy_pass."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from labkit.embedded.runtime.files import Files

MAIN = "/etc/nginx/nginx.conf"
FOLDER = "/etc/nginx/conf.d"
MAIN_DEFAULT = b"""user  nginx;
worker_processes  auto;
error_log  /var/log/nginx/error.log notice;
pid  /run/nginx.pid;

events {
    worker_connections  1024;
}

http {
    default_type  application/octet-stream;
    access_log  /var/log/nginx/access.log;
    keepalive_timeout  65;
    include  /etc/nginx/conf.d/*.conf;
}
"""
DEFAULT = b"""server {
    listen       80;
    server_name  localhost;

    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }
}
"""
_TOKEN = re.compile(r"""\s+|\#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|[^\s{};"']+""")
MAX_DEPTH = 8

Directive = tuple[str, list[str], "list[Directive] | None"]


class ConfigError(ValueError):
    """The configuration makes no sense; in nginx's words."""


@dataclass(slots=True)
class Location:
    prefix: str = "/"
    root: str = ""
    status: int = 0  # of `return`
    text: str = ""
    content_type: str = "text/plain"
    proxy: str = ""


@dataclass(slots=True)
class Server:
    ports: dict[int, bool] = field(default_factory=dict)  # whether it speaks TLS there
    certificate: str = ""
    key: str = ""
    root: str = "/usr/share/nginx/html"
    index: str = "index.html"
    locations: list[Location] = field(default_factory=list)

    def location(self, path: str) -> Location:
        """The location with the longest prefix of the path."""
        found = [location for location in self.locations if path.startswith(location.prefix)]
        return max(found, key=lambda location: len(location.prefix), default=Location())


def read_config(files: Files) -> list[Server]:
    """The servers that the container's files describe. Directives that are not known here are passed over."""
    servers: list[Server] = []
    texts = config_texts(files)
    main = texts.get(MAIN, "")
    if "server" in main:  # somebody's own, with the servers inside
        texts = texts if "conf.d" in main else {MAIN: main}
    else:
        texts.pop(MAIN, None)
    for path, text in texts.items():
        for name, _, body in _inside(_parse(text, path), "http"):
            if name == "server" and body is not None:
                servers.append(_server(body, path))
    return servers


def config_texts(files: Files) -> dict[str, str]:
    """Path and text of each file of the configuration, the main one first."""
    names = [name for name in (files.listdir(FOLDER) if files.isdir(FOLDER) else []) if name.endswith(".conf")]
    paths = [MAIN] if files.isfile(MAIN) else []
    paths += [f"{FOLDER}/{name}" for name in names]
    return {path: files.read(path).decode("utf-8", "replace") for path in paths}


def _inside(directives: list[Directive], block: str) -> list[Directive]:
    """The directives, with those of a certain block taken out of it."""
    found: list[Directive] = []
    for directive in directives:
        name, _, body = directive
        found += body if name == block and body is not None else [directive]
    return found


def _parse(text: str, path: str) -> list[Directive]:
    stack: list[list[Directive]] = [[]]
    words: list[str] = []
    line = 1
    for found in _TOKEN.finditer(text):
        token = found.group()
        if token.isspace() or token.startswith("#"):
            line += token.count("\n")
        elif token == ";":
            if not words:
                raise ConfigError(f'unexpected ";" in {path}:{line}')
            stack[-1].append((words[0], words[1:], None))
            words = []
        elif token == "{":
            if not words or len(stack) > MAX_DEPTH:
                raise ConfigError(f'unexpected "{{" in {path}:{line}')
            body: list[Directive] = []
            stack[-1].append((words[0], words[1:], body))
            stack.append(body)
            words = []
        elif token == "}":
            if words or len(stack) == 1:
                raise ConfigError(f'unexpected "}}" in {path}:{line}')
            stack.pop()
        else:
            words.append(token[1:-1] if token[0] in "\"'" else token)
    if words or len(stack) > 1:
        raise ConfigError(f'unexpected end of file, expecting "}}" in {path}:{line}')
    return stack[0]


def _server(body: list[Directive], path: str) -> Server:
    server = Server()
    whole = Location()
    for name, args, inner in body:
        if name == "listen" and args:
            port = args[0].rpartition(":")[2]
            if port.isdigit():
                if not 0 < int(port) < 65536:
                    raise ConfigError(f'invalid port in "{args[0]}" of the "listen" directive in {path}')
                server.ports[int(port)] = "ssl" in args[1:]
        elif name == "ssl_certificate" and args:
            server.certificate = args[0]
        elif name == "ssl_certificate_key" and args:
            server.key = args[0]
        elif name == "root" and args:
            server.root = args[0]
        elif name == "index" and args:
            server.index = args[0]
        elif name == "location" and args and inner is not None:
            server.locations.append(_location(args[-1], inner, path, server))
        elif name == "return":
            _return(whole, args, path)
    server.ports = server.ports or {80: False}
    if any(server.ports.values()) and not (server.certificate and server.key):
        missing = "ssl_certificate_key" if server.certificate else "ssl_certificate"
        raise ConfigError(f'no "{missing}" is defined for the "listen ... ssl" directive in {path}')
    if whole.status:  # it stands above all locations
        server.locations = [whole]
    return server


def _location(prefix: str, body: list[Directive], path: str, server: Server) -> Location:
    location = Location(prefix)
    for name, args, _ in body:
        if name == "root" and args:
            location.root = args[0]
        elif name == "index" and args:
            server.index = args[0]
        elif name == "proxy_pass" and args:
            location.proxy = args[0]
        elif name == "default_type" and args:
            location.content_type = args[0]
        elif name == "return":
            _return(location, args, path)
    return location


def _return(location: Location, args: list[str], path: str) -> None:
    if not args or not args[0].isdigit() or not 100 <= int(args[0]) <= 599:
        raise ConfigError(f'invalid return code "{args[0] if args else ""}" in {path}')
    location.status, location.text = int(args[0]), " ".join(args[1:])
