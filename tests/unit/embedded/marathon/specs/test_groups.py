"""Trees of groups: ids, updates, scaling, dependencies, and what only the whole can get wrong."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.embedded.marathon.specs import (
    AppRejected,
    Config,
    Conflict,
    Group,
    Malformed,
    NoSuchGroup,
    RollBack,
    empty_root,
    parse_app,
    paths,
    prepare,
    update_enforce_role,
    update_group,
)
from labkit.embedded.marathon.specs.dependencies import edges, has_cycle, layers

CONFIG = Config()
Json = dict[str, Any]


def app(id: str, **fields: Any) -> Json:
    return {"id": id, "cmd": "sleep 1", **fields}


def put(data: Json, root: Group | None = None, group: str = "/", *, create: bool = False) -> Group:
    root = root or empty_root("v0")
    changed = update_group(group, data, root, CONFIG, "v1", create=create)
    assert isinstance(changed, Group)
    return prepare(root, changed, "v1", CONFIG)


SHOP: Json = {
    "id": "/shop",
    "groups": [
        {"id": "db", "apps": [app("mysql", instances=2)]},
        {"id": "web", "dependencies": ["../db"], "apps": [app("front", dependencies=["back"]), app("back")]},
    ],
}


def details(data: Json, root: Group | None = None, group: str = "/") -> list[tuple[str, str]]:
    with pytest.raises(AppRejected) as caught:
        put(data, root, group)
    return caught.value.details


def test_a_tree_is_made() -> None:
    root = put(SHOP)
    assert set(root.all_apps) == {"/shop/db/mysql", "/shop/web/front", "/shop/web/back"}
    assert root.all_apps["/shop/web/front"].dependencies == {"/shop/web/back"}
    web = root.group("/shop/web")
    assert web is not None
    assert web.dependencies == {"/shop/db"}
    assert {group.version for group in root.all_groups()} == {"v1"}
    assert Group.from_json(root.to_json()).all_apps == root.all_apps


def test_what_is_not_named_goes() -> None:
    root = put({"groups": [{"id": "db", "apps": [app("mysql")]}]}, put(SHOP), "/shop")
    assert set(root.all_apps) == {"/shop/db/mysql"}
    assert root.group("/shop/web") is None


def test_what_is_not_mentioned_stays() -> None:
    root = put({"dependencies": ["/x"]}, put(SHOP), "/shop")
    assert len(root.all_apps) == 3


def test_other_groups_are_left_alone() -> None:
    root = put({"id": "/other", "apps": [app("a")]}, put(SHOP))
    assert len(root.all_apps) == 4


def test_a_group_is_scaled() -> None:
    root = put({"scaleBy": 1.5}, put(SHOP), "/shop")
    assert {key: each.instances for key, each in root.all_apps.items()} == {
        "/shop/db/mysql": 3,
        "/shop/web/front": 2,
        "/shop/web/back": 2,
    }
    assert root.all_apps["/shop/db/mysql"].config_version == "v1"


@pytest.mark.parametrize("by", [20_001, 1e300])
def test_a_group_is_not_scaled_beyond_what_an_engine_holds(by: float) -> None:
    with pytest.raises(AppRejected) as caught:
        put({"scaleBy": by}, put(SHOP), "/shop")
    assert caught.value.details == [("/scaleBy", "instances must not be more than 20000 on the embedded engine")]


def test_an_older_version_of_a_group() -> None:
    version = "2021-07-27T20:40:33.123Z"
    assert update_group("/shop", {"version": version}, put(SHOP), CONFIG, "v2") == RollBack("/shop", version)


def test_making_one_that_is_there() -> None:
    root = put(SHOP, create=True)
    with pytest.raises(Conflict, match=r"Group /shop is already created. Use PUT to change this group\."):
        put(SHOP, root, create=True)
    with pytest.raises(Conflict, match=r"An app with the path /shop/db/mysql already exists\."):
        put({"id": "/shop/db/mysql"}, root, create=True)


@pytest.mark.parametrize(
    ("data", "path", "error"),
    [
        ({"id": "/a", "scaleBy": 2, "apps": []}, "/scaleBy", "not allowed in conjunction with other properties."),
        (
            {"id": "/a", "version": "2021-07-27T20:40:33.123Z"},
            "/version",
            "not allowed in conjunction with other properties.",
        ),
        (
            {"id": "/a/b", "enforceRole": True},
            "/enforceRole",
            "enforceRole can only be set for top-level groups, and /a/b is not top-level",
        ),
        ({"id": "/a", "dependencies": ["/b", "/c/tasks"]}, "/dependencies(1)", paths.RESERVED_WORD),
        ({"id": "/a", "apps": [app("/b/c")]}, "/apps(0)/id", "Identifier is not child of '/a'"),
        ({"id": "/a", "apps": [app("b/c")]}, "/apps(0)/id", "Identifier is not child of '/a'"),
        ({"id": "/a", "groups": [{"apps": []}]}, "/groups(0)/id", "not defined"),
        ({"id": "/a", "groups": [{"id": "/b"}]}, "/groups(1)", "Group has to be child of groups with parent id"),
        (
            {"id": "/a", "apps": [app("b")], "groups": [{"id": "b", "apps": [app("c")]}]},
            "/groups(0)",
            "Groups and Applications may not have the same identifier.",
        ),
        (
            {"id": "/a", "apps": [app("b", dependencies=["c"]), app("c", dependencies=["b"])]},
            "/",
            "Dependency graph has cyclic dependencies.",
        ),
        (
            {
                "groups": [
                    {"id": "a", "dependencies": ["/b"], "apps": [app("x")]},
                    {"id": "b", "apps": [app("y", dependencies=["/a/x"])]},
                ]
            },
            "/",
            "Dependency graph has cyclic dependencies.",
        ),
        ({"id": "/a", "apps": [app("b", cmd="x")]}, "/", "must not be an empty string"),
    ],
)
def test_refused_groups(data: Json, path: str, error: str) -> None:
    assert (path, error) in details(data)


def test_wrong_types_in_groups() -> None:
    with pytest.raises(Malformed) as caught:
        put({"groups": [{"id": "a", "apps": [app("b", cpus="x")]}]})
    assert caught.value.details == [("/groups(0)/apps(0)/cpus", "error.expected.jsnumber")]


def test_roles_are_not_changed_along_with_services() -> None:
    errors = details({"enforceRole": True, "apps": []}, put(SHOP), "/shop")
    assert errors[0][0] == "/enforceRole"
    root = update_enforce_role("/shop", {"enforceRole": True}, put(SHOP), CONFIG)
    shop = root.group("/shop")
    assert shop is not None
    assert shop.enforce_role is True
    with pytest.raises(NoSuchGroup):
        update_enforce_role("/nope", {}, root, CONFIG)
    with pytest.raises(AppRejected):
        update_enforce_role("/shop/db", {}, root, CONFIG)


def test_a_new_group_lends_its_name_to_its_apps() -> None:
    nested = {"id": "x", "apps": [app("b")]}
    root = put({"id": "/dev", "enforceRole": True, "apps": [app("a")], "groups": [nested]})
    assert {each.role for each in root.all_apps.values()} == {"dev"}
    assert {each.role for each in put({"id": "/dev", "apps": [app("a")]}).all_apps.values()} == {"*"}
    again = put({"id": "/dev", "apps": [app("a"), app("c")]}, root)
    assert {each.role for each in again.all_apps.values()} == {"dev"}


def test_an_app_where_a_group_is() -> None:
    root = put(SHOP)
    with pytest.raises(AppRejected, match="same identifier"):
        prepare(root, root.with_app(parse_app(app("/shop/db"), root, CONFIG, "v2"), "v2"), "v2", CONFIG)
    empty = put({"id": "/shop", "groups": [{"id": "db"}]})
    changed = empty.with_app(parse_app(app("/shop/db"), empty, CONFIG, "v2"), "v2")
    assert prepare(empty, changed, "v2", CONFIG).group("/shop/db") is None, "an empty group gives way"


def test_removing() -> None:
    root = put(SHOP)
    assert set(root.without_app("/shop/db/mysql", "v2").all_apps) == {"/shop/web/front", "/shop/web/back"}
    assert root.without_app("/shop/db/mysql", "v2").group("/shop/db") is not None
    assert set(root.without_group("/shop/web", "v2").all_apps) == {"/shop/db/mysql"}
    assert root.without_app("/nope", "v2").all_apps == root.all_apps


def test_apps_that_do_not_change_stay_the_same_objects() -> None:
    """What costs time is only what has changed."""
    root = put(SHOP)
    after = put({"id": "/other", "apps": [app("a")]}, root)
    assert all(after.all_apps[key] is each for key, each in root.all_apps.items())


def test_dependencies_in_layers() -> None:
    root = put(SHOP)
    assert edges(root)["/shop/web/front"] == {"/shop/web/back", "/shop/db/mysql"}
    assert layers(root, set(root.all_apps)) == [["/shop/db/mysql"], ["/shop/web/back"], ["/shop/web/front"]]
    assert layers(root, {"/shop/web/front"}) == [["/shop/web/front"]]
    assert not has_cycle(root)


def test_a_very_long_chain() -> None:
    apps = [app(f"a{n}", dependencies=[f"a{n + 1}"] if n < 1500 else []) for n in range(1501)]
    root = put({"id": "/g", "apps": apps})
    assert len(layers(root, set(root.all_apps))) == 1501


@pytest.mark.parametrize(
    ("path", "parent", "safe", "hostname"),
    [("/", "/", "", ""), ("/a", "/", "a", "a"), ("/a/b-c.d", "/a", "a_b-c.d", "b-c.d.a")],
)
def test_paths(path: str, parent: str, safe: str, hostname: str) -> None:
    assert (paths.parent(path), paths.safe(path), paths.hostname(path)) == (parent, safe, hostname)
    assert paths.from_safe(safe) == path
