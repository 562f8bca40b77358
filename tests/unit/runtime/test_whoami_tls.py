"""whoami with a certificate: it shows it, and may want to be shown one."""

from __future__ import annotations

import pytest
from support.certificates import self_signed

from labkit.embedded.runtime.processes import Process

from .conftest import Box, output

TLS = ("/whoami", "-cert", "/tls/crt", "-key", "/tls/key", "-port", "8443")


async def started(box: Box, *flags: str, **files: bytes) -> Process:
    certificate, key = self_signed("who")
    there = {f"/tls/{name}": data for name, data in {"crt": certificate, "key": key, **files}.items()}
    return await box.run("traefik/whoami:v1.10", [*TLS, *flags], name="who", files=there)


async def asked(box: Box, server: Process) -> int:
    """The exit code of curl."""
    client = await box.run("curlimages/curl", ["sleep", "1000"])
    return (await box.within(client, f"curl -sk https://{server.addresses[0]}:8443/health"))[0]


async def test_it_shows_its_certificate(box: Box) -> None:
    server = await started(box)
    assert "Starting up with TLS on port 8443" in output(server)
    assert await asked(box, server) == 0


async def test_it_wants_to_see_one(box: Box) -> None:
    server = await started(box, "-cacert", "/tls/crt")
    assert await asked(box, server) != 0


BROKEN = [
    ({"crt": b"nothing"}, "tls: failed to find any PEM data in certificate input"),
    ({"crt": self_signed("other")[0]}, "tls: private key does not match public key"),
]


@pytest.mark.parametrize(("files", "words"), BROKEN, ids=["no-certificate", "another-key"])
async def test_what_is_no_pair_ends_it(box: Box, files: dict[str, bytes], words: str) -> None:
    server = await started(box, **files)
    assert server.exit_code == 1
    assert words in output(server)


async def test_a_file_that_is_not_there_ends_it(box: Box) -> None:
    server = await box.run("traefik/whoami:v1.10", [*TLS], name="who")
    assert server.exit_code == 1
    assert "open /tls/crt: no such file or directory" in output(server)
