"""Bodies in ``application/vnd.kubernetes.protobuf``, which kubectl sends since 1.32, decoded into JSON objects."""

from labkit.embedded.kubernetes.protobuf.decode import decode, is_protobuf

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"

__all__ = ["MEDIA_TYPE", "decode", "is_protobuf"]
