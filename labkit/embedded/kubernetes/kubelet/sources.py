"""ConfigMaps and Secrets for the pods of one machine, asked of the API server when a pod needs them."""

from __future__ import annotations

import base64
import binascii

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.client import Client
from labkit.embedded.kubernetes.objects import Json


class Missing(Exception):
    """Something that a pod refers to is not there; ``str()`` is in the kubelet's words."""


async def config_map(client: Client, namespace: str, name: str, optional: bool = False) -> dict[str, bytes] | None:
    """Its data. None when it may be absent and is; :class:`Missing` when it may not."""
    found = await client.find(kinds.CONFIG_MAPS, namespace, name)
    if found is None:
        if optional:
            return None
        raise Missing(f'configmap "{name}" not found')
    return data_of(found)


async def secret(client: Client, namespace: str, name: str, optional: bool = False) -> dict[str, bytes] | None:
    """As :func:`config_map`, for a Secret."""
    found = await client.find(kinds.SECRETS, namespace, name)
    if found is None:
        if optional:
            return None
        raise Missing(f'secret "{name}" not found')
    return data_of(found, encoded=True)


def data_of(obj: Json, *, encoded: bool = False) -> dict[str, bytes]:
    """The bytes of each key."""
    if encoded:
        return {key: decoded(value) for key, value in (obj.get("data") or {}).items()}
    found = {key: str(value).encode() for key, value in (obj.get("data") or {}).items()}
    return found | {key: decoded(value) for key, value in (obj.get("binaryData") or {}).items()}


def decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return b""
