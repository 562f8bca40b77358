"""The small cluster of these tests."""

from __future__ import annotations

from support.kubelets import cluster as cluster
