"""A registry with the namespace ``default`` in it."""

from __future__ import annotations

import random

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.etcd import Etcd
from labkit.embedded.kubernetes.registry import Registry
from labkit.embedded.runtime.addresses import AddressPool
from labkit.embedded.runtime.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def etcd() -> Etcd:
    return Etcd()


@pytest.fixture
def registry(etcd: Etcd, clock: ManualClock) -> Registry:
    made = Registry(etcd, clock, services=AddressPool("127.20.128.0/20"), rng=random.Random(7))
    made.create(kinds.NAMESPACES, "", {"metadata": {"name": "default"}})
    made.create(kinds.SERVICE_ACCOUNTS, "default", {"metadata": {"name": "default"}})
    return made
