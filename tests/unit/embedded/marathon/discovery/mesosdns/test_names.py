"""Labels as ``records/labels`` of mesos-dns makes them; the cases are those behaviours its documentation names."""

from __future__ import annotations

import pytest

from labkit.embedded.marathon.discovery.mesosdns.names import agent_tail, fragment, rfc952, rfc1123, short_hash


@pytest.mark.parametrize(
    ("name", "strict", "usual"),
    [
        ("web", "web", "web"),
        ("web.shop", "web-shop", "web-shop"),
        ("Web_1", "web-1", "web-1"),
        ("4abc123", "abc123", "4abc123"),
        ("-4abc", "abc", "4abc"),
        ("fd%gsf---gs7-f$gs--d7fddg-123", "fdgsf---gs7-fgs--d7fddg1", "fdgsf---gs7-fgs--d7fddg-123"),
        ("a name with spaces", "anamewithspaces", "anamewithspaces"),
        ("hello" + "-" * 60 + "f", "hellof", "hellof"),
        ("x" * 70, "x" * 24, "x" * 63),
        ("ends-", "ends", "ends"),
    ],
)
def test_labels(name: str, strict: str, usual: str) -> None:
    assert (rfc952(name), rfc1123(name)) == (strict, usual)


def test_a_frameworks_dots_stay() -> None:
    assert fragment("marathon.prod", rfc1123) == "marathon.prod"
    assert fragment("marathon-0.6.0", rfc952) == "marathon-0"


def test_what_tells_siblings_apart() -> None:
    assert short_hash("test") == "iffe9"
    assert agent_tail("20150101-000000-S2") == "s2"
