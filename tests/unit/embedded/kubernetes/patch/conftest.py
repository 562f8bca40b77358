"""Each test begins with an empty table of field sets: whether two are one object must not hang on what ran before."""

from __future__ import annotations

import pytest

from labkit.embedded.kubernetes.patch.apply import fieldsets, managed


@pytest.fixture(autouse=True)
def _no_sets_of_others() -> None:
    fieldsets.forget()
    managed._FIRST.clear()
    fieldsets.era += 1
