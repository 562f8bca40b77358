"""Requests of probes and hooks over TLS: nobody is asked for a name, and what goes wrong is told in Go's words."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable

import pytest
from support.certificates import self_signed
from support.kubelets import Cluster, pod_of

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.kubelet.probes import _redirected
from labkit.embedded.kubernetes.kubelet.tlsclient import PlainHttp, TlsFailed, secured
from labkit.embedded.kubernetes.objects import Json, condition_of
from labkit.embedded.kubernetes.registry import DeleteOptions

CONFIG = """\
server {
    listen 80;
    listen 443 ssl;
    root /usr/share/nginx/html;
    ssl_certificate /etc/nginx/ssl/tls.crt;
    ssl_certificate_key /etc/nginx/ssl/tls.key;
    location /gone { return 404 gone; }
    location /moved { return 301 /; }
    location /empty { return 204; }
}
"""
SCRIPT = (
    "mkdir -p /etc/nginx/ssl; printenv CONFIG > /etc/nginx/conf.d/default.conf; printenv CRT > /etc/nginx/ssl/tls.crt; "
    "printenv KEY > /etc/nginx/ssl/tls.key; exec nginx"
)


def server(**more: object) -> Json:
    certificate, key = self_signed("somebody-else")
    given = {"CONFIG": CONFIG, "CRT": certificate.decode(), "KEY": key.decode()}
    env = [{"name": name, "value": value} for name, value in given.items()]
    return {"name": "web", "image": "nginx:1.27", "command": ["sh", "-c", SCRIPT], "env": env, **more}


def https(port: int = 443, path: str = "/") -> Json:
    return {"httpGet": {"scheme": "HTTPS", "port": port, "path": path}, "periodSeconds": 2, "timeoutSeconds": 1}


def unhealthy(cluster: Cluster, name: str = "web") -> list[str]:
    return [message for reason, message in cluster.events(name) if reason == "Unhealthy"]


@pytest.mark.parametrize("path", ["/", "/moved", "/empty"])
async def test_a_server_with_any_certificate_is_ready(cluster: Cluster, path: str) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web", server(readinessProbe=https(path=path))), 4)
    ready = condition_of(cluster.pod("web"), "Ready")
    assert ready is not None
    assert ready["status"] == "True"
    assert unhealthy(cluster) == []


REFUSED = [
    (https(80), 'Get "https://{ip}:80/": http: server gave HTTP response to HTTPS client'),
    (https(path="/gone"), "HTTP probe failed with statuscode: 404"),
    (https(8443), 'Get "https://{ip}:8443/": dial tcp {ip}:8443: connect: connection refused'),
]


@pytest.mark.parametrize(("probe", "words"), REFUSED, ids=lambda value: str(value)[-40:])
async def test_one_that_fails_says_why(cluster: Cluster, probe: Json, words: str) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web", server(readinessProbe=probe)), 4)
    ip = cluster.status("web")["podIP"]
    assert unhealthy(cluster) == [f"Readiness probe failed: {words.format(ip=ip)}"]


async def test_one_that_wants_to_see_a_certificate_sees_none(cluster: Cluster) -> None:
    await cluster.kubelet()
    certificate, key = self_signed("who")
    data = {name: base64.b64encode(value).decode() for name, value in {"crt": certificate, "key": key}.items()}
    cluster.registry.create(kinds.SECRETS, "default", {"metadata": {"name": "tls"}, "data": data})
    who = {
        "name": "who", "image": "traefik/whoami:v1.10", "readinessProbe": https(8443, "/health"),
        "args": ["-cert", "/tls/crt", "-key", "/tls/key", "-cacert", "/tls/crt", "-port", "8443"],
        "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
    }  # fmt: skip
    await cluster.run(pod_of("web", who, volumes=[{"name": "tls", "secret": {"secretName": "tls"}}]), 4)
    ip = cluster.status("web")["podIP"]
    # A real one says why, with an alert; asyncio's servers just hang up.
    assert unhealthy(cluster) == [f'Readiness probe failed: Get "https://{ip}:8443/health": EOF']


async def test_one_that_lives_no_more_is_started_again(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(pod_of("web", server(livenessProbe=https(80))), 12)
    assert cluster.container("web")["restartCount"] == 1


async def test_a_hook_is_asked_again_in_plain_http(cluster: Cluster) -> None:
    await cluster.kubelet()
    hook = {"preStop": {"httpGet": {"scheme": "HTTPS", "port": 80, "path": "/"}}}
    await cluster.run(pod_of("web", {"name": "web", "image": "nginx:1.27", "lifecycle": hook}), 4)
    ip = cluster.status("web")["podIP"]
    cluster.registry.delete(kinds.PODS, "default", "web", DeleteOptions())
    await cluster.clock.advance(4)
    assert cluster.gone("web")
    words = f"request to HTTPS lifecycle hook {ip}:80 got HTTP response, retry with HTTP succeeded"
    assert ("LifecycleHTTPFallback", words) in cluster.events("web")
    assert "FailedPreStopHook" not in [reason for reason, _ in cluster.events("web")]


# -- the handshake, with servers that speak something else


Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


async def against(speak: Speak) -> str:
    """What becomes of a handshake with a server like that."""
    listening = await asyncio.start_server(speak, "127.0.0.1")
    try:
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        try:
            async with secured(reader, writer, "127.0.0.1"):
                return "secured"
        except TlsFailed as error:
            return f"{type(error).__name__}: {error}"
        except EOFError:
            return "EOF"
        finally:
            writer.close()
    finally:
        listening.close()


def saying(*parts: bytes) -> Speak:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(5)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        writer.write_eof()

    return speak


NO_TLS = "TlsFailed: tls: first record does not look like a TLS handshake"
HTTP = "PlainHttp: http: server gave HTTP response to HTTPS client"
SPOKEN = [
    ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), HTTP),
    ((b"HT", b"TP/1.1 400 Bad Request\r\n\r\n"), HTTP),
    ((b"-ERR unknown command\r\n",), NO_TLS),
    ((b"220 mail ESMTP\r\n",), NO_TLS),
    ((b"\x16\x20\x01\x00\x05hello",), NO_TLS),  # a record of a version that there is not
    ((b"\x15\x03\x03\x00\x02\x02\x28",), "TlsFailed: remote error: tls: handshake failure"),
    ((b"\x15\x03\x01\x00\x02\x02\x46",), "TlsFailed: remote error: tls: protocol version not supported"),
    ((), "EOF"),
    ((b"HT",), "EOF"),
]


@pytest.mark.parametrize(("parts", "words"), SPOKEN, ids=lambda value: str(value)[:30])
async def test_what_is_no_tls(parts: tuple[bytes, ...], words: str) -> None:
    assert await against(saying(*parts)) == words


def test_plain_http_is_a_failure_of_tls() -> None:
    assert issubclass(PlainHttp, TlsFailed)


# -- redirects


@pytest.mark.parametrize(
    ("location", "leads"),
    [
        ("/next", ("HTTP", 8080, "/next")),
        ("http://10.0.0.1/next?a=b", ("HTTP", 80, "/next?a=b")),
        ("https://10.0.0.1", ("HTTPS", 443, "/")),
        ("https://10.0.0.1:8443/next", ("HTTPS", 8443, "/next")),
        ("https://10.0.0.2/next", None),
        ("https://example.com/", None),
        ("ftp://10.0.0.1/", None),
        ("http://10.0.0.1:port/", None),
        ("", None),
    ],
)
def test_a_redirect_is_followed_on_its_own_host(location: str, leads: tuple[str, int, str] | None) -> None:
    action = {
        "scheme": "HTTP",
        "path": "/",
        "httpHeaders": [{"name": "Host", "value": "x"}, {"name": "A", "value": "1"}],
    }
    found = _redirected(action, "10.0.0.1", 8080, location)
    assert (None if found is None else (found[0]["scheme"], found[1], found[0]["path"])) == leads
    if leads is not None and location[0] != "/":
        assert found is not None
        assert found[0]["httpHeaders"] == [{"name": "A", "value": "1"}]  # the name is the new place's
