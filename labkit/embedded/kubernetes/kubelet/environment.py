"""A container's environment: the image's, the Services', ``envFrom`` and ``env``, and ``$(NAME)`` in its command."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from labkit.embedded.kubernetes.client import Client
from labkit.embedded.kubernetes.kubelet import resources, sources
from labkit.embedded.kubernetes.kubelet.sources import Missing
from labkit.embedded.kubernetes.objects import Json, key_of
from labkit.embedded.runtime.machines import Machine

_REFERENCE = re.compile(r"\$(\$|\(([^()]*)\))")
_NAME = re.compile(r"[^\x00-\x1f=\x7f]+")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by its value; ``$$(NAME)`` is how to write it plainly, an unknown name stays."""

    def replace(match: re.Match[str]) -> str:
        if match.group(1) == "$":
            return "$"
        return known.get(match.group(2), match.group(0))

    return _REFERENCE.sub(replace, text) if "$" in text else text


def of_services(services: Iterable[Json], namespace: str, links: bool) -> dict[str, str]:
    """``WEB_SERVICE_HOST`` and its like, for the Services of the namespace and for ``kubernetes`` always.

    A pod that does not want links (``enableServiceLinks: false``) has those of ``kubernetes`` only.
    """
    env: dict[str, str] = {}
    for service in services:
        where, name = key_of(service)
        is_kubernetes = (where, name) == ("default", "kubernetes")
        if not is_kubernetes and (where != namespace or not links):
            continue
        ip, ports = service["spec"].get("clusterIP"), service["spec"].get("ports") or ()
        if not ip or ip == "None" or not ports:
            continue
        prefix = name.upper().replace("-", "_")
        env[f"{prefix}_SERVICE_HOST"] = ip
        env[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
        for port in ports:
            if port.get("name"):
                env[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
        for index, port in enumerate(ports):
            protocol = str(port.get("protocol") or "TCP")
            url = f"{protocol.lower()}://{ip}:{port['port']}"
            if index == 0:
                env[f"{prefix}_PORT"] = url
            one = f"{prefix}_PORT_{port['port']}_{protocol}"
            env[one] = url
            env |= {f"{one}_PROTO": protocol.lower(), f"{one}_PORT": str(port["port"]), f"{one}_ADDR": ip}
    return env


class Environment:
    """Makes the environments of one pod's containers."""

    def __init__(self, client: Client, pod: Json, machine: Machine, ip: str, services: Mapping[str, str]) -> None:
        self._client = client
        self._pod = pod
        self._machine = machine
        self._ip = ip
        self._services = services

    async def of(self, container: Json) -> dict[str, str]:
        """All of it but what the image sets. Raises :class:`Missing`."""
        env = dict(self._services)
        for source in container.get("envFrom") or ():
            env |= await self._from(source)
        for entry in container.get("env") or ():
            if "value" in entry:
                env[entry["name"]] = expand(entry["value"], env)
            elif "valueFrom" in entry:
                value = await self._value(entry["valueFrom"], container)
                if value is not None:
                    env[entry["name"]] = value
            else:
                env[entry["name"]] = ""
        return env

    async def _from(self, source: Json) -> dict[str, str]:
        namespace, prefix = self._pod["metadata"].get("namespace", ""), source.get("prefix") or ""
        data: dict[str, bytes] | None = {}
        if "configMapRef" in source:
            given = source["configMapRef"]
            data = await sources.config_map(
                self._client, namespace, given.get("name", ""), given.get("optional", False)
            )
        elif "secretRef" in source:
            given = source["secretRef"]
            data = await sources.secret(self._client, namespace, given.get("name", ""), given.get("optional", False))
        return {
            prefix + key: value.decode("utf-8", "replace")
            for key, value in (data or {}).items()
            if _NAME.fullmatch(prefix + key)
        }

    async def _value(self, source: Json, container: Json) -> str | None:
        namespace = self._pod["metadata"].get("namespace", "")
        if "fieldRef" in source:
            return self.field(source["fieldRef"].get("fieldPath", ""))
        if "resourceFieldRef" in source:
            return self.resource(source["resourceFieldRef"], container)
        if "configMapKeyRef" in source:
            given, what, read = source["configMapKeyRef"], "ConfigMap", sources.config_map
        elif "secretKeyRef" in source:
            given, what, read = source["secretKeyRef"], "Secret", sources.secret
        else:
            return None
        name, key, optional = given.get("name", ""), given.get("key", ""), given.get("optional", False)
        data = await read(self._client, namespace, name, optional)
        if data is None:
            return None
        if key not in data:
            if optional:
                return None
            raise Missing(f"couldn't find key {key} in {what} {namespace}/{name}")
        return data[key].decode("utf-8", "replace")

    def field(self, path: str) -> str:
        """The downward API's fields."""
        metadata, spec = self._pod["metadata"], self._pod["spec"]
        subscript = _SUBSCRIPT.fullmatch(path)
        if subscript is not None:
            return str((metadata.get(subscript.group(1)) or {}).get(subscript.group(2), ""))
        if path in ("metadata.labels", "metadata.annotations"):
            found = metadata.get(path.partition(".")[2]) or {}
            return "\n".join(f'{key}="{_escaped(value)}"' for key, value in sorted(found.items()))
        values = {
            "metadata.name": metadata.get("name"),
            "metadata.namespace": metadata.get("namespace"),
            "metadata.uid": metadata.get("uid"),
            "spec.nodeName": spec.get("nodeName"),
            "spec.serviceAccountName": spec.get("serviceAccountName"),
            "status.hostIP": self._machine.address,
            "status.hostIPs": self._machine.address,
            "status.podIP": self._ip,
            "status.podIPs": self._ip,
        }
        return str(values.get(path) or "")

    def resource(self, given: Json, container: Json) -> str:
        """``limits.memory`` of a container; a limit that is not set is what the node has."""
        name = given.get("containerName")
        if name:
            spec = self._pod["spec"]
            everyone = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
            container = next((one for one in everyone if one["name"] == name), container)
        return resources.field(given.get("resource", ""), given.get("divisor") or "0", container, self._machine)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
