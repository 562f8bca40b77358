"""Rules of a pod's volumes.

Of kinds that nothing here can mount (cloud disks and the like) only that a volume has no second one is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.quantity import parse
from labkit.embedded.kubernetes.validation import formats
from labkit.embedded.kubernetes.validation.downward import field_selector, resource_selector
from labkit.embedded.kubernetes.validation.fields import (
    Causes,
    duplicate,
    forbidden,
    invalid,
    one_of,
    required,
    unsupported,
)
from labkit.embedded.kubernetes.validation.meta import complain

MODE_WORDS = "must be a number between 0 and 0777 (octal), both inclusive"
_HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_VOLUME_FIELDS = (
    "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid",
)  # fmt: skip


def volumes(found: Sequence[Json], path: str, out: Causes) -> dict[str, Json]:
    """Check them; give those that containers may mount, by name: a volume with a mistake is none of them."""
    known: dict[str, Json] = {}
    for index, volume in enumerate(found):
        at, name = f"{path}[{index}]", volume.get("name") or ""
        before = len(out)
        _source(volume, at, out)
        if not name:
            out.append(required(f"{at}.name"))
        else:
            complain(formats.dns_label, name, f"{at}.name", out)
        if name in known:
            out.append(duplicate(f"{at}.name", name))
        if len(out) == before:
            known[name] = volume
    return known


def _source(volume: Json, path: str, out: Causes) -> None:
    chosen = [key for key in volume if key != "name" and volume[key] is not None]
    if not chosen:
        out.append(required(path, "must specify a volume type"))
        return
    chosen.sort(key=_rank)
    rule = _SOURCES.get(chosen[0])
    if rule is not None:
        rule(volume[chosen[0]], f"{path}.{chosen[0]}", out)
    for key in chosen[1:]:
        out.append(forbidden(f"{path}.{key}", "may not specify more than 1 volume type"))


# -- paths within a container


def local_path(value: str, path: str, out: Causes) -> None:
    """A relative path that stays below where it starts (``validateLocalDescendingPath``)."""
    if value.startswith("/"):
        out.append(invalid(path, value, "must be a relative path"))
    no_backsteps(value, path, out)


def no_backsteps(value: str, path: str, out: Causes) -> None:
    if ".." in value.replace("\\", "/").split("/"):
        out.append(invalid(path, value, "must not contain '..'"))


def _local_file(value: str, path: str, out: Causes) -> None:
    """The same, and its name must not look like the kubelet's own (``validateLocalNonReservedPath``)."""
    local_path(value, path, out)
    if value.startswith("..") and not value.startswith("../"):
        out.append(invalid(path, value, "must not start with '..'"))


def mode(value: int | None, path: str, out: Causes) -> None:
    if value is not None and not 0 <= value <= 0o777:
        out.append(invalid(path, value, MODE_WORDS))


# -- kinds of volumes


def _empty_dir(found: Json, path: str, out: Causes) -> None:
    limit = found.get("sizeLimit")
    if limit is not None and parse(limit).nanos < 0:
        out.append(forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity"))


def _host_path(found: Json, path: str, out: Causes) -> None:
    if not found.get("path"):
        out.append(required(f"{path}.path"))
        return
    no_backsteps(found["path"], f"{path}.path", out)
    kind = found.get("type") or ""
    if kind not in _HOST_PATH_TYPES:
        out.append(unsupported(f"{path}.type", kind, _HOST_PATH_TYPES))


def _items(found: Json, path: str, out: Causes) -> None:
    """Keys of a ConfigMap or Secret and the files that they become."""
    for index, item in enumerate(found.get("items") or ()):
        at = f"{path}.items[{index}]"
        if not item.get("key"):
            out.append(required(f"{at}.key"))
        if not item.get("path"):
            out.append(required(f"{at}.path"))
        else:
            _local_file(item["path"], f"{at}.path", out)
        mode(item.get("mode"), f"{at}.mode", out)


def _secret(found: Json, path: str, out: Causes) -> None:
    if not found.get("secretName"):
        out.append(required(f"{path}.secretName"))
    mode(found.get("defaultMode"), f"{path}.defaultMode", out)
    _items(found, path, out)


def _config_map(found: Json, path: str, out: Causes) -> None:
    if not found.get("name"):
        out.append(required(f"{path}.name"))
    mode(found.get("defaultMode"), f"{path}.defaultMode", out)
    _items(found, path, out)


def _downward_files(found: Json, path: str, out: Causes) -> None:
    """The real one names neither ``items`` nor the index in these paths, and so does this."""
    at = path
    for item in found.get("items") or ():
        if not item.get("path"):
            out.append(required(f"{at}.path"))
        else:
            _local_file(item["path"], f"{at}.path", out)
        field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
        if field is not None:
            field_selector(field, _VOLUME_FIELDS, f"{at}.fieldRef", out)
            if resource is not None:
                out.append(invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
        elif resource is not None:
            resource_selector(resource, f"{at}.resourceFieldRef", out, of_volume=True)
        else:
            out.append(required(at, "one of fieldRef and resourceFieldRef is required"))
        mode(item.get("mode"), f"{at}.mode", out)


def _downward(found: Json, path: str, out: Causes) -> None:
    mode(found.get("defaultMode"), f"{path}.defaultMode", out)
    _downward_files(found, path, out)


def _token(found: Json, path: str, out: Causes) -> None:
    expires = found.get("expirationSeconds") or 0
    if expires < 600:
        out.append(invalid(f"{path}.expirationSeconds", expires, "may not specify a duration less than 10 minutes"))
    if expires > 1 << 32:
        out.append(invalid(f"{path}.expirationSeconds", expires, "may not specify a duration larger than 2^32 seconds"))
    # The real one reports these two at the volume, not at the source.
    volume = path.partition(".sources[")[0]
    if not found.get("path"):
        out.append(required(f"{volume}.path"))
    else:
        _local_file(found["path"], f"{volume}.path", out)


def _projected_map(found: Json, path: str, out: Causes) -> None:
    if not found.get("name"):
        out.append(required(f"{path}.name"))
    _items(found, path, out)


_PROJECTIONS: dict[str, Callable[[Json, str, Causes], None]] = {
    "secret": _projected_map,
    "configMap": _projected_map,
    "downwardAPI": _downward_files,
    "serviceAccountToken": _token,
}


def _projected(found: Json, path: str, out: Causes) -> None:
    mode(found.get("defaultMode"), f"{path}.defaultMode", out)
    paths: set[str] = set()
    for index, source in enumerate(found.get("sources") or ()):
        at = f"{path}.sources[{index}]"
        chosen = [key for key in source if source[key] is not None]
        for key in chosen:
            rule = _PROJECTIONS.get(key)
            if rule is not None:
                rule(source[key], f"{at}.{key}", out)
            for file in _files_of(key, source[key]):
                if file in paths:
                    out.append(invalid(path, source[key].get("name") or file, "conflicting duplicate paths"))
                paths.add(file)
        if len(chosen) > 1:
            out.append(forbidden(at, "may not specify more than 1 volume type per source"))


def _files_of(key: str, source: Json) -> list[str]:
    if key == "clusterTrustBundle":
        return [source["path"]] if source.get("path") else []
    return [item["path"] for item in source.get("items") or () if item.get("path")]


def _claim(found: Json, path: str, out: Causes) -> None:
    if not found.get("claimName"):
        out.append(required(f"{path}.claimName"))


def _nfs(found: Json, path: str, out: Causes) -> None:
    for key in ("server", "path"):
        if not found.get(key):
            out.append(required(f"{path}.{key}"))
    if found.get("path") and not found["path"].startswith("/"):
        out.append(invalid(f"{path}.path", found["path"], "must be an absolute path"))


def _image(found: Json, path: str, out: Causes) -> None:
    if not found.get("reference"):
        out.append(required(f"{path}.reference"))
    one_of(found.get("pullPolicy") or "", _PULL_POLICIES, f"{path}.pullPolicy", out)


def _csi(found: Json, path: str, out: Causes) -> None:
    if not found.get("driver"):
        out.append(required(f"{path}.driver"))


def _ephemeral(found: Json, path: str, out: Causes) -> None:
    if found.get("volumeClaimTemplate") is None:
        out.append(required(f"{path}.volumeClaimTemplate"))


# In the order in which the real one looks, which tells which of several is the one too many.
_SOURCES: Mapping[str, Callable[[Json, str, Causes], None]] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "secret": _secret,
    "nfs": _nfs,
    "persistentVolumeClaim": _claim,
    "downwardAPI": _downward,
    "configMap": _config_map,
    "projected": _projected,
    "csi": _csi,
    "ephemeral": _ephemeral,
    "image": _image,
}
_RANKS = {key: rank for rank, key in enumerate(_SOURCES)}


def _rank(key: str) -> int:
    return _RANKS.get(key, len(_RANKS))
