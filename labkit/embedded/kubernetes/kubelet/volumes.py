"""A pod's volumes, as layers of files that its containers mount.

``emptyDir`` is one dictionary for all who mount it, ``hostPath`` a part of the machine's own (simulated) files.
ConfigMaps and Secrets are read when the pod starts and again every minute, which is how long the kubelet takes to see a
change. A token is made when somebody reads it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, MutableMapping
from functools import partial
from typing import Any

from labkit.embedded.kubernetes.client import Client, Unreachable
from labkit.embedded.kubernetes.errors import StatusError
from labkit.embedded.kubernetes.kubelet import sources
from labkit.embedded.kubernetes.kubelet.environment import Environment, expand
from labkit.embedded.kubernetes.kubelet.parts import Parts
from labkit.embedded.kubernetes.kubelet.sources import Missing
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.runtime.files import Layer
from labkit.embedded.runtime.keeper import ReadOnlyLayer

RESYNC = 60.0  # seconds between two looks at ConfigMaps and Secrets
TOKEN_SECONDS = 3607.0
NOT_SIMULATED = "is not simulated by the embedded engine"


class MountFailed(Exception):
    """A volume cannot be set up; ``str()`` is the event's message."""

    def __init__(self, volume: str, why: str) -> None:
        super().__init__(f'MountVolume.SetUp failed for volume "{volume}" : {why}')


class Lazy(MutableMapping[str, "bytes | None"]):
    """Files whose content is made when it is read. Nobody may write them."""

    __slots__ = ("_files",)

    def __init__(self, files: dict[str, Callable[[], bytes]]) -> None:
        self._files = files

    def __getitem__(self, path: str) -> bytes:
        return self._files[path]()

    def __contains__(self, path: object) -> bool:
        return path in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __setitem__(self, path: str, data: bytes | None) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    def __delitem__(self, path: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)


class Below(MutableMapping[str, "bytes | None"]):
    """A directory of a layer as a layer of its own: ``subPath``."""

    __slots__ = ("_layer", "_prefix")

    def __init__(self, layer: Layer, directory: str) -> None:
        self._layer = layer
        self._prefix = "/" + directory.strip("/")

    def __getitem__(self, path: str) -> bytes | None:
        return self._layer[self._prefix + path]

    def __setitem__(self, path: str, data: bytes | None) -> None:
        self._layer[self._prefix + path] = data

    def __delitem__(self, path: str) -> None:
        del self._layer[self._prefix + path]

    def __contains__(self, path: object) -> bool:
        return f"{self._prefix}{path}" in self._layer

    def __iter__(self) -> Iterator[str]:
        inside = self._prefix + "/"
        return (path[len(self._prefix) :] for path in list(self._layer) if path.startswith(inside))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Volumes:
    """The volumes of one pod."""

    def __init__(self, client: Client, parts: Parts, machine_files: Layer) -> None:
        self._client = client
        self._parts = parts
        self._machine_files = machine_files

    async def set_up(self, pod: Json, made: dict[str, Any], env: Environment) -> bool:
        """Make what ``made`` lacks and bring what it has up to date. True: some of them have to be looked at again.

        Raises:
            MountFailed: one of them cannot be had now.
        """
        changing = False
        for volume in pod["spec"].get("volumes") or ():
            name = volume["name"]
            if "emptyDir" in volume:
                made.setdefault(name, {})
                continue
            if "hostPath" in volume:
                made.setdefault(name, Below(self._machine_files, volume["hostPath"].get("path", "/")))
                continue
            if name in made and isinstance(made[name], Lazy):
                continue
            try:
                files = await self._files(pod, volume, env)
            except Missing as error:
                raise MountFailed(name, str(error)) from None
            except (Unreachable, StatusError):
                what = "secret" if "secret" in volume else "configmap"
                raise MountFailed(name, f"failed to sync {what} cache: timed out waiting for the condition") from None
            if isinstance(files, Lazy):
                made[name] = files
                continue
            changing = changing or any(kind in volume for kind in ("configMap", "secret", "projected"))
            layer = made.setdefault(name, {})
            if layer != files:
                layer.clear()
                layer.update(files)
        return changing

    async def _files(self, pod: Json, volume: Json, env: Environment) -> Any:
        if "projected" in volume:
            return await self._projected(pod, volume["projected"].get("sources") or (), env)
        for kind in ("configMap", "secret", "downwardAPI"):
            if kind in volume:
                return _layer(await self._items(pod, kind, volume[kind], env))
        kind = next((key for key in volume if key != "name"), "emptyDir")
        if kind == "emptyDir":
            return {}
        raise Missing(f"{kind} {NOT_SIMULATED}")

    async def _projected(self, pod: Json, given: Any, env: Environment) -> Any:
        if _is_service_account(given):  # what every pod has: nothing to be asked for, and nobody may read it ever
            return Lazy(self._access(pod, given))
        files: dict[str, bytes] = {}
        for source in given:
            for kind in ("configMap", "secret", "downwardAPI"):
                if kind in source:
                    files |= await self._items(pod, kind, source[kind], env)
            if "serviceAccountToken" in source:
                token = source["serviceAccountToken"]
                files[token.get("path", "token")] = self._token(pod, token)
        return _layer(files)

    def _access(self, pod: Json, given: Any) -> dict[str, Callable[[], bytes]]:
        files: dict[str, Callable[[], bytes]] = {}
        namespace = pod["metadata"].get("namespace", "").encode()
        for source in given:
            if "serviceAccountToken" in source:
                token = source["serviceAccountToken"]
                files["/" + token.get("path", "token")] = partial(self._token, pod, token)
            elif "configMap" in source:
                files["/ca.crt"] = lambda: self._parts.ca
            else:
                files["/namespace"] = lambda: namespace
        return files

    def _token(self, pod: Json, given: Json) -> bytes:
        seconds = float(given.get("expirationSeconds") or TOKEN_SECONDS)
        return self._parts.token(pod, given.get("audience") or "", seconds).encode()

    async def _items(self, pod: Json, kind: str, given: Json, env: Environment) -> dict[str, bytes]:
        if kind == "downwardAPI":
            return _downward(pod, given.get("items") or (), env)
        namespace, optional = pod["metadata"].get("namespace", ""), bool(given.get("optional"))
        name = given.get("name") or given.get("secretName") or ""
        read = sources.config_map if kind == "configMap" else sources.secret
        data = await read(self._client, namespace, name, optional)
        if data is None or not given.get("items"):
            return data or {}
        files = {}
        for item in given["items"]:
            if item["key"] in data:
                files[item["path"].lstrip("/")] = data[item["key"]]
            elif not optional:
                raise Missing(
                    "references non-existent config key: " + item["key"]
                    if kind == "configMap"
                    else "references non-existent secret key: " + item["key"]
                )
        return files

    # mounting -------------------------------------------------------------------------------------------------

    def mounts(
        self, container: Json, made: dict[str, Any], known: dict[str, str], files: dict[str, bytes | None]
    ) -> dict[str, Layer]:
        """What a container mounts, deepest first. A single file (``subPath`` of one) is copied into ``files``."""
        mounts: dict[str, Layer] = {}
        for mount in container.get("volumeMounts") or ():
            layer = made.get(mount["name"])
            if layer is None:
                continue
            point = mount["mountPath"].rstrip("/") or "/"
            below = mount.get("subPath") or expand(mount.get("subPathExpr") or "", known)
            if below:
                single = layer.get("/" + below.strip("/")) if ("/" + below.strip("/")) in layer else None
                if single is not None:
                    files[point] = single  # it does not follow changes of its source; nor does a real one
                    continue
                layer = Below(layer, below)
            if mount.get("readOnly") and not isinstance(layer, Lazy):
                layer = ReadOnlyLayer(layer)
            mounts[point] = layer
        return dict(sorted(mounts.items(), key=lambda item: -len(item[0]))) if len(mounts) > 1 else mounts


def _is_service_account(given: Any) -> bool:
    if len(given) != 3 or "serviceAccountToken" not in given[0]:
        return False
    return bool(given[1].get("configMap", {}).get("name") == "kube-root-ca.crt" and "downwardAPI" in given[2])


def _downward(pod: Json, items: Any, env: Environment) -> dict[str, bytes]:
    files = {}
    for item in items:
        if "fieldRef" in item:
            text = env.field(item["fieldRef"].get("fieldPath", ""))
        else:
            text = env.resource(item.get("resourceFieldRef") or {}, {})
        files[item["path"].lstrip("/")] = text.encode()
    return files


def _layer(files: dict[str, bytes]) -> dict[str, bytes | None]:
    return {f"/{path}": data for path, data in files.items()}
