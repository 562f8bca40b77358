"""The Docker engine that the sandbox's hosts claim to be. One place, so that /info, /version and node agree."""

from __future__ import annotations

VERSION = "28.2.2"
API_VERSION = (1, 50)
MIN_API_VERSION = (1, 24)

KERNEL_VERSION = "6.1.0-labkit"
OPERATING_SYSTEM = "labkit embedded engine (simulated)"

VOLUME_DRIVERS = ("local",)
NETWORK_DRIVERS = ("bridge", "host", "ipvlan", "macvlan", "null", "overlay")
LOG_DRIVERS = (
    "awslogs",
    "fluentd",
    "gcplogs",
    "gelf",
    "journald",
    "json-file",
    "local",
    "splunk",
    "syslog",
)

PLUGINS = [
    {"Type": kind, "Name": name}
    for kind, names in (("Log", LOG_DRIVERS), ("Network", NETWORK_DRIVERS), ("Volume", VOLUME_DRIVERS))
    for name in names
]
"""What a node tells the managers about its engine (``Description.Engine.Plugins``)."""
