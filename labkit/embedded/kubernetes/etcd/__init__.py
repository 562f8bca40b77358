"""The one store behind the API server: every object, its revision, and who is to hear of changes.

A real cluster has etcd there and a watch cache in front of it. Here both are one: :class:`Etcd` holds all objects in
memory with their revisions and a bounded history, tells watchers through an index, and writes behind into the
sandbox's SQLite file. Nothing that was acknowledged is lost: answers wait for :meth:`Etcd.durable`.
"""

from labkit.embedded.kubernetes.etcd.etcd import Etcd
from labkit.embedded.kubernetes.etcd.hub import Scope, Watcher
from labkit.embedded.kubernetes.etcd.record import Change, Event, Record

__all__ = ["Change", "Etcd", "Event", "Record", "Scope", "Watcher"]
