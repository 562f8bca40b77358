"""Bodies in ``application/vnd.kubernetes.protobuf``, which kubectl sends since 1.32, decoded into JSON objects."""

from labkit.embedded.kubernetes.protobuf.decode import decode

__all__ = ["decode"]
