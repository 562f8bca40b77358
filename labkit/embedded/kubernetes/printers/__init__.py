"""Tables: what ``kubectl get`` prints is computed here, by the API server."""

from labkit.embedded.kubernetes.printers.tables import table

__all__ = ["table"]
