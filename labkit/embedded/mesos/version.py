"""Which Mesos this claims to be."""

from __future__ import annotations

VERSION = "1.11.0"
BUILD: dict[str, str | float] = {
    "build_date": "2020-11-17 12:00:00",
    "build_time": 1605614400.0,
    "build_user": "labkit",
    "version": VERSION,
}
