"""Deployments: steps, locks, and how they are undone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.embedded.marathon.planning import conflicts, plan, plan_json, revert, step_info_json
from labkit.embedded.marathon.planning.plans import DeploymentPlan
from labkit.embedded.marathon.specs import Config, Group, SpecError, empty_root, prepare, update_group

Json = dict[str, Any]
CONFIG = Config()


def root(*apps: Json, base: Group | None = None, version: str = "v1") -> Group:
    """All apps as one update of the root group. Ids are absolute."""
    before = base or empty_root("v0")
    groups: dict[str, list[Json]] = {}
    for each in apps:
        group, name = each["id"].rsplit("/", 1)
        groups.setdefault(group or "/", []).append({"cmd": "sleep 1", **each, "id": name})
    data: Json = {"apps": groups.pop("/", []), "groups": [{"id": key, "apps": found} for key, found in groups.items()]}
    changed = update_group("/", data, before, CONFIG, version)
    assert isinstance(changed, Group)
    return prepare(before, changed, version, CONFIG)


def steps(found: DeploymentPlan) -> list[list[tuple[str, str]]]:
    return [
        [(action.name.removesuffix("Application"), action.app.id) for action in step.actions] for step in found.steps
    ]


def between(before: Group, after: Group, **more: Any) -> DeploymentPlan:
    return plan(before, after, after.version, "id", **more)


ONE = root({"id": "/a", "instances": 2})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"instances": 3}, [[("Scale", "/a")]]),
        ({"cmd": "sleep 2"}, [[("Restart", "/a")]]),
        ({"cmd": "sleep 2", "instances": 3}, [[("Restart", "/a")]]),
        ({"cmd": "sleep 2", "instances": 0}, [[("Scale", "/a")]]),
        ({}, []),
    ],
)
def test_one_app_changes(change: Json, expected: list[list[tuple[str, str]]]) -> None:
    after = root({"id": "/a", "instances": 2, **change}, base=ONE, version="v2")
    found = between(ONE, after)
    assert steps(found) == expected
    assert found.is_empty is (not expected)


def test_a_new_app_is_started_with_nothing_and_scaled() -> None:
    found = between(empty_root("v0"), ONE)
    assert steps(found) == [[("Start", "/a")], [("Scale", "/a")]]
    assert [action.scale_to for step in found.steps for action in step.actions] == [0, 2]


def test_what_is_gone_is_stopped_first() -> None:
    after = root({"id": "/b"}, base=ONE, version="v2")
    assert steps(between(ONE, after)) == [[("Stop", "/a")], [("Start", "/b")], [("Scale", "/b")]]


def test_a_restart_by_hand() -> None:
    app = ONE.all_apps["/a"]
    after = prepare(ONE, ONE.with_app(app.marked_for_restart(), "v2"), "v2", CONFIG)
    assert steps(between(ONE, after)) == [[("Restart", "/a")]]


def test_whom_to_kill_while_scaling() -> None:
    after = root({"id": "/a", "instances": 1}, base=ONE, version="v2")
    found = between(ONE, after, to_kill={"/a": ["i1"]})
    assert found.steps[0].actions[0].to_kill == ("i1",)


def test_dependencies_come_first() -> None:
    apps: list[Json] = [
        {"id": "/g/web", "dependencies": ["back", "/db"]},
        {"id": "/g/back", "dependencies": ["/db"]},
        {"id": "/db"},
    ]
    after = root(*apps)
    found = between(empty_root("v0"), after)
    assert steps(found)[1:] == [[("Scale", "/db")], [("Scale", "/g/back")], [("Scale", "/g/web")]]
    changed = root(*[{**each, "cmd": "sleep 9"} for each in apps[:1]], *apps[1:], base=after, version="v2")
    assert steps(between(after, changed)) == [[("Restart", "/g/web")]]


def test_as_the_api_shows_it() -> None:
    found = between(empty_root("v0"), ONE)
    shown = step_info_json(found, 2, {"/a": [{"name": "ready"}]})
    assert shown == {
        "id": "id",
        "version": "v1",
        "affectedApps": ["/a"],
        "affectedPods": [],
        "steps": [
            {"actions": [{"action": "StartApplication", "app": "/a"}]},
            {"actions": [{"action": "ScaleApplication", "app": "/a"}]},
        ],
        "currentActions": [
            {"action": "ScaleApplication", "app": "/a", "readinessCheckResults": [{"name": "ready"}]},
        ],
        "currentStep": 2,
        "totalSteps": 2,
    }
    assert step_info_json(found, 0)["currentActions"] == []
    assert plan_json(found) == {"id": "id", "version": "v1", "steps": shown["steps"]}


def test_locks() -> None:
    both = root({"id": "/a"}, {"id": "/b"})
    a = plan(both, root({"id": "/a", "instances": 2}, {"id": "/b"}, base=both, version="v2"), "v2", "pa")
    b = plan(both, root({"id": "/a"}, {"id": "/b", "instances": 2}, base=both, version="v2"), "v2", "pb")
    again = plan(both, root({"id": "/a", "instances": 3}, {"id": "/b"}, base=both, version="v3"), "v3", "pc")
    assert conflicts(again, [a, b]) == [a]
    assert conflicts(a, [a, b]) == []


# -- undoing


def test_the_original_comes_back() -> None:
    after = root({"id": "/a", "cmd": "sleep 9"}, {"id": "/new/b"}, base=ONE, version="v2")
    back = revert(between(ONE, after), after, "v3")
    assert back.all_apps == ONE.all_apps
    assert back.group("/new") is None


def test_others_are_left_alone() -> None:
    before = root({"id": "/g/a"})
    after = root({"id": "/g/a", "cmd": "sleep 9"}, {"id": "/h/b"}, base=before, version="v2")
    meanwhile = root({"id": "/g/a", "cmd": "sleep 9"}, {"id": "/h/b"}, {"id": "/h/c"}, base=after, version="v3")
    back = revert(between(before, after), meanwhile, "v4")
    assert set(back.all_apps) == {"/g/a", "/h/c"}
    assert back.all_apps["/g/a"] == before.all_apps["/g/a"]


def test_dependencies_of_groups_are_taken_back() -> None:
    before = root({"id": "/g/a"}, {"id": "/h/b"})
    after = before.with_dependencies("/g", frozenset({"/h"}), "v2")
    meanwhile = after.with_dependencies("/g", frozenset({"/h", "/i"}), "v3")
    back = revert(between(before, after), meanwhile, "v4").group("/g")
    assert back is not None
    assert back.dependencies == {"/i"}


def test_a_group_that_was_removed_comes_back() -> None:
    before = root({"id": "/g/a"})
    after = before.without_group("/g", "v2")
    assert set(revert(between(before, after), after, "v3").all_apps) == {"/g/a"}


apps_strategy = st.dictionaries(
    st.sampled_from(["/a", "/g/a", "/g/b", "/h/c"]),
    st.tuples(
        st.sampled_from(["sleep 1", "sleep 2"]),
        st.integers(0, 2),
        st.sets(st.sampled_from(["/a", "/g/a", "/g", "/h/c"]), max_size=2),
    ),
    max_size=4,
)


def made(spec: dict[str, tuple[str, int, set[str]]], base: Group, version: str) -> Group | None:
    try:
        return root(
            *[
                {"id": key, "cmd": cmd, "instances": count, "dependencies": sorted(needed)}
                for key, (cmd, count, needed) in spec.items()
            ],
            base=base,
            version=version,
        )
    except SpecError:
        return None  # a cycle


@settings(max_examples=120, deadline=None)
@given(apps_strategy, apps_strategy)
def test_plans(first: Any, second: Any) -> None:
    before = made(first, empty_root("v0"), "v1")
    after = made(second, before, "v2") if before is not None else None
    if before is None or after is None:
        return
    found = between(before, after)
    actions = [action for step in found.steps for action in step.actions]
    assert all(step.actions for step in found.steps)
    one, two = before.all_apps, after.all_apps
    # Who is gone is stopped, who is new is started, who is the same is left alone.
    assert {a.app.id for a in actions if a.name == "StopApplication"} == set(one) - set(two)
    assert {a.app.id for a in actions if a.name == "StartApplication"} == set(two) - set(one)
    same = {key for key in one.keys() & two.keys() if one[key] == two[key]}
    assert same.isdisjoint(found.affected)
    # Nobody is scaled or restarted before those that it needs.
    order = {a.app.id: n for n, step in enumerate(found.steps) for a in step.actions if a.name[:2] in ("Sc", "Re")}
    for key in order:
        for needed in two[key].dependencies & order.keys():
            assert order[needed] < order[key]
    # Undone, the apps are as they were.
    assert revert(found, after, "v3").all_apps == one
