"""What may be done to objects, and what then becomes of them: the API server without its wire.

One generic registry serves every kind, driven by the rows of :mod:`~labkit.embedded.kubernetes.kinds`. What is a kind's
own is a small strategy (``strategies/``), what is decided about objects before they are stored is admission
(``admission/``), and what has a path of its own below an object is in ``subresources/``.
"""

from labkit.embedded.kubernetes.etcd import Event, Record
from labkit.embedded.kubernetes.registry.options import DeleteOptions, WriteOptions
from labkit.embedded.kubernetes.registry.reading import Listing
from labkit.embedded.kubernetes.registry.registry import Registry
from labkit.embedded.kubernetes.registry.watching import Watch

__all__ = ["DeleteOptions", "Event", "Listing", "Record", "Registry", "Watch", "WriteOptions"]
