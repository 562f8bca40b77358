"""An API server over real TLS on loopback, with a store and a registry behind it and nothing else."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import aiohttp

from labkit.embedded.kubernetes import pki
from labkit.embedded.kubernetes.apiserver.door import Door
from labkit.embedded.kubernetes.apiserver.nodes import Nodes
from labkit.embedded.kubernetes.apiserver.server import ApiServer
from labkit.embedded.kubernetes.apiserver.tokens import Tokens
from labkit.embedded.kubernetes.bootstrap import system
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.network.addresses import kubernetes_address, service_range
from labkit.embedded.kubernetes.registry import Registry
from labkit.embedded.runtime.clock import ManualClock
from labkit.embedded.runtime.machines import Fleet, Machine
from labkit.embedded.runtime.network import Network
from labkit.embedded.runtime.storage import Storage

Json = dict[str, Any]


class Served:
    """Use it as ``async with Served(folder) as served``. ``folder`` has the certificates (:func:`certificates`)."""

    def __init__(self, folder: Path, kubelets: dict[str, Any] | None = None) -> None:
        self.pki = pki.Pki(folder, None)
        self.clock = ManualClock()
        self.fleet = Fleet(self.clock)
        self.kubelets = kubelets if kubelets is not None else {}

    async def __aenter__(self) -> Served:
        self.network = await Network.open(self.fleet, self.clock)
        for index, name in enumerate(("control-plane", "worker-1")):
            self.fleet.add(Machine(name=name, address=self.network.machine_address(index)))
        block = self.network.block
        self.etcd = Etcd(Storage())
        self.registry = Registry(self.etcd, self.clock, services=self.network.pool(service_range(block)))
        address = self.fleet.machines["control-plane"].address
        system.put(self.registry, address, kubernetes_address(block))
        self.door = Door(self.registry, self.fleet, "control-plane", address)
        self.server = ApiServer(
            self.registry,
            self.etcd,
            fleet=self.fleet,
            network=self.network,
            machine="control-plane",
            tokens=Tokens(self.pki.token_key, self.registry, self.clock),
            nodes=Nodes(self.registry, self.fleet, "control-plane", self.kubelets),
            door=self.door,
            names=frozenset(("kubernetes", "localhost")),
        )
        await self.server.start(self.pki.server_context())
        host, port = self.server.address or ("", 0)
        self.url = f"https://{host}:{port}"
        self.admin = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.context("admin")))
        self.nobody = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.context()))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.admin.close()
        await self.nobody.close()
        await self.server.close()
        self.door.dispose()
        await self.network.close()

    def context(self, user: str = "") -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.pki.folder / "ca.crt"))
        context.check_hostname = False  # the certificates are those of one address, the tests run on many
        if user:
            context.load_cert_chain(self.pki.folder / f"{user}.crt", self.pki.folder / f"{user}.key")
        return context

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        data: bytes | None = None,
        session: aiohttp.ClientSession | None = None,
    ) -> tuple[int, Any]:
        """Status and body: decoded if it is JSON, else as text."""
        if body is not None:
            data = json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})} if data is not None else headers or {}
        async with (session or self.admin).request(method, self.url + path, data=data, headers=sent) as answer:
            raw = await answer.read()
            try:
                return answer.status, json.loads(raw)
            except ValueError:
                return answer.status, raw.decode()


def certificates(folder: Path) -> Path:
    """Fill a folder with certificates, once for a run of the tests."""
    names = pki.names_for("control-plane", "127.0.0.1", "127.0.0.2")
    pki.make(folder, names.as_json)
    return folder
