"""What the images say and do, next to the real ones."""

from __future__ import annotations

import json
import random

import pytest

from labkit.embedded.runtime.files import Files
from labkit.embedded.runtime.ids import Ids
from labkit.embedded.runtime.images import Catalogue, InvalidReference, UnknownImage, parse_reference
from labkit.embedded.runtime.images.nginxconf import ConfigError, read_config
from labkit.embedded.runtime.images.redisdata import encode
from labkit.embedded.runtime.processes import Process

from .conftest import Box, output

# references and the catalogue ---------------------------------------------------------------------------------

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("docker.io/nginx:1", "docker.io/library/nginx:1", "nginx:1"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("traefik/whoami:v1.10", "docker.io/traefik/whoami:v1.10", "traefik/whoami:v1.10"),
        ("localhost:5000/a/b:1", "localhost:5000/a/b:1", "localhost:5000/a/b:1"),
        ("localhost/a", "localhost/a:latest", "localhost/a:latest"),
        ("Foo/bar", "Foo/bar:latest", "Foo/bar:latest"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}", f"nginx@{DIGEST}"),
        (f"nginx:1@{DIGEST}", f"docker.io/library/nginx:1@{DIGEST}", f"nginx:1@{DIGEST}"),
        ("a.b/c__d/e---f", "a.b/c__d/e---f:latest", "a.b/c__d/e---f:latest"),
    ],
)
def test_references(text: str, full: str, familiar: str) -> None:
    reference = parse_reference(text)
    assert str(reference) == full
    assert reference.familiar == familiar


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("nginx:", "invalid reference format"),
        ("nginx:1:2", "invalid reference format"),
        ("-nginx", "invalid reference format"),
        ("nginx@sha256:12", "invalid reference format"),
        ("nginx:" + "x" * 129, "invalid reference format"),
        ("FOO", "invalid reference format: repository name (library/FOO) must be lowercase"),
        ("a/B:1", "invalid reference format: repository name (a/B) must be lowercase"),
        ("ab" * 32, f"invalid repository name ({'ab' * 32}), cannot specify 64-byte hexadecimal strings"),
    ],
)
def test_what_is_no_reference(text: str, words: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_reference(text)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nosuch", "pull access denied for nosuch, repository does not exist or may require 'docker login': denied: "
         "requested access to the resource is denied"),
        ("nginx:9.9", "manifest for nginx:9.9 not found: manifest unknown: manifest unknown"),
        (f"nginx@{DIGEST}", f"manifest for docker.io/library/nginx@{DIGEST} not found: "
         "manifest unknown: manifest unknown"),
        ("reg.example:5000/x", 'Get "https://reg.example:5000/v2/": dial tcp: lookup reg.example: no such host'),
    ],
)  # fmt: skip
def test_unknown_images(text: str, words: str) -> None:
    with pytest.raises(UnknownImage) as caught:
        Catalogue().find(text)
    assert str(caught.value) == words


def test_the_catalogue_is_the_same_each_time_and_no_two_versions_are_alike() -> None:
    first, second = Catalogue(), Catalogue()
    images = list(first.all())
    assert [image.id for image in images] == [image.id for image in second.all()]
    assert len({image.id for image in images}) == len({image.digest for image in images}) == len(images)
    names = first.names()
    assert len(names) == len(set(names))
    for image in images:
        assert first.find(f"{image.name}@{image.digest}") is image
        assert first.by_id(image.id) is image
        assert image.size > 10_000
        for tag in image.repo_tags:
            assert first.find(tag) is image
    assert first.by_id("sha256:nope") is None
    wanted = "traefik/whoami:v1.10 traefik/whoami:v1.8.7 nginx:1.27-alpine httpd:2.4 redis:7.2 busybox:musl alpine:3.20"
    for name in wanted.split():
        first.find(name)


async def test_every_image_starts_and_stops(box: Box) -> None:
    for image in box.catalogue.all():
        process = await box.run(image.repo_tags[0])
        await box.until(process.stop(grace=1))


def test_ids() -> None:
    one, two = Ids(random.Random(1)), Ids(random.Random(1))
    assert [one.swarm_id(), one.hex_id(), one.mac()] == [two.swarm_id(), two.hex_id(), two.mac()]
    assert len(one.swarm_id()) == 25
    assert len(one.hex_id()) == 64
    assert one.mac("172.17.0.2") == "02:42:ac:11:00:02"
    assert all(not one.hex_id()[:12].isdigit() for _ in range(2000))


# web servers --------------------------------------------------------------------------------------------------


async def fetch(box: Box, url: str, *options: str) -> tuple[int, str]:
    client = await box.run("nginx", ["curl", "-s", "-S", *options, url])
    return await box.until(client.wait()), output(client)


async def test_whoami(box: Box) -> None:
    who = await box.run("traefik/whoami:v1.10", name="who", env={"WHOAMI_NAME": "me"})
    code, said = await fetch(box, "http://who/path?x=1")
    lines = said.replace("\r", "").splitlines()
    assert code == 0
    assert lines[:5] == ["Name: me", "Hostname: who", "IP: 127.0.0.1", "IP: ::1", f"IP: {who.addresses[0]}"]
    assert lines[5].startswith("RemoteAddr: 127.")
    assert lines[6:] == ["GET /path?x=1 HTTP/1.1", "Host: who", "User-Agent: curl/8.5.0", "Accept: */*", ""]
    api = json.loads((await fetch(box, "http://who/api"))[1])
    assert (api["hostname"], api["name"], api["url"], api["headers"]["Accept"]) == ("who", "me", "/api", ["*/*"])
    assert await fetch(box, "http://who/bench") == (0, "1")
    assert await fetch(box, "http://who/data?size=5") == (0, "|ABC|")
    head = (await fetch(box, "http://who/", "-I"))[1]
    assert "Server:" not in head
    assert "Content-Type: text/plain; charset=utf-8" in head
    assert "Starting up on port 80" in output(who)


async def test_whoami_changes_its_health(box: Box) -> None:
    who = await box.run("traefik/whoami", ["/whoami", "--port", "8080"], name="who")
    assert (await fetch(box, "http://who:8080/health", "-f"))[0] == 0
    assert (await fetch(box, "http://who:8080/health", "-d", "503"))[0] == 0
    assert (await fetch(box, "http://who:8080/health", "-f"))[0] == 22
    assert (await fetch(box, "http://who:8080/health", "-f", "-d", "abc"))[0] == 22
    assert "Update health check status code [503]" in output(who)
    bad = await box.run("traefik/whoami", ["/whoami", "--nope"])
    assert await bad.wait() == 2
    assert "flag provided but not defined: -nope" in output(bad)


async def test_nginx_serves_its_files_and_logs(box: Box) -> None:
    web = await box.run("nginx:1.27", name="web")
    assert "Welcome to nginx!" in (await fetch(box, "http://web/"))[1]
    await box.within(web, "echo changed > /usr/share/nginx/html/index.html")
    assert await fetch(box, "http://web/") == (0, "changed\n")
    _, said = await fetch(box, "http://web/../../etc/passwd", "-i")
    assert "404 Not Found" in said
    assert "Server: nginx/1.27.5" in said
    log = output(web, "stdout")
    assert '"GET / HTTP/1.1" 200 8 "-" "curl/8.5.0" "-"' in log
    assert "Configuration complete; ready for start up" in log
    assert "[error] 29#29: *3 open()" in output(web, "stderr")
    assert await box.within(web, "nginx -v") == (0, "nginx version: nginx/1.27.5\n")
    assert (await box.within(web, "nginx -t"))[0] == 0
    status, told = await box.within(web, "nginx -T")
    assert status == 0
    assert [line.rstrip(":") for line in told.splitlines() if line.startswith("# ")] == [
        "# configuration file /etc/nginx/nginx.conf",
        "# configuration file /etc/nginx/conf.d/default.conf",
    ]


async def test_nginx_reads_a_mounted_configuration(box: Box) -> None:
    await box.run("traefik/whoami", name="api")
    config = b"""
    server { listen 8080; location / { return 200 "hi from $hostname\\n"; }
             location /api/ { proxy_pass http://api; } location = /gone { return 410; } }
    # and another
    server { listen 80; root /srv; }
    """
    layer = {"/etc/nginx/conf.d/default.conf": config, "/srv/index.html": b"srv\n"}
    web = await box.run("nginx", name="web", files=layer)
    assert await fetch(box, "http://web/") == (0, "srv\n")
    assert await fetch(box, "http://web:8080/x") == (0, "hi from web\n")
    assert "Hostname: api" in (await fetch(box, "http://web:8080/api/"))[1]
    await box.within(
        web, "echo 'server { listen 8080; return 204; }' > /etc/nginx/conf.d/default.conf; nginx -s reload"
    )
    assert "204" in (await fetch(box, "http://web:8080/", "-w", "%{http_code}"))[1]


@pytest.mark.parametrize(
    "text", ["server {", "server { listen 99999; }", "}", "server { listen 80; return x; }", ";", "a {" * 50]
)
def test_bad_configurations(text: str) -> None:
    with pytest.raises(ConfigError):
        read_config(Files({"/etc/nginx/conf.d/x.conf": text.encode()}))


async def test_a_bad_configuration_keeps_nginx_from_starting(box: Box) -> None:
    web = await box.run("nginx", files={"/etc/nginx/conf.d/default.conf": b"server {"})
    assert await web.wait() == 1
    assert "[emerg]" in output(web)


async def test_httpd_works(box: Box) -> None:
    web = await box.run("httpd", name="web")
    assert await fetch(box, "http://web/") == (0, "<html><body><h1>It works!</h1></body></html>\n")
    assert "Apache/2.4.64 (Unix)" in (await fetch(box, "http://web/nope", "-i"))[1]
    assert '"GET /nope HTTP/1.1" 404' in output(web)
    assert "resuming normal operations" in output(web)


async def test_busybox_httpd(box: Box) -> None:
    web = await box.run("busybox", ["httpd", "-f", "-p", "8000", "-h", "/www"], name="web", files={"/www/x.txt": b"x"})
    assert await fetch(box, "http://web:8000/x.txt") == (0, "x")
    assert (await fetch(box, "http://web:8000/y", "-f"))[0] == 22
    assert web.running


async def test_ports_in_use_are_refused(box: Box) -> None:
    web = await box.run("nginx", name="web")
    assert (await box.within(web, "httpd -p 80 -h /"))[0] == 1
    again = await web.exec(["nginx", "-g", "daemon off;"])
    assert await box.until(again.wait()) == 1
    assert "Address already in use" in output(again) or "address already in use" in output(again)


# labkit's own -------------------------------------------------------------------------------------------------


async def test_the_crashers_crash(box: Box) -> None:
    start = box.clock.time()
    slow = await box.run("labkit/crasher:1.0", env={"CRASH_AFTER": "5", "CRASH_CODE": "3"})
    assert await box.until(slow.wait()) == 3
    assert box.clock.time() - start == pytest.approx(5, abs=0.5)
    assert await (await box.run("labkit/crasher:2.0")).wait() == 1


async def test_slow_starter_and_unhealthy_tell_by_their_health(box: Box) -> None:
    slow = await box.run("labkit/slow-starter", env={"START_DELAY": "10"})
    sick = await box.run("labkit/unhealthy", env={"UNHEALTHY_AFTER": "20"})

    async def health(process: Process) -> int:
        assert process.image.healthcheck is not None
        kind, command = process.image.healthcheck["Test"]
        assert kind == "CMD-SHELL"
        return (await box.within(process, command))[0]

    assert (await health(slow), await health(sick)) == (1, 0)
    await box.clock.advance(11)
    assert (await health(slow), await health(sick)) == (0, 0)
    await box.clock.advance(11)
    assert (await health(slow), await health(sick)) == (0, 1)
    assert sick.running


async def test_hello_shows_its_version_and_v3_is_broken(box: Box) -> None:
    for version, colour in (("v1", "blue"), ("v2", "green")):
        await box.run(f"labkit/hello:{version}", name=version)
        assert (await fetch(box, f"http://{version}/"))[1] == f"hello {version} ({colour}) from {version}\n"
        assert f"background:{colour}" in (await fetch(box, f"http://{version}/", "-H", "Accept: text/html"))[1]
    broken = await box.run("labkit/hello:v3-broken")
    assert await box.until(broken.wait()) == 1


async def test_load_generator_counts_answers_and_who_gave_them(box: Box) -> None:
    for name in ("a", "b"):
        await box.run("traefik/whoami", name=name)
    box.names["web"] = box.names["a"] + box.names["b"]
    load = await box.run("labkit/load-generator", env={"TARGET": "http://web/", "RATE": "2", "REPORT_EVERY": "5"})
    for _ in range(24):
        await box.clock.advance(0.25)
    assert "from 2 containers: 200: " in output(load)
    bad = await box.run("labkit/load-generator", ["/load-generator", "ftp://x"])
    assert await bad.wait() == 2


# redis --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("commands", "answers"),
    [
        (["PING", "ECHO hi"], ["PONG", "hi"]),
        (["SET a 1", "GET a", "INCR a", "INCRBY a 5", "DECR a", "GET nope"], ["OK", "1", "2", "7", "6", ""]),
        (["SET a x", "INCR a"], ["OK", "ERR value is not an integer or out of range\n"]),
        (["SET a x EX 100", "TTL a", "PERSIST a", "TTL a", "TTL b"], ["OK", "100", "1", "-1", "-2"]),
        (["SET a x NX", "SET a y NX", "GET a", "DEL a b", "EXISTS a"], ["OK", "", "x", "1", "0"]),
        (["LPUSH l a b c", "LRANGE l 0 -1", "RPUSH l z", "LPOP l", "RPOP l", "LLEN l"],
         ["3", "c\nb\na", "4", "c", "z", "2"]),
        (["HSET h a 1 b 2", "HGET h a", "HGETALL h", "HDEL h a", "HLEN h"], ["2", "1", "a\n1\nb\n2", "1", "1"]),
        (["SADD s a b a", "SCARD s", "SISMEMBER s a", "SMEMBERS s", "SREM s a b", "TYPE s"],
         ["2", "2", "1", "a\nb", "2", "none"]),
        (["SET a 1", "LPUSH a x"], ["OK", "WRONGTYPE Operation against a key holding the wrong kind of value\n"]),
        (["MSET x1 1 x2 2 y 3", "KEYS x*", "DBSIZE", "FLUSHALL", "DBSIZE"], ["OK", "x1\nx2", "3", "OK", "0"]),
        (["SELECT 16", "CONFIG GET port", "GET"],
         ["ERR DB index is out of range\n", "port\n6379", "ERR wrong number of arguments for 'get' command\n"]),
        (["APPEND a hi", "STRLEN a", "RENAME a b", "GET b", "RENAME a b"], ["2", "2", "OK", "hi", "ERR no such key\n"]),
    ],
)  # fmt: skip
async def test_redis_commands(box: Box, commands: list[str], answers: list[str]) -> None:
    server = await box.run("redis")
    given = []
    for command in commands:
        client = await server.exec(["redis-cli", *command.split()])
        assert await box.until(client.wait()) == 0
        given.append(output(client).removesuffix("\n"))
    assert given == answers


async def test_redis_keys_expire_by_the_sandbox_clock(box: Box) -> None:
    server = await box.run("redis", name="db")
    assert await box.within(server, "redis-cli SET a x EX 60; redis-cli GET a") == (0, "OK\nx\n")
    await box.clock.advance(61)
    assert await box.within(server, "redis-cli EXISTS a") == (0, "0\n")
    _, said = await box.sh("printf 'PING\\r\\nSET k \"two words\"\\r\\nGET k\\r\\n' | nc db 6379 &  sleep 1; exit 0")
    assert said.replace("\r", "") == "+PONG\n+OK\n$9\ntwo words\n"


async def test_redis_keeps_its_data_over_a_restart(box: Box) -> None:
    layer: dict[str, bytes | None] = {}
    first = await box.run("redis", files=layer)
    await box.within(first, "redis-cli SET a 1; redis-cli LPUSH l x y; redis-cli HSET h f v; redis-cli SADD s m")
    assert await first.stop() == 0
    second = await box.run("redis", files=layer)
    _, said = await box.within(second, "for k in a l h s; do redis-cli TYPE $k; done; redis-cli GET a")
    assert said == "string\nlist\nhash\nset\n1\n"
    assert "keys loaded: 4" in output(second)


@pytest.mark.parametrize(
    "junk", [b"*1\r\n$-5\r\n", b"*99999999\r\n", b"*x\r\n", b"*1\r\n$9999999999\r\n", b'"\r\n', b"\0" * 99]
)
async def test_redis_survives_junk(box: Box, junk: bytes) -> None:
    server = await box.run("redis", name="db")
    _, writer = await server.connect("localhost", 6379)
    writer.write(junk)
    await box.clock.settle()
    writer.close()
    assert await box.within(server, "redis-cli PING") == (0, "PONG\n")


async def test_redis_memory_counts(box: Box) -> None:
    server = await box.run("redis")
    before = server.memory
    await box.within(server, "redis-cli SET a $(printf 'x%.0s' $(seq 1000))")
    assert 1000 <= server.memory - before < 1200
    await box.within(server, "redis-cli FLUSHALL")
    assert server.memory == before


def test_resp() -> None:
    assert encode([None, 1, "OK", b"x", []]) == b"*5\r\n$-1\r\n:1\r\n+OK\r\n$1\r\nx\r\n*0\r\n"
