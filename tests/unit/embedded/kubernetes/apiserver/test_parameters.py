"""Parameters of requests, in the words of a real API server (compared with kind)."""

from __future__ import annotations

import pytest

from labkit.embedded.kubernetes.apiserver.parameters import (
    ListParameters,
    Query,
    list_parameters,
    manager_of,
    write_parameters,
)
from labkit.embedded.kubernetes.errors import StatusError


def test_flags_and_numbers_are_read_as_go_reads_them() -> None:
    query = Query("a=&b=false&c=0&d=foo&e=1&n=5&x=y")
    assert [query.flag(name) for name in "abcdef"] == [True, False, False, True, True, False]
    assert query.number("n") == 5
    assert query.number("nope") is None
    with pytest.raises(StatusError, match=r'^strconv.ParseInt: parsing "y": invalid syntax$'):
        query.number("x")


def test_lists() -> None:
    assert list_parameters(Query("")) == ListParameters()
    found = list_parameters(Query("labelSelector=a%3Db&limit=5&watch=true&allowWatchBookmarks=true&resourceVersion=7"))
    assert found == ListParameters(labels="a=b", limit=5, watch=True, bookmarks=True, version="7")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (
            "resourceVersionMatch=Exact",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            "resourceVersionMatch=Foo&resourceVersion=1",
            'resourceVersionMatch: Unsupported value: "Foo": supported values: "Exact", "NotOlderThan", ""',
        ),
        ("sendInitialEvents=true", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
        (
            "watch=1&sendInitialEvents=true",
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
    ],
)
def test_what_does_not_go_together(query: str, words: str) -> None:
    with pytest.raises(StatusError) as caught:
        list_parameters(Query(query))
    assert caught.value.code == 422
    assert caught.value.message == f'ListOptions.meta.k8s.io "" is invalid: {words}'


@pytest.mark.parametrize(
    ("query", "kind", "apply", "words"),
    [
        ("dryRun=Foo", "CreateOptions", False, 'dryRun: Unsupported value: []string{"Foo"}: supported values: "All"'),
        ("force=true", "PatchOptions", False, "force: Forbidden: may not be specified for non-apply patch"),
        ("", "PatchOptions", True, "fieldManager: Required value: is required for apply patch"),
        (
            "fieldValidation=Foo",
            "UpdateOptions",
            False,
            'fieldValidation: Unsupported value: "Foo": supported values: "", "Ignore", "Strict", "Warn"',
        ),
    ],
)
def test_writes_that_are_asked_for_wrongly(query: str, kind: str, apply: bool, words: str) -> None:
    with pytest.raises(StatusError) as caught:
        write_parameters(Query(query), kind, "kubectl/v1", apply=apply)
    assert caught.value.message == f'{kind}.meta.k8s.io "" is invalid: {words}'


def test_the_manager_is_the_user_agent_unless_it_is_named() -> None:
    assert manager_of("kubectl/v1.36.1 (linux/amd64)") == "kubectl"
    assert manager_of("") == ""
    assert write_parameters(Query("fieldManager=me"), "CreateOptions", "kubectl/v1").manager == "me"
    assert write_parameters(Query(""), "CreateOptions", "curl/8").manager == "curl"
