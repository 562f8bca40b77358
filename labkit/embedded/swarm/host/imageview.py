"""An image as the API shows it, and the progress of its pull."""

from __future__ import annotations

from labkit.embedded.runtime.images import Image
from labkit.embedded.swarm.objects import Json

from .fields import CONFIG, full
from .wording import quoted, rfc3339nano, short_id


def summary(image: Image, tags: list[str], digests: list[str], api_version: tuple[int, int]) -> Json:
    """One entry of ``GET /images/json``."""
    entry: Json = {
        "Containers": -1,
        "Created": int(image.created),
        "Id": image.id,
        "Labels": dict(image.labels) or None,
        "ParentId": "",
        "RepoDigests": list(digests),
        "RepoTags": list(tags),
        "SharedSize": -1,
        "Size": image.size,
    }
    if api_version < (1, 44):
        entry["VirtualSize"] = image.size
    return entry


def inspect(image: Image, tags: list[str], digests: list[str], tagged: float, api_version: tuple[int, int]) -> Json:
    """``GET /images/{name}/json``."""
    layer = f"/var/lib/docker/overlay2/{short_id(image.id)}"
    out: Json = {
        "Id": image.id,
        "RepoTags": list(tags),
        "RepoDigests": list(digests),
        "Parent": "",
        "Comment": "buildkit.dockerfile.v0",
        "Created": rfc3339nano(image.created),
        "DockerVersion": "",
        "Author": "",
        "Config": run_config(image),
        "Architecture": "amd64",
        "Os": "linux",
        "Size": image.size,
        "GraphDriver": {
            "Data": {"MergedDir": f"{layer}/merged", "UpperDir": f"{layer}/diff", "WorkDir": f"{layer}/work"},
            "Name": "overlay2",
        },
        "RootFS": {"Type": "layers", "Layers": list(image.layers)},
        "Metadata": {"LastTagTime": rfc3339nano(tagged)},
    }
    if api_version < (1, 44):
        out["VirtualSize"] = image.size
    if api_version < (1, 50):  # as a container's, with all that an image has no use for
        out["Config"] = full(out["Config"], CONFIG)
    return out


def history(image: Image, tags: list[str]) -> list[Json]:
    """``GET /images/{name}/history``, newest layer first."""
    command = f"CMD {_shell_list(image.cmd)}" if image.cmd else f"ENTRYPOINT {_shell_list(image.entrypoint)}"
    share = image.size // len(image.layers)
    steps = [(command, 0), *((f"ADD layer {n} # buildkit", share) for n in range(len(image.layers), 0, -1))]
    return [
        {
            "Comment": "buildkit.dockerfile.v0",
            "Created": int(image.created),
            "CreatedBy": words,
            "Id": image.id if position == 0 else "<missing>",
            "Size": size,
            "Tags": list(tags) or None if position == 0 else None,
        }
        for position, (words, size) in enumerate(steps)
    ]


def run_config(image: Image) -> Json:
    """``Config`` of an image, in the sparse form of API 1.50."""
    given: Json = {
        "User": image.user,
        "ExposedPorts": {port: {} for port in image.ports},
        "Env": [f"{name}={value}" for name, value in image.env.items()],
        "Entrypoint": list(image.entrypoint),
        "Cmd": list(image.cmd),
        "Volumes": {path: {} for path in image.volumes},
        "WorkingDir": image.workdir,
        "Labels": dict(image.labels),
        "StopSignal": image.stop_signal,
        "Healthcheck": dict(image.healthcheck) if image.healthcheck else None,
    }
    return {name: value for name, value in given.items() if value}


def progress(status: str, layer: str, current: int = 0, total: int = 0) -> Json:
    """One line of progress of a layer."""
    line: Json = {"status": status, "progressDetail": {}, "id": layer}
    if total:
        done = 50 * current // total
        line["progressDetail"] = {"current": current, "total": total}
        bar = "=" * max(done - 1, 0) + ">" + " " * (50 - max(done, 1))
        line["progress"] = f"[{bar}] {_bytes(current):>7}/{_bytes(total)}"
    return line


def _bytes(size: int) -> str:
    for limit, unit in ((1e3, "B"), (1e6, "kB"), (1e9, "MB")):
        if size < limit:
            return f"{size * 1e3 / limit:.4g}{unit}"
    return f"{size / 1e9:.4g}GB"


def _shell_list(words: tuple[str, ...]) -> str:
    return "[" + " ".join(quoted(word) for word in words) + "]"
