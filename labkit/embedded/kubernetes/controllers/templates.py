"""The hash of a pod template: what tells the ReplicaSets of a Deployment, the revisions of a DaemonSet apart.

The real one is FNV-32a over a dump of Go structs (``ComputeHash``), which nobody outside of it can compute; this one is
CRC-32 over canonical JSON. It is written in the same alphabet, which has no vowels and no digits that look like
letters, so that no hash is a bad word (``rand.SafeEncodeString``).
"""

from __future__ import annotations

from zlib import crc32

import orjson

from labkit.embedded.kubernetes.objects import Json

HASH_LABEL = "pod-template-hash"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def safe(number: int) -> str:
    """A number in the safe alphabet, digit by digit."""
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(number))


def template_hash(template: Json, collisions: int | None = None) -> str:
    """The hash of a template; another one for each time that it was taken already."""
    number = crc32(orjson.dumps(template, option=orjson.OPT_SORT_KEYS))
    if collisions is not None:
        number = crc32(collisions.to_bytes(8, "little", signed=True), number)
    return safe(number)


def without_hash(template: Json) -> Json:
    """The template as the Deployment has it: without the label that its ReplicaSet got."""
    metadata = template.get("metadata") or {}
    labels = metadata.get("labels") or {}
    if HASH_LABEL not in labels:
        return template
    kept = {key: value for key, value in labels.items() if key != HASH_LABEL}
    described = {key: value for key, value in metadata.items() if key != "labels"}
    if kept:
        described["labels"] = kept
    return {**template, "metadata": described}


def same_template(one: Json, other: Json) -> bool:
    """Whether two templates make the same pods, hash aside (``EqualIgnoreHash``)."""
    one, other = without_hash(one), without_hash(other)
    if one.get("spec") != other.get("spec"):
        return False
    return _described(one) == _described(other)


def _described(template: Json) -> Json:
    return {key: value for key, value in (template.get("metadata") or {}).items() if value}
