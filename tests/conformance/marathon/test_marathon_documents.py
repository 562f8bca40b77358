"""Every case of Mesos and of Marathon names where it is written that it must be so."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.documents import REPOSITORIES, cases, holds, places

SUITES = ("mesos", "marathon")


@holds("labkit/embedded/marathon/FIDELITY.md#faithful")
@pytest.mark.parametrize("suite", SUITES)
def test_no_case_lacks_its_page(suite: str) -> None:
    found = dict(cases(Path(__file__).parent.parent / suite))
    assert len(found) > 75
    assert [name for name, pages in found.items() if not pages] == []


@holds("labkit/embedded/marathon/FIDELITY.md#faithful")
@pytest.mark.parametrize("suite", SUITES)
def test_the_pages_exist(suite: str) -> None:
    known = places()
    for name, pages in cases(Path(__file__).parent.parent / suite):
        for page in pages:
            path, _, place = page.partition("#")
            assert path.partition("/")[0] in REPOSITORIES, f"{name}: {page}"
            assert place in known.get(path, ()), f"{name}: there is no {page}"


@holds("labkit/embedded/marathon/FIDELITY.md#faithful")
def test_no_page_is_kept_that_nobody_names() -> None:
    named = {page for suite in SUITES for _, pages in cases(Path(__file__).parent.parent / suite) for page in pages}
    assert {f"{path}#{place}" for path, of_page in places().items() for place in of_page} == named
