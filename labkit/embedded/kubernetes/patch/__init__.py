"""Patches: how a change that arrives over the wire becomes a new object. Nothing here mutates what it is given.

:mod:`jsonpatch` (RFC 6902), :mod:`merge` (RFC 7386), :mod:`strategic` (Kubernetes' own), and :mod:`apply`: server-side
apply with the record of who manages which field.
"""

from labkit.embedded.kubernetes.patch.jsonpatch import json_patch
from labkit.embedded.kubernetes.patch.merge import merge_patch
from labkit.embedded.kubernetes.patch.strategic import strategic_merge

__all__ = ["json_patch", "merge_patch", "strategic_merge"]
