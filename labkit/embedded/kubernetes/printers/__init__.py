"""Tables: what ``kubectl get`` prints is computed here, by the API server."""

from labkit.embedded.kubernetes.printers.tables import SCALE, document, table

__all__ = ["SCALE", "document", "table"]
