"""The workload images that tests on real engines run, where a registry can be reached and where none can."""

from __future__ import annotations

import functools
import subprocess

from labkit.engines.hosts import client_environment

WHOAMI = "traefik/whoami:v1.10"
# What stands in when an image is neither here nor to be pulled: the same file system as another one that has a shell
# (engines without a registry make their whoami of busybox), under the name that is asked for.
STAND_INS = {
    "traefik/whoami:v1.10.1": WHOAMI,
    "busybox:1.36": WHOAMI,
    "alpine:3.20": WHOAMI,
}


def _docker(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    command = ["docker", *arguments]
    return subprocess.run(command, env=client_environment(), capture_output=True, text=True, timeout=timeout)


@functools.cache
def provide(image: str) -> None:
    """Sees to it that this machine's Docker engine has the image; AssertionError if it cannot."""
    if _docker("image", "inspect", image).returncode == 0 or _docker("pull", "-q", image, timeout=300).returncode == 0:
        return
    source = STAND_INS.get(image)
    assert source, f"{image} is not here and cannot be pulled, and nothing stands in for it"
    provide(source)
    made = _docker("create", source)
    assert made.returncode == 0, made.stderr
    container = made.stdout.strip()
    try:
        if image.split(":")[0] == source.split(":")[0]:
            # An image of its own: of two names of one image a node may tell either.
            made = _docker("commit", "--change", f"LABEL stands.for={image}", container, image)
            assert made.returncode == 0, made.stderr
            return
        # An exported file system has lost its entrypoint, which is what a shell's image needs.
        environment = client_environment()
        exported = subprocess.Popen(["docker", "export", container], env=environment, stdout=subprocess.PIPE)
        path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        imported = subprocess.run(
            ["docker", "import", "--change", 'CMD ["/bin/sh"]', "--change", path, "-", image],
            env=environment,
            stdin=exported.stdout,
            capture_output=True,
            text=True,
        )
        exported.wait()
        assert imported.returncode == 0, imported.stderr
    finally:
        _docker("rm", "-f", container)
