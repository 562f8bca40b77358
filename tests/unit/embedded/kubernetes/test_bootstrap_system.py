"""What the API server makes by itself, and makes again."""

from __future__ import annotations

import asyncio
import random

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.bootstrap import system
from labkit.embedded.kubernetes.client import OpenDoor
from labkit.embedded.kubernetes.errors import NotFound
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.registry import Registry
from labkit.embedded.runtime.addresses import AddressPool
from labkit.embedded.runtime.clock import ManualClock

ADDRESS, SERVICE = "127.20.0.10", "127.20.128.1"


async def test_its_own_service_comes_back() -> None:
    clock, etcd = ManualClock(), Etcd()
    registry = Registry(etcd, clock, services=AddressPool("127.20.128.0/20"), rng=random.Random(7))
    door = OpenDoor(registry, clock)
    system.put(registry, ADDRESS, SERVICE)
    keeping = asyncio.create_task(system.keep_service(door, "control-plane", ADDRESS, SERVICE))
    await clock.settle()

    registry.delete(kinds.SERVICES, "default", "kubernetes")
    registry.delete(kinds.ENDPOINTS, "default", "kubernetes")
    await clock.advance(system.UPKEEP - 1)
    with pytest.raises(NotFound):
        registry.get(kinds.SERVICES, "default", "kubernetes")
    await clock.advance(1)
    assert registry.get(kinds.SERVICES, "default", "kubernetes")["spec"]["clusterIP"] == SERVICE
    found = registry.get(kinds.ENDPOINTS, "default", "kubernetes")
    assert found["subsets"][0]["addresses"] == [{"ip": ADDRESS}]

    registry.delete(kinds.SERVICES, "default", "kubernetes")
    etcd.stop()  # it goes on when its store is back
    await clock.advance(system.UPKEEP)
    etcd.start()
    door.close()  # and does nothing from a machine that is cut off
    await clock.advance(system.UPKEEP)
    with pytest.raises(NotFound):
        registry.get(kinds.SERVICES, "default", "kubernetes")
    door.open()
    await clock.advance(system.UPKEEP)
    assert registry.get(kinds.SERVICES, "default", "kubernetes")["spec"]["clusterIP"] == SERVICE
    keeping.cancel()
