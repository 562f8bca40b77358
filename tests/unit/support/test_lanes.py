"""Two workers must never share a real cluster, nor tear apart what was written to run in one order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from support.lanes import lane, share_out


@pytest.mark.parametrize(
    ("nodeid", "wanted"),
    [
        ("tests/conformance/kubernetes/test_a.py::test_a[docker]", "kind"),
        ("tests/conformance/kubernetes/test_a.py::test_a[docker-1.27-a session]", "kind"),
        ("tests/labs/test_notebooks.py::test_notebook[docker-kubernetes/06-control-plane]", "kind"),
        ("tests/conformance/swarm/test_a.py::test_a[docker-x[y]]", "docker"),
        ("tests/labs/test_notebooks.py::test_notebook[docker-swarm/01-first]", "docker"),
        ("tests/unit/infra/test_swarm_real.py::test_a", "docker"),
        ("tests/browser/test_a.py::test_a[light]", "browser"),
        (
            "tests/conformance/kubernetes/test_a.py::test_a[embedded-docker-registry]",
            "conformance/kubernetes/test_a.py",
        ),
        ("tests/labs/test_notebooks.py::test_links[swarm/01-first]", "labs/test_notebooks.py"),
        ("tests/unit/infra/test_a.py::test_a[docker]", "unit/infra/test_a.py"),
    ],
)
def test_lanes(nodeid: str, wanted: str) -> None:
    assert lane(nodeid) == wanted


def test_what_needs_a_real_engine_is_in_a_lane_of_one(request: pytest.FixtureRequest) -> None:
    """Of the tests of this run: a mark, or an engine that is docker, without a lane of its own would share a swarm."""
    for test in request.session.items:
        params: dict[str, Any] = test.callspec.params if hasattr(test, "callspec") else {}
        if test.get_closest_marker("docker") or params.get("engine") == "docker":
            assert lane(test.nodeid) in ("kind", "docker"), test.nodeid


def test_real_labs_are_played_before_the_suite_whose_cluster_stays() -> None:
    suite = "tests/conformance/kubernetes/test_a.py::test_a[docker]"
    lab = "tests/labs/test_notebooks.py::test_notebook[docker-kubernetes/06]"
    browser, unit, second = "tests/browser/test_a.py::b", "tests/unit/a/test_a.py::b", "tests/unit/a/test_b.py::a"
    items: list[Any] = [SimpleNamespace(nodeid=nodeid) for nodeid in (unit, second, suite, browser, lab)]
    share_out(items)
    assert [item.nodeid for item in items] == [lab, suite, unit, second, browser]
