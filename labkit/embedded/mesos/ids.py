"""Identifiers as Mesos makes them: all that a master gives out begin with its own.

``f8cd0d9b-…-S2`` is the third agent that this master admitted, ``-0001`` its second framework, ``-O17`` an offer.
Update ids are UUIDs, in JSON as Base64.
"""

from __future__ import annotations

import base64
import binascii
import random
import uuid
from typing import Any

Json = dict[str, Any]


def value(text: str) -> Json:
    """``{"value": text}``: how an id stands in JSON."""
    return {"value": text}


def text(holder: Json | None) -> str:
    """The text of an id, empty when there is none."""
    return "" if holder is None else str(holder.get("value", ""))


def new_uuid(rng: random.Random) -> str:
    """A UUID of version 4, ``f8cd0d9b-9c4e-4c56-…``."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def update_id(rng: random.Random) -> str:
    """The id of a status update: the 16 bytes of a UUID as Base64."""
    return base64.b64encode(rng.getrandbits(128).to_bytes(16, "big")).decode()


def is_update_id(text: object) -> bool:
    """Would it stand for 16 bytes?"""
    if not isinstance(text, str):
        return False
    try:
        return len(base64.b64decode(text, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


class MasterIds:
    """What one master gives out: counters behind its own id."""

    def __init__(self, rng: random.Random) -> None:
        self.master = new_uuid(rng)
        self._agents = 0
        self._frameworks = 0
        self._offers = 0

    def agent(self) -> str:
        """The next agent's id."""
        made = f"{self.master}-S{self._agents}"
        self._agents += 1
        return made

    def framework(self) -> str:
        """The next framework's id."""
        made = f"{self.master}-{self._frameworks:04d}"
        self._frameworks += 1
        return made

    def offer(self) -> str:
        """The next offer's id."""
        made = f"{self.master}-O{self._offers}"
        self._offers += 1
        return made
