from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes import selectors
from labkit.embedded.kubernetes.objects import Json
from labkit.embedded.kubernetes.selectors import Requirement, Selector, SelectorError
from labkit.embedded.kubernetes.selectortext import parse

NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)

KEYS = st.sampled_from(["a", "b", "app", "example.com/tier", "in", "notin"])
VALUES = st.sampled_from(["", "x", "y", "v1.2", "in", "3", "10"])
LABELS = st.dictionaries(KEYS, VALUES)
REQUIREMENTS = st.one_of(
    st.builds(lambda key, op, value: Requirement(key, op, (value,)), KEYS, st.sampled_from(["=", "==", "!="]), VALUES),
    st.builds(
        lambda key, op, values: Requirement(key, op, tuple(sorted(values))),
        KEYS,
        st.sampled_from(["in", "notin"]),
        st.sets(VALUES, min_size=1),
    ),
    st.builds(Requirement, KEYS, st.sampled_from(["exists", "!"])),
    st.builds(
        lambda key, op, value: Requirement(key, op, (str(value),)),
        KEYS,
        st.sampled_from(["gt", "lt"]),
        st.integers(0, 20),
    ),
)


class TestText:
    @pytest.mark.parametrize(
        ("text", "yes", "no"),
        [
            ("", [{}, {"a": "b"}], []),
            ("a=b", [{"a": "b"}, {"a": "b", "c": "d"}], [{}, {"a": "c"}]),
            ("a==b", [{"a": "b"}], [{}, {"a": "c"}]),
            ("a!=b", [{}, {"a": "c"}], [{"a": "b"}]),
            ("a", [{"a": ""}, {"a": "b"}], [{}, {"b": "a"}]),
            ("!a", [{}, {"b": "a"}], [{"a": ""}]),
            ("a in (b,c)", [{"a": "b"}, {"a": "c"}], [{}, {"a": "d"}]),
            ("a notin (b,c)", [{}, {"a": "d"}], [{"a": "b"}, {"a": "c"}]),
            ("a in ()", [{"a": ""}], [{}, {"a": "b"}]),
            ("a in (,b)", [{"a": ""}, {"a": "b"}], [{}, {"a": "c"}]),
            ("a=", [{"a": ""}], [{}, {"a": "b"}]),
            ("a=,b", [{"a": "", "b": "x"}], [{"a": ""}]),
            ("a>1", [{"a": "2"}], [{}, {"a": "1"}, {"a": "x"}]),
            ("a<10", [{"a": "9"}, {"a": "-5"}], [{}, {"a": "10"}]),
            ("a=b,c!=d , !e", [{"a": "b"}, {"a": "b", "c": "x"}], [{"a": "b", "c": "d"}, {"a": "b", "e": ""}]),
            ("in in (in)", [{"in": "in"}], [{}]),
            ("notin=in", [{"notin": "in"}], [{}]),
            ("example.com/a in (b)", [{"example.com/a": "b"}], [{"a": "b"}]),
        ],
    )
    def test_what_it_selects(self, text: str, yes: list[dict[str, str]], no: list[dict[str, str]]) -> None:
        selector = parse(text)
        assert [labels for labels in yes if not selector.matches(labels)] == []
        assert [labels for labels in no if selector.matches(labels)] == []

    # The first six as kind's API server said them.
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("a=,,b", "found ',', expected: identifier after ','"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("-a=x", f'unable to parse requirement: <nil>: Invalid value: "-a": {NAME_PART}'),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("=x", "found '=', expected: !, identifier, or 'end of string'"),
            ("a=b,", "found '', expected: identifier after ','"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
            ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
            ("a in (b,=)", "unable to parse requirement: found '=', expected: ',', or identifier"),
            ("a==,=", "found '=', expected: identifier after ','"),
            ("a=(", "unable to parse requirement: found '(', expected: identifier"),
            (
                "a>x",
                "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value "
                "must be an integer",
            ),
            (
                "a=-x",
                'unable to parse requirement: values[0][a]: Invalid value: "-x": a valid label must be an empty string '
                "or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
                "character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
                "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ),
            (f"{'x' * 64}=a", f'unable to parse requirement: <nil>: Invalid value: "{"x" * 64}": name part must be '
             "no more than 63 characters"),
            (f"a={'x' * 64}", f'unable to parse requirement: values[0][a]: Invalid value: "{"x" * 64}": must be no '
             "more than 63 characters"),
            ("a/b/c=x", 'unable to parse requirement: <nil>: Invalid value: "a/b/c": a qualified name must consist of'),
            ("/a=x", 'unable to parse requirement: <nil>: Invalid value: "/a": prefix part must be non-empty'),
            ("A.b/a=x", 'unable to parse requirement: <nil>: Invalid value: "A.b/a": prefix part a lowercase RFC 1123'),
        ],
    )  # fmt: skip
    def test_what_is_none(self, text: str, words: str) -> None:
        with pytest.raises(SelectorError) as caught:
            parse(text)
        assert str(caught.value).startswith(words)

    @given(st.lists(REQUIREMENTS, max_size=4), LABELS)
    def test_what_is_printed_reads_the_same(self, requirements: list[Requirement], labels: dict[str, str]) -> None:
        selector = Selector(requirements)
        again = parse(str(selector))
        assert again == selector
        assert hash(again) == hash(selector)
        assert again.matches(labels) == all(one.matches(labels) for one in requirements) == selector.matches(labels)

    @given(st.text(alphabet="ab=!<>(), in\t/-.", max_size=16))
    def test_any_text_is_a_selector_or_refused(self, text: str) -> None:
        try:
            selector = parse(text)
        except SelectorError:
            return
        assert parse(str(selector)) == selector


class TestObjects:
    def test_none_and_all(self) -> None:
        assert not selectors.of(None).matches({})
        assert selectors.of(None) == selectors.NOTHING
        assert selectors.of({}).matches({"a": "b"})
        assert selectors.of({}).empty
        assert not selectors.NOTHING.empty
        assert selectors.of_map(None).empty

    def test_both_parts_must_match(self) -> None:
        selector = {
            "matchLabels": {"app": "web"},
            "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}],
        }
        compiled = selectors.of(selector)
        for labels, yes in (
            ({"app": "web", "tier": "a"}, True),
            ({"app": "web", "tier": "c"}, False),
            ({"app": "web"}, False),
            ({"tier": "a"}, False),
        ):
            assert compiled.matches(labels) is selectors.matches(selector, labels) is yes
        assert str(compiled) == "app=web,tier in (a,b)"
        assert compiled.selects({"metadata": {"labels": {"app": "web", "tier": "b"}}})
        assert not compiled.selects({"metadata": {}})

    @given(
        st.dictionaries(KEYS, VALUES, max_size=2),
        st.lists(
            st.one_of(
                st.builds(
                    lambda key, operator, values: {"key": key, "operator": operator, "values": values},
                    KEYS,
                    st.sampled_from(["In", "NotIn"]),
                    st.lists(VALUES, min_size=1, max_size=3),
                ),
                st.builds(
                    lambda key, operator: {"key": key, "operator": operator},
                    KEYS,
                    st.sampled_from(["Exists", "DoesNotExist"]),
                ),
            ),
            max_size=3,
        ),
        LABELS,
    )
    def test_once_or_compiled(self, wanted: dict[str, str], expressions: list[Json], labels: dict[str, str]) -> None:
        selector: dict[str, Any] = {"matchLabels": wanted, "matchExpressions": expressions}
        assert selectors.of(selector).matches(labels) == selectors.matches(selector, labels)

    @pytest.mark.parametrize(
        ("expression", "words"),
        [
            ({"key": "a", "operator": "Gt", "values": ["1"]}, '"Gt" is not a valid label selector operator'),
            (
                {"key": "a", "operator": "In"},
                "values: Invalid value: []: for 'in', 'notin' operators, values set can't be",
            ),
            (
                {"key": "a", "operator": "Exists", "values": ["x"]},
                'values: Invalid value: ["x"]: values set must be empty',
            ),
            ({"key": "-", "operator": "Exists"}, f'key: Invalid value: "-": {NAME_PART}'),
        ],
    )
    def test_what_is_none(self, expression: Json, words: str) -> None:
        with pytest.raises(SelectorError) as caught:
            selectors.of({"matchExpressions": [expression]})
        assert str(caught.value).startswith(words)

    def test_nodes_have_numbers(self) -> None:
        selector = selectors.of_node([{"key": "cores", "operator": "Gt", "values": ["4"]}])
        assert selector.matches({"cores": "8"})
        assert not selector.matches({"cores": "4"})
        assert not selector.matches({})
