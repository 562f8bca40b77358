"""Names and identities: what ``generateName`` becomes, random suffixes, UIDs."""

from __future__ import annotations

import random

# ``k8s.io/apimachinery/pkg/util/rand``: no vowels, and no 0, 1 and 3, so that no words come about.
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX = 5
LONGEST = 63 - SUFFIX  # of a generateName: what is longer is cut


class Names:
    """Makes names and UIDs from one random source, so that a test can repeat a run."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def suffix(self, length: int = SUFFIX) -> str:
        """``x7k2p``: what generated names end with."""
        return "".join(self._rng.choices(ALPHABET, k=length))

    def generate(self, base: str) -> str:
        return base[:LONGEST] + self.suffix()

    def uid(self) -> str:
        """A random UUID (version 4), in text."""
        bits = self._rng.getrandbits(128)
        text = f"{bits:032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[bits >> 60 & 3]}{text[17:20]}-{text[20:]}"
