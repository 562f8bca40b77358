"""A pod's volumes, as layers of files that its containers mount.

``emptyDir`` is one dictionary for all who mount it, ``hostPath`` a part of the machine's own (simulated) files.
ConfigMaps and Secrets are read when the pod starts and again every minute, which is how long the kubelet takes to see a
change. A token is made when somebody reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labkit.embedded.kubernetes.client import Client, Unreachable
from labkit.embedded.kubernetes.errors import StatusError
from labkit.embedded.kubernetes.kubelet import sources
from labkit.embedded.kubernetes.kubelet.atomic import Atomic, Made, Payload, directory_name
from labkit.embedded.kubernetes.kubelet.environment import Environment, expand
from labkit.embedded.kubernetes.kubelet.mounted import Below, empty_dir, part
from labkit.embedded.kubernetes.kubelet.parts import Parts
from labkit.embedded.kubernetes.kubelet.sources import Missing
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.files import Layer
from labkit.embedded.runtime.keeper import ReadOnlyLayer
from labkit.embedded.runtime.nodes import FILE, node

RESYNC = 60.0  # seconds between two looks at ConfigMaps and Secrets
TOKEN_SECONDS = 3607.0
_NOTHING: Payload = {}
NOT_SIMULATED = "is not simulated by the embedded engine"


class MountFailed(Exception):
    """A volume cannot be set up; ``str()`` is the event's message."""

    def __init__(self, volume: str, why: str) -> None:
        super().__init__(f'MountVolume.SetUp failed for volume "{volume}" : {why}')


class Access(Atomic):
    """What every pod has of its service account. Hardly anybody looks, so that only what it is made of is kept."""

    __slots__ = ("_given", "_pod", "_volumes", "_when")

    def __init__(self, volumes: Volumes, pod: Json, given: Any, when: float) -> None:
        super().__init__(_NOTHING, "", tmpfs=True, gid=fs_group(pod))
        self._volumes = volumes
        self._pod = pod
        self._given = given
        self._when = when

    @property
    def files(self) -> Payload:
        if not self._files:
            token = Token(self._volumes, self._pod, self._given[0]["serviceAccountToken"])
            self._files = {
                token.path: Made(token, *token.marks),
                "ca.crt": self._volumes.parts.ca,
                "namespace": self._pod["metadata"].get("namespace", "").encode(),
            }
        return self._files

    @property
    def name(self) -> str:
        if not self._name:
            self._name = directory_name(self._when, self._pod["metadata"].get("uid", ""))
        return self._name


class Token:
    """A service account's token in a volume. It is made when it is read, and anew when most of its time is over."""

    __slots__ = ("_given", "_pod", "_text", "_until", "_volumes")

    def __init__(self, volumes: Volumes, pod: Json, given: Json) -> None:
        self._volumes = volumes
        self._pod = pod
        self._given = given
        self._text = b""
        self._until = 0.0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and self._given == other._given

    __hash__ = None  # type: ignore[assignment]

    @property
    def path(self) -> str:
        return str(self._given.get("path", "token"))

    @property
    def marks(self) -> tuple[int, int]:
        """Its mode and owner: a token is for those who need it, as far as one can tell who that is."""
        user = fs_user(self._pod)
        return FILE if user is None and fs_group(self._pod) is None else 0o600, user or 0

    def __call__(self) -> bytes:
        now = self._volumes.parts.clock.time()
        if now >= self._until:
            seconds = float(self._given.get("expirationSeconds") or TOKEN_SECONDS)
            self._text = self._volumes.parts.token(self._pod, self._given.get("audience") or "", seconds).encode()
            self._until = now + 0.8 * seconds
        return self._text


class Volumes:
    """The volumes of one pod."""

    def __init__(self, client: Client, parts: Parts, machine_files: Layer) -> None:
        self._client = client
        self.parts = parts
        self._machine_files = machine_files

    async def set_up(self, pod: Json, made: dict[str, Any], env: Environment) -> bool:
        """Make what ``made`` lacks and bring what it has up to date. True: some of them have to be looked at again.

        Raises:
            MountFailed: one of them cannot be had now.
        """
        changing = False
        for volume in pod["spec"].get("volumes") or ():
            name = volume["name"]
            if isinstance(made.get(name), Access):
                continue
            if "projected" in volume and _is_service_account(volume["projected"]):
                given = volume["projected"]["sources"]
                made[name] = Access(self, pod, given, self.parts.clock.time())  # there is nothing to be asked for
                continue
            if "emptyDir" in volume or len(volume) == 1:
                if name not in made:
                    made[name] = empty_dir((volume.get("emptyDir") or {}).get("medium") or "", fs_group(pod))
                continue
            if "hostPath" in volume:
                made.setdefault(name, Below(self._machine_files, volume["hostPath"].get("path", "/")))
                continue
            changing = await self._publish(pod, volume, made, env) or changing
        return changing

    async def _publish(self, pod: Json, volume: Json, made: dict[str, Any], env: Environment) -> bool:
        """A volume that is filled from elsewhere. True: it has to be looked at again."""
        name = volume["name"]
        kind = next(key for key in volume if key != "name")
        try:
            files = await self._payload(pod, kind, volume.get(kind) or {}, env)
        except Missing as error:
            raise MountFailed(name, str(error)) from None
        except (Unreachable, StatusError):
            what = "secret" if kind == "secret" else "configmap"
            raise MountFailed(name, f"failed to sync {what} cache: timed out waiting for the condition") from None
        directory = directory_name(self.parts.clock.time(), f"{pod['metadata'].get('uid')}/{name}")
        if name in made:
            made[name].publish(files, directory)
        else:
            made[name] = Atomic(files, directory, tmpfs=kind != "configMap", gid=fs_group(pod))
        return kind != "downwardAPI"

    async def _payload(self, pod: Json, kind: str, given: Json, env: Environment) -> Payload:
        usual = given.get("defaultMode", FILE)
        if kind in _FILLED:
            return await self._items(pod, kind, given, env, usual)
        if kind != "projected":
            raise Missing(f"{kind} {NOT_SIMULATED}")
        files: dict[str, bytes | Made] = {}
        for source in given.get("sources") or ():
            for inner in _FILLED:
                if inner in source:
                    files |= await self._items(pod, inner, source[inner], env, usual)
            if "serviceAccountToken" in source:
                token = Token(self, pod, source["serviceAccountToken"])
                mode, uid = token.marks
                files[token.path] = Made(token, usual if mode == FILE else mode, uid)
        return files

    async def _items(self, pod: Json, kind: str, given: Json, env: Environment, usual: int) -> dict[str, bytes]:
        if kind == "downwardAPI":
            return _downward(given.get("items") or (), env, usual)
        namespace, optional = pod["metadata"].get("namespace", ""), bool(given.get("optional"))
        name = given.get("name") or given.get("secretName") or ""
        read = sources.config_map if kind == "configMap" else sources.secret
        data = await read(self._client, namespace, name, optional)
        if data is None or not given.get("items"):
            return {key: node(value, usual) for key, value in (data or {}).items()}
        files = {}
        for item in given["items"]:
            if item["key"] in data:
                files[item["path"].lstrip("/")] = node(data[item["key"]], _mode(item, usual))
            elif not optional:
                raise Missing(
                    "references non-existent config key: " + item["key"]
                    if kind == "configMap"
                    else "references non-existent secret key: " + item["key"]
                )
        return files

    # mounting -------------------------------------------------------------------------------------------------

    def mounts(self, container: Json, made: dict[str, Any], known: dict[str, str]) -> dict[str, Layer]:
        """What a container mounts, deepest first."""
        mounts: dict[str, Layer] = {}
        for mount in container.get("volumeMounts") or ():
            layer = made.get(mount["name"])
            if layer is None:
                continue
            below = mount.get("subPath") or expand(mount.get("subPathExpr") or "", known)
            if below:
                layer = layer.at(below) if isinstance(layer, Atomic) else part(layer, below)
            if mount.get("readOnly") and not getattr(layer, "readonly", False):
                layer = ReadOnlyLayer(layer)
            mounts[mount["mountPath"].rstrip("/") or "/"] = layer
        return dict(sorted(mounts.items(), key=lambda item: -len(item[0]))) if len(mounts) > 1 else mounts


_FILLED = ("configMap", "secret", "downwardAPI")


def fs_group(pod: Json) -> int | None:
    """Whose group its volumes are."""
    security = pod["spec"].get("securityContext")
    found: int | None = security.get("fsGroup") if security else None
    return found


def fs_user(pod: Json) -> int | None:
    """Who its tokens are for: the user that all its containers run as, if they agree."""
    spec = pod["spec"]
    usual = (spec.get("securityContext") or {}).get("runAsUser")
    users = {
        (one.get("securityContext") or {}).get("runAsUser", usual)
        for one in (*(spec.get("initContainers") or ()), *spec["containers"])
    }
    return users.pop() if len(users) == 1 else None


def _mode(item: Json, usual: int) -> int:
    mode = item.get("mode")
    return usual if mode is None else int(mode)


def _is_service_account(projected: Json) -> bool:
    given: Sequence[Json] = projected.get("sources") or ()
    if len(given) != 3 or "serviceAccountToken" not in given[0] or projected.get("defaultMode", FILE) != FILE:
        return False
    return bool(given[1].get("configMap", {}).get("name") == "kube-root-ca.crt" and "downwardAPI" in given[2])


def _downward(items: Any, env: Environment, usual: int) -> dict[str, bytes]:
    files = {}
    for item in items:
        if "fieldRef" in item:
            text = env.field(item["fieldRef"].get("fieldPath", ""))
        else:
            text = env.resource(item.get("resourceFieldRef") or {}, {})
        files[item["path"].lstrip("/")] = node(text.encode(), _mode(item, usual))
    return files
