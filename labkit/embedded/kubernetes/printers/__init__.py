"""Tables: what ``kubectl get`` prints is computed here, by the API server."""

from labkit.embedded.kubernetes.printers.tables import SCALE, table

__all__ = ["SCALE", "table"]
