"""Keys that a body has twice."""

from __future__ import annotations

import pytest

from labkit.embedded.kubernetes.schema.duplicates import duplicates

CASES = [
    (b'{"a": 1}', ()),
    (b'{"a": 1, "a": 2}', ("a",)),
    (b'{"spec": {"replicas": 1, "replicas": 1, "x": {"y": 1, "y": 2, "y": 3}}}', ("spec.replicas", "spec.x.y")),
    (b'{"a": [{"b": 1}, {"b": 1, "b": 2}]}', ("a[1].b",)),
    (b"{", ()),
    (b'["a", "a"]', ()),
]


@pytest.mark.parametrize(("body", "paths"), CASES)
def test_keys_that_are_there_twice(body: bytes, paths: tuple[str, ...]) -> None:
    assert duplicates(body) == paths
