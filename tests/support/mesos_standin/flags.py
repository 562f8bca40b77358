"""The environment of the real images' programs: which variables there are, and what must be among them.

Mesos reads ``MESOS_FLAG`` for ``--flag`` (``docs/configuration.md``), Marathon ``MARATHON_FLAG`` (its
``command-line-flags.md``). The real ones pass over variables that they do not know; these refuse them, so that a flag
that is spelled wrongly in the project is found out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from .network import addresses


class WrongFlags(Exception):
    """It cannot start; the message says what is wrong with what it was given."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# docs/configuration/master-and-agent.md, and libprocess.md
_BOTH = _names(
    "port hostname advertise_ip ip authenticate_http_readonly authenticate_http_readwrite http_authenticators "
    "zk_session_timeout hostname_lookup logging_level log_dir work_dir"
)
# docs/configuration/master.md
_MASTER = _names(
    "zk quorum cluster registry credentials authenticate_frameworks authenticate_agents authenticate_http_frameworks "
    "http_framework_authenticators allocation_interval roles weights offer_timeout"
)
# docs/configuration/agent.md
_AGENT = _names(
    "master containerizers docker docker_socket launcher systemd_enable_support executor_registration_timeout "
    "attributes resources credential http_credentials isolation recover image_providers switch_user"
)
# docs/docs/command-line-flags.md of Marathon
_MARATHON = _names(
    "master zk hostname http_port http_credentials mesos_authentication mesos_authentication_principal "
    "mesos_authentication_secret mesos_user mesos_role framework_name ha checkpoint"
)

_NEEDED = {
    "mesos-master": ("zk", "quorum", "work_dir", "hostname", "advertise_ip", "credentials"),
    "mesos-agent": ("master", "work_dir", "hostname", "advertise_ip", "credential", "http_credentials"),
    "marathon": ("master", "zk", "hostname", "http_credentials"),
}
_KNOWN = {"mesos-master": _BOTH | _MASTER, "mesos-agent": _BOTH | _AGENT, "marathon": _MARATHON}
PREFIX = {"mesos-master": "MESOS_", "mesos-agent": "MESOS_", "marathon": "MARATHON_"}
# What must be "true" where somebody who is not let in must not get in.
_GUARDS = {
    "mesos-master": ("authenticate_http_readonly", "authenticate_http_readwrite", "authenticate_http_frameworks"),
    "mesos-agent": ("authenticate_http_readonly", "authenticate_http_readwrite"),
    "marathon": (),
}


def read(program: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The program's flags. Raises :class:`WrongFlags`."""
    prefix = PREFIX[program]
    found = {name.removeprefix(prefix).lower(): value for name, value in environ.items() if name.startswith(prefix)}
    unknown = sorted(found.keys() - _KNOWN[program])
    if unknown:
        raise WrongFlags(f"{program} has no flag {', '.join(unknown)} that is documented and known here")
    missing = [name for name in _NEEDED[program] if not found.get(name)]
    if missing:
        raise WrongFlags(f"{program} needs {', '.join(prefix + name.upper() for name in missing)}")
    for name in _GUARDS[program]:
        if found.get(name) != "true":
            raise WrongFlags(f"{program} would let everybody in: {prefix}{name.upper()} is not true")
    if program == "mesos-master":
        quorum = int(found["quorum"])
        if quorum < 1:
            raise WrongFlags(f"a quorum of {quorum}")
    return found


@dataclass(frozen=True)
class Zk:
    """``zk://a:2181,b:2181/path``."""

    addresses: list[str]
    path: str


def zk(url: str) -> Zk:
    """Raises :class:`WrongFlags`."""
    parts = urlsplit(url)
    members = [one.partition(":") for one in parts.netloc.rpartition("@")[2].split(",")]
    if parts.scheme != "zk" or not parts.path.strip("/") or any(port != "2181" for _, _, port in members):
        raise WrongFlags(f"not a ZooKeeper URL with the ensemble's port and a path: {url!r}")
    return Zk([host for host, _, _ in members], parts.path)


def credentials(path: str) -> dict[str, str]:
    """Password by name: the file of ``--credentials``, ``--http_credentials`` or ``--credential``."""
    try:
        body = orjson.loads(Path(path).read_bytes())
        listed = body.get("credentials", [body])
        return {one["principal"]: one["secret"] for one in listed}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WrongFlags(f"no credentials in {path}: {error}") from None


def own_address(flags: Mapping[str, str]) -> str:
    """Its address, on which it must be called so."""
    if flags["hostname"] != flags.get("advertise_ip", flags["hostname"]):
        raise WrongFlags("hostname and advertise_ip are not the same")
    here = addresses()
    if flags["hostname"] not in here:
        raise WrongFlags(f"{flags['hostname']} is no address of this machine, which has {', '.join(here)}")
    return flags["hostname"]
