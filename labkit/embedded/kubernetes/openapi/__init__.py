"""OpenAPI as the API server publishes it: what kubectl explain, apply and create --validate read."""

from labkit.embedded.kubernetes.openapi.publish import compressed, document, fingerprint, index
from labkit.embedded.kubernetes.openapi.swagger import CONTENT_TYPE, swagger
from labkit.embedded.kubernetes.openapi.swagger import MEDIA_TYPE as SWAGGER

__all__ = ["CONTENT_TYPE", "SWAGGER", "compressed", "document", "fingerprint", "index", "swagger"]
