"""OpenAPI v3 as the API server publishes it: what kubectl explain, apply and create --validate read."""

from labkit.embedded.kubernetes.openapi.publish import compressed, document, fingerprint, index

__all__ = ["compressed", "document", "fingerprint", "index"]
