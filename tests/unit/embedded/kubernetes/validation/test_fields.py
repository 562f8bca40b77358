"""Words of field errors."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.kubernetes.errors import Cause
from labkit.embedded.kubernetes.validation import fields
from labkit.embedded.kubernetes.validation.difference import difference

CASES: list[tuple[Cause, str, str]] = [
    (fields.required("a.b"), "FieldValueRequired", "a.b: Required value"),
    (fields.required("a", "why"), "FieldValueRequired", "a: Required value: why"),
    (fields.invalid("a", "x", "why"), "FieldValueInvalid", 'a: Invalid value: "x": why'),
    (fields.invalid("a", 5), "FieldValueInvalid", "a: Invalid value: 5"),
    (fields.unsupported("a", "x", ("y", "z")), "FieldValueNotSupported",
     'a: Unsupported value: "x": supported values: "y", "z"'),
    (fields.duplicate("a", "x"), "FieldValueDuplicate", 'a: Duplicate value: "x"'),
    (fields.not_found("a", "x"), "FieldValueNotFound", 'a: Not found: "x"'),
    (fields.forbidden("a", "why"), "FieldValueForbidden", "a: Forbidden: why"),
    (fields.too_long("a", 10), "FieldValueTooLong", "a: Too long: may not be more than 10 bytes"),
    (fields.too_many("a", 3, 1), "FieldValueTooMany", "a: Too many: 3: must have at most 1 item"),
]  # fmt: skip

SHOWN: list[tuple[Any, str]] = [
    ("", '""'),
    ('a"b\\c\n\t\x00é', r'"a\"b\\c\n\t\x00é"'),
    (None, "null"),
    (True, "true"),
    ({"b": "1", "a": "2"}, '{"a":"2","b":"1"}'),
    ({"matchExpressions": [], "matchLabels": {"a": "b"}}, '{"matchLabels":{"a":"b"},"matchExpressions":[]}'),
    (["x"], '["x"]'),
]


@pytest.mark.parametrize(("cause", "reason", "text"), CASES)
def test_words(cause: Cause, reason: str, text: str) -> None:
    assert (cause.reason, str(cause)) == (reason, text)


@pytest.mark.parametrize(("value", "text"), SHOWN)
def test_values_are_shown_as_go_prints_them(value: Any, text: str) -> None:
    assert fields.shown(value) == text


def test_a_difference_counts_what_is_the_same() -> None:
    old = {"a": 1, "b": 2, "dnsPolicy": "ClusterFirst", "c": 3}
    new = {**old, "dnsPolicy": "Default", "hostname": "x"}
    assert difference(old, new, "core.PodSpec").splitlines() == [
        "  core.PodSpec{",
        "  \t... // 2 identical fields",
        '- \tDNSPolicy: "ClusterFirst",',
        '+ \tDNSPolicy: "Default",',
        "  \t... // 1 identical field",
        "- \tHostname: nil,",
        '+ \tHostname: "x",',
        "  }",
    ]
