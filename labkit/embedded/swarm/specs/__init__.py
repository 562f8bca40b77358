"""Specs as they come over the wire: decoded (:mod:`.shapes`), completed and checked in the real engine's words."""

from .defaults import with_defaults
from .others import (
    check_config,
    check_network,
    check_secret,
    config_spec,
    network_spec,
    node_spec,
    secret_spec,
)
from .service import check_service, complete_service, decode_service
from .shapes import decode

__all__ = [
    "check_config",
    "check_network",
    "check_secret",
    "check_service",
    "complete_service",
    "config_spec",
    "decode",
    "decode_service",
    "network_spec",
    "node_spec",
    "secret_spec",
    "with_defaults",
]
