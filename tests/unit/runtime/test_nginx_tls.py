"""nginx with a certificate from its files, and curl that believes it or not."""

from __future__ import annotations

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from support.certificates import self_signed

from labkit.embedded.runtime.processes import Process

from .conftest import Box, output

# As the page about connecting applications with Services has it.
CONFIG = """\
server {
        listen 80 default_server;
        listen [::]:80 default_server ipv6only=on;

        listen 443 ssl;

        root /usr/share/nginx/html;
        index index.html;

        server_name localhost;
        ssl_certificate /etc/nginx/ssl/tls.crt;
        ssl_certificate_key /etc/nginx/ssl/tls.key;

        location / {
                try_files $uri $uri/ =404;
        }
}
"""


async def started(box: Box, *, certificate: bytes, key: bytes) -> Process:
    script = (
        "mkdir -p /etc/nginx/ssl; printenv CONFIG > /etc/nginx/conf.d/default.conf; "
        'if [ -n "$CRT" ]; then printenv CRT > /etc/nginx/ssl/tls.crt; printenv KEY > /etc/nginx/ssl/tls.key; fi; '
        "exec nginx"
    )
    env = {"CONFIG": CONFIG, "CRT": certificate.decode(), "KEY": key.decode()}
    process = await box.run("bprashanth/nginxhttps:1.0", ["sh", "-c", script], name="my-nginx", env=env)
    await box.clock.settle()
    return process


async def test_both_ports_answer_and_a_certificate_is_checked(box: Box) -> None:
    certificate, key = self_signed("my-nginx")
    server = await started(box, certificate=certificate, key=key)
    address = server.addresses[0]
    client = await box.run(
        "curlimages/curl", ["sh", "-c", "printenv CRT > /tmp/ca; sleep 1000"], env={"CRT": certificate.decode()}
    )
    box.names["other"] = server.addresses

    assert "Welcome to nginx!" in (await box.within(client, "curl -s http://my-nginx"))[1]
    assert "Welcome to nginx!" in (await box.within(client, f"curl -sk https://{address}"))[1]
    assert "Welcome to nginx!" in (await box.within(client, "curl -s https://my-nginx --cacert /tmp/ca"))[1]
    code, said = await box.within(client, "curl https://my-nginx")
    assert (code, said) == (60, "curl: (60) SSL certificate problem: self-signed certificate\n")
    code, said = await box.within(client, "curl --cacert /tmp/ca https://other")
    words = "SSL: no alternative certificate subject name matches target host name 'other'"
    assert (code, said) == (60, f"curl: (60) {words}\n")
    assert (await box.within(client, "curl -s --cacert /nope https://my-nginx"))[0] == 77
    assert (await box.within(client, "curl -sk https://my-nginx:80"))[0] == 35


async def test_a_redirect_leads_from_http_to_https(box: Box) -> None:
    certificate, key = self_signed("my-nginx")
    await started(box, certificate=certificate, key=key)
    asked: list[tuple[str, str]] = []

    async def move(request: web.BaseRequest) -> web.StreamResponse:
        asked.append((request.method, request.path))
        where = {"/": "https://my-nginx/", "/a/b": "c"}.get(request.path, "/again")
        return web.Response(status=302, headers={"Location": where})

    (old,) = box.names["old"] = [box.network.pool("net").take()]
    await box.network.listen_http("two", old, 80, move)
    client = await box.run(
        "curlimages/curl", ["sh", "-c", "printenv CRT > /tmp/ca; sleep 1000"], env={"CRT": certificate.decode()}
    )
    assert "Welcome to nginx!" in (await box.within(client, "curl -sL --cacert /tmp/ca http://old"))[1]
    code, said = await box.within(client, "curl -L http://old")
    assert (code, said) == (60, "curl: (60) SSL certificate problem: self-signed certificate\n")
    assert (await box.within(client, "curl -sL --cacert /nope http://old"))[0] == 77
    asked.clear()
    code, said = await box.within(client, "curl -L -d x=1 http://old/a/b")
    assert (code, said) == (47, "curl: (47) Maximum (50) redirects followed\n")
    assert asked[:3] == [("POST", "/a/b"), ("GET", "/a/c"), ("GET", "/again")]
    assert len(asked) == 51


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (b"", 'cannot load certificate "/etc/nginx/ssl/tls.crt": BIO_new_file() failed'),
        (b"nonsense", 'cannot load certificate "/etc/nginx/ssl/tls.crt": (SSL: '),
    ],
)
async def test_a_certificate_that_cannot_be_read_ends_it(box: Box, certificate: bytes, words: str) -> None:
    server = await started(box, certificate=certificate, key=b"nonsense")
    assert await box.until(server.wait()) == 1
    assert f"[emerg] 1#1: {words}" in output(server)


async def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(box: Box) -> None:
    certificate, plain = self_signed("my-nginx")
    key = serialization.load_pem_private_key(plain, None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    server = await started(box, certificate=certificate, key=locked)
    assert await box.until(server.wait()) == 1
    assert '[emerg] 1#1: cannot load certificate "/etc/nginx/ssl/tls.crt": (SSL: ' in output(server)
