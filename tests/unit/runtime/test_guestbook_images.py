"""The guestbook's images, and the redis that follows another."""

from __future__ import annotations

import orjson
import pytest

from labkit.embedded.runtime.images.catalogue import Catalogue
from labkit.embedded.runtime.images.redisreplicas import RETRY
from labkit.embedded.runtime.processes import Process

from .conftest import Box, output

DIGEST = "sha256:cb111d1bd870a6a471385a4a69ad17469d326e9dd91e0e455350cacf36e1b3ee"
FOLLOWER = "us-docker.pkg.dev/google-samples/containers/gke/gb-redis-follower:v2"
FRONTEND = "us-docker.pkg.dev/google-samples/containers/gke/gb-frontend:v5"


def found_at(leader: Process, follower: Process | None = None) -> dict[str, str]:
    """The variables in which Kubernetes says where a Service is."""
    found = {"GET_HOSTS_FROM": "env", "REDIS_LEADER_SERVICE_HOST": leader.addresses[0]}
    return found if follower is None else {**found, "REDIS_FOLLOWER_SERVICE_HOST": follower.addresses[0]}


async def says(box: Box, follower: Process, script: str, wanted: str) -> None:
    """Until it says so: the copy comes a little later."""
    for _ in range(200):
        code, said = await box.within(follower, script)
        assert code == 0
        if said == wanted:
            return
        await box.clock.advance(0.01)
    raise AssertionError(f"{script}: {said!r} instead of {wanted!r}")


@pytest.mark.parametrize(
    "name", [f"registry.k8s.io/redis@{DIGEST}", FOLLOWER, FRONTEND, "gcr.io/google_samples/gb-redisslave:v3"]
)
def test_they_are_found_under_the_names_that_the_pages_have(name: str) -> None:
    assert Catalogue().find(name).size


async def test_a_follower_has_what_its_leader_has(box: Box) -> None:
    leader = await box.run("redis:6.0.5", name="leader")
    await box.within(leader, "redis-cli SET before 1; redis-cli LPUSH l a b; redis-cli -n 2 SET other x")
    follower = await box.run(FOLLOWER, name="follower", env=found_at(leader))
    await says(box, follower, "redis-cli GET before", "1\n")
    assert await box.within(follower, "redis-cli LRANGE l 0 -1; redis-cli -n 2 GET other") == (0, "b\na\nx\n")

    await box.within(leader, "redis-cli SET after 2; redis-cli -n 3 SET third 3; redis-cli DEL before")
    await says(box, follower, "redis-cli GET after; redis-cli -n 3 GET third; redis-cli EXISTS before", "2\n3\n0\n")
    _, said = await box.within(follower, "redis-cli SET mine 1; redis-cli INFO")
    assert "READONLY You can't write against a read only replica." in said
    assert "role:slave\r\n" in said
    assert "master_link_status:up\r\n" in said
    _, said = await box.within(leader, "redis-cli INFO")
    assert "role:master\r\nconnected_slaves:1\r\n" in said
    assert "MASTER <-> REPLICA sync: Finished with success" in output(follower)


async def test_a_follower_waits_for_its_leader(box: Box) -> None:
    first = await box.run("redis", name="first")
    env = found_at(first)
    first.kill(9)
    await box.until(first.wait())
    follower = await box.run(FOLLOWER, name="follower", env=env)
    await box.clock.advance(RETRY)
    assert output(follower).count("Connecting to MASTER") == 2
    assert "master_link_status:down" in (await box.within(follower, "redis-cli INFO"))[1]


async def test_a_password_keeps_strangers_from_the_copy(box: Box) -> None:
    leader = await box.run("redis", ["redis-server", "--requirepass", "secret"], name="leader")
    follower = await box.run(FOLLOWER, name="follower", env=found_at(leader))
    await box.within(follower, "redis-cli PING")
    await box.clock.settle()
    assert "Connection with master lost. (the leader answered" in output(follower)


async def test_the_guestbook(box: Box) -> None:
    leader = await box.run("redis:6.0.5", name="leader")
    follower = await box.run(FOLLOWER, name="follower", env=found_at(leader))
    frontend = await box.run(FRONTEND, name="frontend", env=found_at(leader, follower))
    url = f"http://{frontend.addresses[0]}/"
    code, page = await box.within(frontend, f"curl -s {url}")
    assert (code, "<title>Guestbook</title>" in page) == (0, True)
    _, said = await box.within(frontend, f"curl -s '{url}guestbook.php?cmd=set&key=messages&value=,Hello'")
    assert orjson.loads(said) == {"message": "Updated"}
    await says(box, frontend, f"curl -s '{url}guestbook.php?cmd=get&key=messages'", '{"data":",Hello"}')
    assert '"GET /guestbook.php?cmd=get&key=messages HTTP/1.1" 200' in output(frontend)
    leader.kill(9)
    await box.until(leader.wait())
    _, said = await box.within(
        frontend, f"curl -s -o /dev/null -w '%{{http_code}}' '{url}guestbook.php?cmd=set&key=messages&value=x'"
    )
    assert said == "500"
