"""Images that tutorials use: their tags, and what they answer."""

from __future__ import annotations

import asyncio

import pytest

from labkit.embedded.runtime.exits import ExecutableNotFound
from labkit.embedded.runtime.images import Catalogue, UnknownImage
from labkit.embedded.runtime.images.memcached import Cache, respond
from labkit.embedded.runtime.images.releases import releases
from labkit.embedded.runtime.streams import Bytes

from .conftest import Box, output


def test_releases_are_tagged_as_on_docker_hub() -> None:
    made = releases("1.26.3 1.27.0-1", variants=("", "-alpine"), also={"": ("-bookworm",)}, pinned={"stable": "1.26.3"})
    assert made["1.27.0"] == ("1.27.0", "1.27.0-bookworm")
    assert set(made["1.27.1-alpine"]) == {"1.27.1-alpine", "1.27-alpine", "1-alpine", "alpine"}
    assert {"latest", "1", "1.27", "bookworm", "1-bookworm"} < set(made["1.27.1"])
    assert {"1.26", "stable", "stable-bookworm"} < set(made["1.26.3"])
    tags = [tag for version in made.values() for tag in version]
    assert len(tags) == len(set(tags))


USED = """
    redis:3.0.6 redis:3.0.7 redis:7.4.0 redis:7.4.1 redis:alpine redis:7-alpine nginx nginx:alpine nginx:1.27.3
    nginx:1.16.1 nginx:stable httpd:alpine httpd:2.4 busybox:latest alpine:3.6 alpine:3.20.3 traefik/whoami
    containous/whoami jwilder/whoami nginxdemos/hello nginxdemos/hello:plain-text hello-world ubuntu:16.04
    debian:bookworm-slim memcached:alpine nicolaka/netshoot dockersamples/static-site training/webapp
    hashicorp/http-echo
"""


@pytest.mark.parametrize("reference", USED.split())
def test_tutorials_find_their_images(reference: str) -> None:
    name, _, tag = reference.partition(":")
    found = Catalogue().find(reference)
    assert found.name == name
    assert (tag or "latest") in found.tags


def test_tags_of_one_release_share_an_image_and_releases_do_not() -> None:
    catalogue = Catalogue()
    assert catalogue.find("nginx:latest").id == catalogue.find("nginx:mainline").id != catalogue.find("nginx:stable").id
    assert catalogue.find("redis:3.0.6").digest != catalogue.find("redis:3.0.7").digest
    for made in catalogue.all():
        assert len(set(made.tags)) == len(made.tags)
    names = catalogue.names()
    assert len(names) == len(set(names))
    with pytest.raises(UnknownImage, match=r"manifest for nginx:9\.99 not found: manifest unknown"):
        catalogue.find("nginx:9.99")


@pytest.mark.parametrize(
    ("image", "url", "said"),
    [
        ("jwilder/whoami", ":8000/", "I'm server"),
        ("training/webapp", ":5000/", "Hello world!"),
        ("containous/whoami", "/", "Hostname: server"),
        ("nginxdemos/hello:plain-text", "/here?x=1", "Server name: server"),
        ("nginxdemos/hello:plain-text", "/here?x=1", "URI: /here?x=1"),
        ("nginxdemos/hello", "/", "<span>server</span>"),
        ("dockersamples/static-site", "/", "<h1>Hello Docker!</h1>"),
    ],
)
async def test_what_they_answer(box: Box, image: str, url: str, said: str) -> None:
    await box.run(image, name="server")
    code, out = await box.sh(f"wget -qO- 'http://server{url}'")
    assert (code, said in out) == (0, True), out


async def test_each_version_shows_itself(box: Box) -> None:
    await box.run("nginx:1.27.3-alpine", name="web")
    assert "Server: nginx/1.27.3" in (await box.sh("wget -SqO- http://web"))[1]
    for version in ("3.0.6", "7.4.1"):
        redis = await box.run(f"redis:{version}")
        assert f"redis_version:{version}" in (await box.within(redis, "redis-cli info server"))[1]


async def test_hello_world_says_hello_and_ends(box: Box) -> None:
    process = await box.run("hello-world")
    assert await process.wait() == 0
    assert output(process).startswith("\nHello from Docker")


async def test_a_distribution_without_a_terminal_ends_at_once(box: Box) -> None:
    process = await box.run("ubuntu")
    assert await box.until(process.wait()) == 0
    assert (await box.sh("command -v ping || echo none; . /etc/os-release; echo $VERSION_CODENAME", "debian:12"))[
        1
    ] == "none\nbookworm\n"


async def test_images_on_debian_have_bash_and_those_on_alpine_do_not(box: Box) -> None:
    web = await box.run("nginx", name="0123456789abcdef")
    child = await web.exec(["bash"], stdin=Bytes(b"cd /etc\nexit\n"), tty=True)
    await box.until(child.wait())
    assert "root@0123456789ab:/# " in output(child)
    assert "root@0123456789ab:/etc# " in output(child)
    with pytest.raises(ExecutableNotFound):
        await (await box.run("nginx:alpine")).exec(["bash"])


@pytest.mark.parametrize(("image", "words"), [
    ("nginx", "Debian GNU/Linux 12 (bookworm)"),
    ("nginx:alpine", "Alpine Linux v3.22"),
    ("redis:7-alpine", "Alpine Linux v3.22"),
    ("debian:11", "Debian GNU/Linux 11 (bullseye)"),
    ("ubuntu:22.04", "Ubuntu 22.04 LTS"),
    ("alpine:3.20.3", "Alpine Linux v3.20"),
    ("busybox", ""),
])  # fmt: skip
async def test_images_say_which_linux_they_are_made_on(box: Box, image: str, words: str) -> None:
    found = await box.sh("test -f /etc/os-release && . /etc/os-release; echo $PRETTY_NAME", image)
    assert found == (0, words + "\n")


async def test_http_echo_wants_a_text(box: Box) -> None:
    assert await box.until((await box.run("hashicorp/http-echo")).wait()) == 127
    await box.run("hashicorp/http-echo", ["/http-echo", "-text=hi", "-listen", ":80"], name="echo")
    assert await box.sh("wget -qO- http://echo") == (0, "hi\n")


async def test_netshoot_digs(box: Box) -> None:
    await box.run("memcached", name="cache")
    box.names["tasks.cache"] = ["127.16.0.1", "127.16.0.2"]
    _, out = await box.sh("dig +short tasks.cache; drill nobody", "nicolaka/netshoot")
    assert sorted(out.splitlines()[:2]) == ["127.16.0.1", "127.16.0.2"]
    assert "status: NXDOMAIN" in out


async def test_memcached_over_the_network(box: Box) -> None:
    await box.run("memcached:1.6.21", name="cache")
    script = r"printf 'set x 0 0 5\r\nhello\r\nget x\r\nversion\r\nquit\r\n' | nc cache 11211"
    assert (await asyncio.wait_for(box.sh(script), 20))[1].split("\r\n") == [
        "STORED",
        "VALUE x 0 5",
        "hello",
        "END",
        "VERSION 1.6.21",
        "",
    ]


def test_memcached_commands() -> None:
    cache = Cache(1000, "1")

    def say(line: str, data: bytes = b"", now: float = 0.0) -> bytes:
        return respond(cache, line.encode().split(), data, now)

    assert say("add n 0 10 1", b"5") == b"STORED\r\n"
    assert say("add n 0 10 1", b"6") == say("replace other 0 0 1", b"6") == b"NOT_STORED\r\n"
    assert [say("incr n 3"), say("decr n 100"), say("incr other 1")] == [b"8\r\n", b"0\r\n", b"NOT_FOUND\r\n"]
    assert say("append n 0 0 2", b"!!") == b"STORED\r\n"
    assert say("incr n 1").startswith(b"CLIENT_ERROR")
    assert say("get n") == b"VALUE n 0 3\r\n0!!\r\nEND\r\n"
    assert say("get n", now=11) == b"END\r\n"
    for number in range(4):
        say(f"set k{number} 0 0 400", b"x" * 400)
    assert len(cache.items) == 2
    assert b"STAT evictions 2\r\n" in say("stats")
    assert [say("delete k3"), say("delete k3")] == [b"DELETED\r\n", b"NOT_FOUND\r\n"]
    assert say("flush_all") == b"OK\r\n"
    assert cache.bytes == 0
    assert say("hello") == say("") == b"ERROR\r\n"
