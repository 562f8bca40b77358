"""Whatever a client sends is either fine or refused: nothing else is ever raised, and nothing sent is changed."""

from __future__ import annotations

import copy

from hypothesis import given, settings

from labkit.embedded.kubernetes.defaults import set_defaults
from labkit.embedded.kubernetes.errors import StatusError
from labkit.embedded.kubernetes.kinds import Kind
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.schema.compile import checker
from labkit.embedded.kubernetes.validation import RULES, validate, validate_update
from tests.unit.embedded.kubernetes.samples import FINE, complete
from tests.unit.embedded.kubernetes.schema.test_compile import mutants


@settings(deadline=None, max_examples=500)
@given(mutants())
def test_any_object_gets_an_answer(case: tuple[Kind, Json]) -> None:
    kind, obj = case
    try:
        checked = checker(kind)(obj).obj
    except StatusError:
        return
    before = copy.deepcopy(checked)
    new = set_defaults(kind, checked)
    assert checked == before
    assert set_defaults(kind, new) is new
    for cause in validate(kind, new):
        assert cause.field
        assert cause.message
    old = complete(kind, FINE[kind])
    for subresource in ("", *RULES[kind].parts):
        validate_update(kind, new, old, subresource)
        validate_update(kind, old, new, subresource)
    assert checked == before
