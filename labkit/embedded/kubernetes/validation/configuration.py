"""Rules of ConfigMaps, Secrets and ServiceAccounts."""

from __future__ import annotations

import base64

import orjson

from labkit.embedded import gojson
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.validation import formats
from labkit.embedded.kubernetes.validation.fields import Causes, forbidden, invalid, required, too_long, unchanged
from labkit.embedded.kubernetes.validation.meta import complain, metadata, metadata_update

SIZE_LIMIT = 1024 * 1024
_FROZEN = "field is immutable when `immutable` is set"
_ACCOUNT = "kubernetes.io/service-account.name"


def config_map(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_subdomain, True, out)
    _config_data(obj, out)


def _config_data(obj: Json, out: Causes) -> None:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    size = 0
    for key, value in data.items():
        complain(formats.config_key, key, f"data[{key}]", out)
        if key in binary:
            out.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        size += len(value.encode())
    for key, value in binary.items():
        complain(formats.config_key, key, f"binaryData[{key}]", out)
        size += _decoded(value)
    if size > SIZE_LIMIT:
        out.append(too_long("[]", SIZE_LIMIT))  # the whole object: field.NewPath("")


def _decoded(text: str) -> int:
    """How many bytes base64 stands for."""
    return len(text) // 4 * 3 - text[-2:].count("=")


def config_map_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    _frozen(new, old, ("data", "binaryData"), out)
    if any(new.get(key) is not old.get(key) for key in ("data", "binaryData")):
        _config_data(new, out)


def _frozen(new: Json, old: Json, keys: tuple[str, ...], out: Causes) -> None:
    """What was declared immutable stays so, and so does what it holds."""
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        out.append(forbidden("immutable", _FROZEN))
    for key in keys:
        if (new.get(key) or {}) != (old.get(key) or {}):
            out.append(forbidden(key, _FROZEN))


def secret(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_subdomain, True, out)
    _secret_data(obj, out)


def secret_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
    unchanged(new.get("type") or "", old.get("type") or "", "type", out)
    _frozen(new, old, ("data",), out)
    _secret_data(new, out)


def _secret_data(obj: Json, out: Causes) -> None:
    data, kind = obj.get("data") or {}, obj.get("type")
    for key in data:
        complain(formats.config_key, key, f"data[{key}]", out)
    if sum(map(_decoded, data.values())) > SIZE_LIMIT:
        out.append(too_long("data", SIZE_LIMIT))
    if kind == "kubernetes.io/service-account-token":
        if not ((obj.get("metadata") or {}).get("annotations") or {}).get(_ACCOUNT):
            out.append(required(f"metadata.annotations[{_ACCOUNT}]"))
    elif kind in _JSON_KEYS:
        _json(data, _JSON_KEYS[kind], out)
    elif kind == "kubernetes.io/basic-auth":
        if not data.keys() & {"username", "password"}:
            out.extend((required("data[username]"), required("data[password]")))
    elif kind == "kubernetes.io/ssh-auth":
        if not data.get("ssh-privatekey"):
            out.append(required("data[ssh-privatekey]"))
    elif kind == "kubernetes.io/tls":
        out.extend(required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in data)


_JSON_KEYS = {"kubernetes.io/dockercfg": ".dockercfg", "kubernetes.io/dockerconfigjson": ".dockerconfigjson"}


def _json(data: Json, key: str, out: Causes) -> None:
    """Credentials of a registry must be a JSON object; what is in them is not shown."""
    if key not in data:
        out.append(required(f"data[{key}]"))
        return
    content = base64.b64decode(data[key])
    words = gojson.explain(content)
    if not words and not isinstance(found := orjson.loads(content), dict | None):
        words = f"json: cannot unmarshal {gojson.kind(found)} into Go value of type map[string]interface {{}}"
    if words:
        out.append(invalid(f"data[{key}]", "<secret contents redacted>", words))


def service_account(obj: Json, out: Causes) -> None:
    metadata(obj.get("metadata") or {}, formats.dns_subdomain, True, out)


def service_account_update(new: Json, old: Json, out: Causes) -> None:
    metadata_update(new.get("metadata") or {}, old.get("metadata") or {}, out)
