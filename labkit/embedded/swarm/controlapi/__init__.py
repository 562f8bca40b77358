"""What may be done to a swarm's objects: SwarmKit's ``controlapi`` as functions on the store, without any wire.

Each takes a transaction (:class:`labkit.embedded.swarm.store.Tx`) or any reader of the store, changes it or raises
what SwarmKit raises. The HTTP handlers call them inside one :meth:`Store.update`, so a request happens whole or not
at all.
"""
