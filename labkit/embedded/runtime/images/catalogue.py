"""The registry that every sandbox pulls from: all images there are, found by reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module

from labkit.embedded.runtime.images.base import Image
from labkit.embedded.runtime.images.reference import DOCKER_IO, Reference, parse_reference

# name -> module and class. Modules are loaded when one of their images is asked for, so a start costs little.
FAMILIES = {
    "traefik/whoami": "whoami:Whoami",
    "nginx": "nginx:Nginx",
    "httpd": "httpd:Httpd",
    "redis": "redis:Redis",
    "busybox": "small:Busybox",
    "alpine": "small:Alpine",
    "ubuntu": "distributions:Ubuntu",
    "debian": "distributions:Debian",
    "memcached": "memcached:Memcached",
    "hello-world": "demos:HelloWorld",
    "containous/whoami": "demos:ContainousWhoami",
    "jwilder/whoami": "demos:JwilderWhoami",
    "nginxdemos/hello": "demos:NginxHello",
    "hashicorp/http-echo": "demos:HttpEcho",
    "dockersamples/static-site": "demos:StaticSite",
    "training/webapp": "demos:Webapp",
    "nicolaka/netshoot": "distributions:Netshoot",
    "labkit/hello": "labkit:Hello",
    "labkit/crasher": "labkit:Crasher",
    "labkit/slow-starter": "labkit:SlowStarter",
    "labkit/unhealthy": "labkit:Unhealthy",
    "labkit/memory-hog": "labkit:MemoryHog",
    "labkit/load-generator": "labkit:LoadGenerator",
    "bash": "tutorials:Bash",
    "curlimages/curl": "tutorials:Curl",
    "radial/busyboxplus": "tutorials:BusyboxPlus",
    "gcr.io/google-samples/hello-go-gke": "tutorials:HelloBackend",
    "gcr.io/google-samples/hello-frontend": "tutorials:HelloFrontend",
    "registry.k8s.io/e2e-test-images/jessie-dnsutils": "tutorials:DnsUtils",
    "perl": "workers:Perl",
    "python": "python:Python",
    "polinux/stress": "workers:Stress",
    "vish/stress": "workers:VishStress",
    "gcr.io/google-samples/kubernetes-bootcamp": "tutorials:Bootcamp",
    "jocatalin/kubernetes-bootcamp": "tutorials:NextBootcamp",
    "gcr.io/google-samples/gb-frontend": "guestbook:Frontend",
    "gcr.io/google-samples/gb-redis-follower": "guestbook:Follower",
    "gcr.io/google-samples/gb-redisslave": "guestbook:Slave",
    "registry.k8s.io/redis": "guestbook:KubernetesRedis",
    "gcr.io/google-samples/hello-app": "tutorials:HelloApp",
    "gcr.io/google-samples/node-hello": "tutorials:NodeHello",
    "quay.io/fluentd_elasticsearch/fluentd": "tutorials:Fluentd",
    "registry.k8s.io/echoserver": "tutorials:EchoServer",
    "kicbase/echo-server": "tutorials:KicbaseEchoServer",
    "registry.k8s.io/serve_hostname": "tutorials:ServeHostname",
    "registry.k8s.io/goproxy": "tutorials:GoProxy",
    "registry.k8s.io/busybox": "tutorials:KubernetesBusybox",
    "bprashanth/nginxhttps": "tutorials:NginxHttps",
    "registry.k8s.io/nginx-slim": "tutorials:NginxSlim",
    "registry.k8s.io/liveness": "agnhost:Liveness",
    "registry.k8s.io/e2e-test-images/agnhost": "agnhost:Agnhost",
    "registry.k8s.io/pause": "controlplane:Pause",
    "registry.k8s.io/etcd": "controlplane:Etcd",
    "registry.k8s.io/coredns/coredns": "controlplane:CoreDns",
    "registry.k8s.io/kube-apiserver": "controlplane:ApiServer",
    "registry.k8s.io/kube-controller-manager": "controlplane:ControllerManager",
    "registry.k8s.io/kube-scheduler": "controlplane:Scheduler",
    "registry.k8s.io/kube-proxy": "controlplane:KubeProxy",
}

# Other names under which registries have the same images.
ALIASES = (
    ("k8s.gcr.io/", "registry.k8s.io/"),
    ("gcr.io/google_containers/", "registry.k8s.io/"),
    ("gcr.io/google-containers/", "registry.k8s.io/"),
    ("gcr.io/google_samples/", "gcr.io/google-samples/"),
    ("us-docker.pkg.dev/google-samples/containers/gke/", "gcr.io/google-samples/"),
)


class UnknownImage(LookupError):
    """No such image in the registry; ``str()`` is in the words of ``docker pull``."""

    def __init__(self, reference: Reference, words: str) -> None:
        super().__init__(words)
        self.reference = reference


class Catalogue:
    """All images. ``extra`` are families of one's own, beside those that come with labkit."""

    def __init__(self, extra: Iterable[type[Image]] = ()) -> None:
        self._extra = {family.name: family for family in extra}
        self._made: dict[tuple[str, str], Image] = {}
        names = (*FAMILIES, *self._extra, *(alias for alias, _ in ALIASES))
        # Those that there are; every other registry is a host that nobody knows.
        self._registries = {name.partition("/")[0] for name in names if "." in name.partition("/")[0]}

    def find(self, reference: str | Reference) -> Image:
        """The image of a reference; ``InvalidReference`` or :class:`UnknownImage`."""
        ref = parse_reference(reference) if isinstance(reference, str) else reference
        if ref.domain != DOCKER_IO and ref.domain not in self._registries:
            raise UnknownImage(
                ref, f'Get "https://{ref.domain}/v2/": dial tcp: lookup {ref.domain.partition(":")[0]}: no such host'
            )
        family = self._family(_known_as(ref.familiar_name))
        if family is None and ref.domain != DOCKER_IO:
            raise UnknownImage(ref, f"manifest for {ref.familiar} not found: manifest unknown: manifest unknown")
        if family is None:
            raise UnknownImage(
                ref,
                f"pull access denied for {ref.familiar_name}, repository does not exist or may require "
                "'docker login': denied: requested access to the resource is denied",
            )
        for version, tags in family.versions.items():
            if ref.digest:
                if self._image(family, version).digest == ref.digest:
                    return self._image(family, version)
            elif ref.tag in tags:
                return self._image(family, version)
        wanted = str(ref) if ref.digest else ref.familiar
        raise UnknownImage(ref, f"manifest for {wanted} not found: manifest unknown: manifest unknown")

    def by_id(self, image_id: str) -> Image | None:
        """The image of a full id ``sha256:…``."""
        return next((image for image in self.all() if image.id == image_id), None)

    def all(self) -> Iterator[Image]:
        """Every version of every family."""
        for name in [*FAMILIES, *self._extra]:
            family = self._family(name)
            assert family is not None
            for version in family.versions:
                yield self._image(family, version)

    def names(self) -> list[str]:
        """Every ``name:tag`` there is."""
        return [tag for image in self.all() for tag in image.repo_tags]

    def _family(self, name: str) -> type[Image] | None:
        if name in self._extra:
            return self._extra[name]
        if name not in FAMILIES:
            return None
        module, _, cls = FAMILIES[name].partition(":")
        found: type[Image] = getattr(import_module(f"labkit.embedded.runtime.images.{module}"), cls)
        return found

    def _image(self, family: type[Image], version: str) -> Image:
        key = (family.name, version)
        if key not in self._made:
            self._made[key] = family(version)
        return self._made[key]


def _known_as(name: str) -> str:
    """The name in the table of an image that is known by several."""
    for alias, known in ALIASES:
        if name.startswith(alias):
            return known + name[len(alias) :]
    return name
