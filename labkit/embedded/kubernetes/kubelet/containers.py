"""The inside of a pod's container: what it shares with the others, and what its program sees of the pod."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from labkit.embedded.kubernetes.kubelet.parts import Component
from labkit.embedded.runtime.files import Layer
from labkit.embedded.runtime.namespaces import Limits, Namespace

Etc = Callable[[str], "bytes | None"]  # path -> what is in it, made when somebody reads it


def _no_files(path: str) -> bytes | None:
    return None


class Inside(Namespace):
    """A container's namespaces. The network is the pod's; ``etc`` knows the files that the kubelet makes."""

    __slots__ = ("component", "etc", "groups")

    def __init__(
        self, *args: Any, etc: Etc, component: Component | None = None, groups: tuple[int, ...] = (), **given: Any
    ) -> None:
        self.etc = etc
        self.groups = groups
        self.component = component
        super().__init__(*args, **given)

    def _virtual_file(self, path: str) -> bytes | None:
        found = self.etc(path) if path.startswith("/etc/") else None
        return super()._virtual_file(path) if found is None else found


@dataclass(slots=True)
class Config:
    """How a container is to be made: what the kubelet tells containerd."""

    name: str
    args: list[str]
    env: dict[str, str]
    mounts: dict[str, Layer] = field(default_factory=dict)
    files: dict[str, bytes | None] = field(default_factory=dict)  # its own layer at the beginning
    etc: Etc = _no_files
    limits: Limits = field(default_factory=Limits)
    workdir: str = ""
    user: str = ""
    groups: tuple[int, ...] = ()  # beside those that the image says
    readonly: bool = False
    tty: bool = False
    stdin: bool = False
    termination_path: str = "/dev/termination-log"
    fall_back_to_logs: bool = False
    stop_signal: str = ""
    spec_hash: int = 0
    target: str = ""  # the id of the container whose process namespace it joins
    shares_processes: bool = False  # with the others of its pod


def hosts_file(ip: str, hostname: str, domain: str, aliases: list[dict[str, Any]]) -> bytes:
    """``/etc/hosts`` as the kubelet manages it."""
    own = f"{ip}\t{hostname}.{domain}\t{hostname}\n" if domain else f"{ip}\t{hostname}\n"
    text = (
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n" + own
    )
    if aliases:
        text += "\n# Entries added by HostAliases.\n" + "".join(
            f"{one['ip']}\t{chr(9).join(one.get('hostnames') or ())}\n" for one in aliases
        )
    return text.encode()
