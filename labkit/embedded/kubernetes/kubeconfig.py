"""The kubeconfig of a sandbox: what ``KUBECONFIG`` points at."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import orjson

Json = dict[str, Any]

ADMIN = "kubernetes-admin"


def make(name: str, server: str, folder: Path) -> Json:
    """A Config whose only context is called ``name`` and has the rights of an administrator.

    ``folder`` is where :mod:`~labkit.embedded.kubernetes.pki` has put the certificates; they are carried inside, so
    that the file may be copied to another place.
    """

    def inline(file: str) -> str:
        return base64.b64encode((folder / file).read_bytes()).decode()

    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"certificate-authority-data": inline("ca.crt"), "server": server}},
        ],
        "users": [
            {
                "name": f"{name}-admin",
                "user": {"client-certificate-data": inline("admin.crt"), "client-key-data": inline("admin.key")},
            },
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": f"{name}-admin"}}],
        "current-context": name,
        "preferences": {},
    }


def refresh(path: Path, config: Json) -> None:
    """Put it there unless what is there leads to the same server: people keep contexts and namespaces in it."""
    cluster = config["clusters"][0]["cluster"]
    try:
        text = path.read_text()
    except OSError:
        text = ""
    if not all(cluster[key] in text for key in ("server", "certificate-authority-data")):
        write(path, config)


def write(path: Path, config: Json) -> None:
    """Put it there for the owner alone. JSON is YAML, and needs no YAML library at start."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(orjson.dumps(config, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    temporary.replace(path)
