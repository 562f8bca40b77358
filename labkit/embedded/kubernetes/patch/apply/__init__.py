"""Server-side apply, and the record of who manages which field that every other write keeps too."""

from labkit.embedded.kubernetes.patch.apply.engine import apply
from labkit.embedded.kubernetes.patch.apply.managed import update

__all__ = ["apply", "update"]
