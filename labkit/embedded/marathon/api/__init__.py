"""Marathon's HTTP API (``/v2``), as ``src/main/scala/mesosphere/marathon/api`` answers it."""
