"""The images of kubernetes.io's tutorials and tasks, and of Kubernetes' own components."""

from __future__ import annotations

import pytest

from labkit.embedded.runtime.images.catalogue import Catalogue, UnknownImage
from labkit.embedded.runtime.images.workers import pi

from .conftest import Box, output

KNOWN = """
registry.k8s.io/pause:3.10.1 k8s.gcr.io/pause:3.1 gcr.io/google-samples/kubernetes-bootcamp:v1
gcr.io/google-samples/kubernetes-bootcamp:v2
docker.io/jocatalin/kubernetes-bootcamp:v2 gcr.io/google-samples/hello-app:1.0
us-docker.pkg.dev/google-samples/containers/gke/hello-app:2.0 registry.k8s.io/e2e-test-images/agnhost:2.53
registry.k8s.io/echoserver:1.10 k8s.gcr.io/echoserver:1.4 registry.k8s.io/busybox registry.k8s.io/busybox:1.27.2
perl:5.34.0 polinux/stress vish/stress nginx:1.7.9 nginx:1.14.2 nginx:1.16.1 busybox:1.28
gcr.io/google-samples/node-hello:1.0 quay.io/fluentd_elasticsearch/fluentd:v5.0.1 registry.k8s.io/nginx-slim:0.24
bash:5 curlimages/curl radial/busyboxplus:curl registry.k8s.io/e2e-test-images/jessie-dnsutils:1.3
gcr.io/google-samples/hello-go-gke:1.0 gcr.io/google-samples/hello-frontend:1.0 redis:6.0 redis:8.0.2
redis:6.0.5 redis:5.0.4 nginx:1.15.4 nginx:1.11.9-alpine nginx:1.21.4 busybox:1.24 registry.k8s.io/pause:3.8
registry.k8s.io/pause:3.6 memcached:1.6.8 kicbase/echo-server:1.0
registry.k8s.io/kube-apiserver:v1.36.1 registry.k8s.io/coredns/coredns:v1.13.1 registry.k8s.io/etcd:3.6.6-0
"""


@pytest.mark.parametrize("name", KNOWN.split())
def test_what_the_documentation_names_is_there(name: str) -> None:
    image = Catalogue().find(name)
    assert image.size


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("registry.k8s.io/nope:1", "manifest for registry.k8s.io/nope:1 not found: manifest unknown: manifest unknown"),
        ("example.com/a/b", 'Get "https://example.com/v2/": dial tcp: lookup example.com: no such host'),
    ],
)
def test_other_registries_say_no_in_their_words(name: str, words: str) -> None:
    with pytest.raises(UnknownImage) as caught:
        Catalogue().find(name)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("digits", "text"),
    [(1, "3"), (2, "3.1"), (5, "3.1416"), (16, "3.141592653589793"), (31, "3.141592653589793238462643383280")],
)
def test_pi_is_computed_and_rounded(digits: int, text: str) -> None:
    assert pi(digits) == text


async def test_perl_prints_pi(box: Box) -> None:
    process = await box.run("perl:5.34.0", ["perl", "-Mbignum=bpi", "-wle", "print bpi(2000)"])
    assert await box.until(process.wait()) == 0
    found = output(process)
    assert found.startswith("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")
    assert len(found.strip()) == 2001


@pytest.mark.parametrize(
    ("image", "args", "port", "path", "expected"),
    [
        ("gcr.io/google-samples/kubernetes-bootcamp:v2", None, 8080, "/", "Hello Kubernetes bootcamp! | Running on: "),
        ("gcr.io/google-samples/hello-app:1.0", None, 8080, "/", "Hello, world!\nVersion: 1.0.0\nHostname: "),
        ("registry.k8s.io/echoserver:1.10", None, 8080, "/a?b=c", "real path=/a?b=c"),
        ("registry.k8s.io/e2e-test-images/agnhost:2.53", ["/agnhost", "netexec"], 8080, "/echo?msg=hi", "hi"),
        ("registry.k8s.io/e2e-test-images/agnhost:2.53", ["/agnhost", "netexec", "--http-port=80"], 80, "/", "NOW: "),
        ("registry.k8s.io/e2e-test-images/agnhost:2.53", ["/agnhost", "serve-hostname"], 9376, "/", "web"),
        ("registry.k8s.io/e2e-test-images/agnhost:2.53", ["/agnhost", "liveness"], 8080, "/healthz", "ok"),
        ("jocatalin/kubernetes-bootcamp:v2", None, 8080, "/", " | v=2"),
        ("kicbase/echo-server:1.0", None, 8080, "/a", "Request served by web\n\nGET /a HTTP/1.1\n"),
        ("gcr.io/google-samples/node-hello:1.0", None, 8080, "/", "Hello Kubernetes!"),
    ],
)
async def test_servers(box: Box, image: str, args: list[str] | None, port: int, path: str, expected: str) -> None:
    server = await box.run(image, args, name="web")
    await box.clock.settle()
    client = await box.run("nginx", ["curl", "-s", f"http://{server.addresses[0]}:{port}{path}"])
    assert await box.until(client.wait()) == 0
    assert expected in output(client)
    assert server.running


async def test_pythons_web_server(box: Box) -> None:
    server = await box.run(
        "python:3", ["sh", "-c", "mkdir /srv/www; cd /srv/www; echo hi > a.txt; exec python3 -m http.server 8080"]
    )
    await box.clock.settle()
    client = await box.run("curlimages/curl", ["sh", "-c", "sleep 1000"])
    url = f"http://{server.addresses[0]}:8080"
    _, page = await box.within(client, f"curl -s {url}")
    assert "<title>Directory listing for /</title>" in page
    assert '<li><a href="a.txt">a.txt</a></li>' in page
    assert await box.within(client, f"curl -s {url}/a.txt") == (0, "hi\n")
    assert await box.within(client, f"curl -sf {url}/nope") == (22, "")
    assert '"GET /a.txt HTTP/1.1" 200 -\n' in output(server)


@pytest.mark.parametrize("args", [["-s"], ["curl", "-s"], ["sh", "-c", 'curl -s "$0"']])
async def test_the_entry_point_of_curls_own_image(box: Box, args: list[str]) -> None:
    server = await box.run("gcr.io/google-samples/hello-app:1.0", name="web")
    await box.clock.settle()
    client = await box.run("curlimages/curl", ["/entrypoint.sh", *args, f"http://{server.addresses[0]}:8080/"])
    assert await box.until(client.wait()) == 0
    assert output(client).startswith("Hello, world!")


async def test_a_component_needs_somebody_behind_it(box: Box) -> None:
    process = await box.run("registry.k8s.io/kube-scheduler:v1.36.1")
    assert await box.until(process.wait()) == 1
