"""Pulling images, and what is said when they cannot be pulled."""

from __future__ import annotations

import itertools

import pytest
from support.kubelets import Cluster, pod_of

from labkit.embedded.runtime.images import Catalogue, Image, Reference

NOPE = (
    'failed to pull and unpack image "docker.io/library/nope:latest": failed to resolve reference '
    '"docker.io/library/nope:latest": pull access denied, repository does not exist or may require authorization: '
    "server message: insufficient_scope: authorization failed"
)


class Counting(Catalogue):
    """Notes when somebody asks for an image."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self._clock = cluster.clock
        self.asked: list[float] = []

    def find(self, reference: str | Reference) -> Image:
        self.asked.append(self._clock.time())
        return super().find(reference)


def with_image(name: str, image: str, policy: str = "") -> dict[str, object]:
    container = {"name": "main", "image": image}
    if policy:
        container["imagePullPolicy"] = policy
    return pod_of(name, container)


async def test_what_is_there_is_not_pulled_again(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(with_image("a", "nginx:1.27"), 2)
    await cluster.run(with_image("b", "nginx:1.27"), 2)
    assert cluster.events("b")[0] == (
        "Pulled",
        'Container image "nginx:1.27" already present on machine and can be accessed by the pod',
    )
    await cluster.run(with_image("c", "nginx:1.27", "Always"), 2)
    assert cluster.events("c")[0] == ("Pulling", 'Pulling image "nginx:1.27"')
    assert cluster.events("c")[1][1].startswith(
        'Successfully pulled image "nginx:1.27" in 50ms (50ms including waiting)'
    )


async def test_an_unknown_image_is_tried_again_less_and_less_often(cluster: Cluster) -> None:
    await cluster.kubelet()
    cluster.create(with_image("a", "nope"))
    await cluster.clock.advance(1)
    assert cluster.container("a")["state"] == {"waiting": {"reason": "ErrImagePull", "message": NOPE}}
    assert cluster.status("a")["phase"] == "Pending"
    assert cluster.events("a") == [
        ("Pulling", 'Pulling image "nope"'),
        ("Failed", f'Failed to pull image "nope": {NOPE}'),
        ("Failed", "Error: ErrImagePull"),
    ]
    await cluster.clock.advance(6)
    words = f'Back-off pulling image "nope": ErrImagePull: {NOPE}'
    assert cluster.container("a")["state"] == {"waiting": {"reason": "ImagePullBackOff", "message": words}}
    assert cluster.events("a")[3:] == [
        ("BackOff", 'Back-off pulling image "nope"'),
        ("Failed", "Error: ImagePullBackOff"),
    ]
    catalogue = cluster.parts.catalogue = Counting(cluster)
    cluster.kubelets["worker-1"].images._catalogue = catalogue
    await cluster.clock.advance(200)
    assert [round(b - a) for a, b in itertools.pairwise(catalogue.asked)] == [20, 40, 80]


@pytest.mark.parametrize(
    ("image", "policy", "reason", "message"),
    [
        (
            "nginx:nope", "", "ErrImagePull",
            'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/nginx:nope": failed '
            'to resolve reference "docker.io/library/nginx:nope": docker.io/library/nginx:nope: not found',
        ),
        (
            "nginx:1.27", "Never", "ErrImageNeverPull",
            'Container image "nginx:1.27" is not present with pull policy of Never',
        ),
        (
            "registry.k8s.io/nope:1", "", "ErrImagePull",
            'rpc error: code = NotFound desc = failed to pull and unpack image "registry.k8s.io/nope:1": failed to '
            'resolve reference "registry.k8s.io/nope:1": registry.k8s.io/nope:1: not found',
        ),
        (
            "example.com/a/b:1", "", "ErrImagePull",
            'failed to pull and unpack image "example.com/a/b:1": failed to resolve reference "example.com/a/b:1": '
            'failed to do request: Head "https://example.com/v2/a/b/manifests/1": dial tcp: lookup example.com: no '
            "such host",
        ),
        (
            "nGinx", "", "InvalidImageName",
            'Failed to apply default image tag "nGinx": couldn\'t parse image name "nGinx": invalid reference format: '
            "repository name (library/nGinx) must be lowercase",
        ),
    ],
)  # fmt: skip
async def test_why_not(cluster: Cluster, image: str, policy: str, reason: str, message: str) -> None:
    await cluster.kubelet()
    cluster.create(with_image("a", image, policy))
    await cluster.clock.advance(1)
    assert cluster.container("a")["state"] == {"waiting": {"reason": reason, "message": message}}
    assert ("Failed", f"Error: {reason}") in cluster.events("a")


async def test_names_of_other_registries(cluster: Cluster) -> None:
    await cluster.kubelet()
    await cluster.run(with_image("a", "k8s.gcr.io/pause:3.1"), 2)
    assert cluster.container("a")["image"] == "k8s.gcr.io/pause:3.1"
    assert cluster.container("a")["imageID"].startswith("registry.k8s.io/pause@sha256:")
