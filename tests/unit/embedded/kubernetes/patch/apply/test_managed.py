"""managedFields after writes that are no apply."""

import copy

import pytest

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.patch.apply import managed
from labkit.embedded.kubernetes.patch.apply.managed import update
from tests.unit.embedded.kubernetes.patch.apply.making import LATER, LATEST, NOW, deployment, managers, times, with_spec

DEPLOYMENTS = kinds.DEPLOYMENTS


def created(obj=None, manager="kubectl-create"):
    return update(DEPLOYMENTS, None, obj or deployment(), manager, now=NOW)


def test_a_create_owns_what_it_said_with_dots_only_where_go_has_nothing():
    # As kubectl create deployment leaves it on a real cluster.
    obj = deployment(
        {"name": "nginx", "image": "nginx", "resources": {}, "terminationMessagePolicy": "File"},
        labels={"app": "web"},
        replicas=1,
        strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
    )
    (entry,) = created(obj)["metadata"]["managedFields"]
    assert list(entry) == ["manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1"]
    assert entry == {
        "manager": "kubectl-create",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": NOW,
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {
                "f:replicas": {},
                "f:selector": {},
                "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}, "f:type": {}},
                "f:template": {
                    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {
                        "f:containers": {
                            'k:{"name":"nginx"}': {
                                ".": {}, "f:image": {}, "f:name": {}, "f:resources": {},
                                "f:terminationMessagePolicy": {},
                            }
                        }
                    },
                },
            },
        },
    }  # fmt: skip


def test_what_the_server_keeps_belongs_to_nobody():
    obj = {"metadata": {"name": "a", "namespace": "b", "uid": "c", "generateName": "d", "generation": 1}, "data": {}}
    (entry,) = update(kinds.CONFIG_MAPS, None, obj, "m", now=NOW)["metadata"]["managedFields"]
    assert entry["fieldsV1"] == {"f:data": {}, "f:metadata": {"f:generateName": {}}}


def test_nothing_to_own_is_no_entry():
    obj = {"metadata": {"name": "a"}}
    assert update(kinds.CONFIG_MAPS, None, obj, "m", now=NOW) is obj


def test_ports_without_a_protocol_are_told_apart_as_tcp():
    obj = created(deployment({"name": "a", "image": "i", "ports": [{"containerPort": 80}]}))
    containers = managers(obj)["kubectl-create", "Update", ""]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert list(containers['k:{"name":"a"}']["f:ports"]) == [".", 'k:{"containerPort":80,"protocol":"TCP"}']


def test_whoever_changes_a_field_has_it_alone():
    old = created(deployment(replicas=1))
    new = update(DEPLOYMENTS, old, with_spec(old, replicas=2), "kubectl-scale", now=LATER)
    found = managers(new)
    assert found["kubectl-scale", "Update", ""] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in found["kubectl-create", "Update", ""]["f:spec"]
    assert times(new) == {"kubectl-create": NOW, "kubectl-scale": LATER}


def test_one_manager_gathers_its_fields():
    old = created(deployment(replicas=1))
    new = update(DEPLOYMENTS, old, with_spec(old, replicas=2, minReadySeconds=3), "kubectl-create", now=LATER)
    assert {"f:replicas", "f:minReadySeconds", "f:selector"} <= set(
        managers(new)["kubectl-create", "Update", ""]["f:spec"]
    )
    assert times(new) == {"kubectl-create": LATER}


def test_what_is_taken_away_is_nobodys_and_time_stays():
    old = created(deployment(replicas=1))
    spec = {key: value for key, value in old["spec"].items() if key != "replicas"}
    new = update(DEPLOYMENTS, old, {**old, "spec": spec}, "other", now=LATER)
    assert set(managers(new)) == {("kubectl-create", "Update", "")}
    assert "f:replicas" not in managers(new)["kubectl-create", "Update", ""]["f:spec"]
    assert times(new) == {"kubectl-create": NOW}


def test_a_write_that_changes_nothing_leaves_the_entries_as_they_are():
    old = created()
    assert update(DEPLOYMENTS, old, copy.deepcopy(old), "other", now=LATER) == old
    assert update(DEPLOYMENTS, old, {**old}, "other", now=LATER)["metadata"] is old["metadata"]


def test_a_status_is_written_by_its_sub_resource_only():
    old = created()
    new = {**old, "status": {"replicas": 1, "conditions": [{"type": "Available", "status": "True"}]}}
    assert update(DEPLOYMENTS, old, new, "m", now=LATER)["metadata"] == old["metadata"]
    found = managers(update(DEPLOYMENTS, old, new, "m", subresource="status", now=LATER))
    assert found["m", "Update", "status"] == {
        "f:status": {
            "f:conditions": {".": {}, 'k:{"type":"Available"}': {".": {}, "f:status": {}, "f:type": {}}},
            "f:replicas": {},
        }
    }


@pytest.mark.parametrize("given", [[], [{}]])
def test_a_reset_forgets_everything_until_somebody_applies(given):
    old = created()
    reset = {**old, "metadata": {**old["metadata"], "managedFields": given}}
    new = update(DEPLOYMENTS, old, reset, "m", now=LATER)
    assert "managedFields" not in new["metadata"]
    again = update(DEPLOYMENTS, new, with_spec(new, replicas=7), "m", now=LATER)
    assert "managedFields" not in again["metadata"]


def test_entries_that_come_with_a_write_replace_the_old_ones_if_they_are_sound():
    old = created()
    (entry,) = old["metadata"]["managedFields"]
    mine = {**entry, "manager": "migrated", "operation": "Apply"}
    new = update(DEPLOYMENTS, old, {**old, "metadata": {**old["metadata"], "managedFields": [mine]}}, "m", now=LATER)
    assert set(managers(new)) == {("migrated", "Apply", "")}
    for wrong in ({**mine, "operation": "X"}, {**mine, "fieldsV1": {"x": 1}}, {"manager": "q"}, 7):
        broken = {**old, "metadata": {**old["metadata"], "managedFields": [wrong]}}
        assert set(managers(update(DEPLOYMENTS, old, broken, "m", now=LATER))) == {("kubectl-create", "Update", "")}


def test_a_sub_resource_does_not_bring_entries():
    old = created()
    new = {**old, "metadata": {**old["metadata"], "managedFields": []}, "status": {"replicas": 1}}
    found = managers(update(DEPLOYMENTS, old, new, "m", subresource="status", now=LATER))
    assert set(found) == {("kubectl-create", "Update", ""), ("m", "Update", "status")}


def test_at_most_ten_updaters():
    obj = created(deployment(labels={}))
    for number in range(15):
        labels = {**obj["metadata"]["labels"], f"l{number}": "1"}
        new = {**obj, "metadata": {**obj["metadata"], "labels": labels}}
        obj = update(DEPLOYMENTS, obj, new, f"m{number:02}", now=f"2026-01-01T00:10:{number:02}Z")
    entries = obj["metadata"]["managedFields"]
    assert len(entries) == managed.MAX_UPDATERS
    assert [one["manager"] for one in entries] == [managed.ANCIENT, *(f"m{number:02}" for number in range(6, 15))]
    assert "f:spec" in entries[0]["fieldsV1"]
    assert set(entries[0]["fieldsV1"]["f:metadata"]["f:labels"]) >= {"f:l0", "f:l5"}


def test_appliers_come_first_then_the_oldest():
    entries = [
        managed.entry("b", "Update", "v1", "", NOW, {}),
        managed.entry("a", "Update", "v1", "", LATER, {}),
        managed.entry("z", "Apply", "v1", "", LATEST, {}),
    ]
    assert [one["manager"] for one in sorted(entries, key=managed.order)] == ["z", "b", "a"]


def test_a_manager_without_a_name_is_unknown():
    assert set(managers(created(manager=""))) == {("unknown", "Update", "")}


def pod(name, address):
    return {
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "i", "env": [{"name": "N", "value": name}]}]},
        "status": {"podIPs": [{"ip": address}]},
    }


def test_alike_objects_share_their_sets():
    one, two = (update(kinds.PODS, None, pod(name, "1.2.3.4"), "m", now=NOW) for name in ("p", "q"))
    assert one["metadata"]["managedFields"] is two["metadata"]["managedFields"]
    later = update(kinds.PODS, None, pod("r", "1.2.3.4"), "m", now=LATER)
    assert later["metadata"]["managedFields"][0]["fieldsV1"] is one["metadata"]["managedFields"][0]["fieldsV1"]
    loaded = managed.share(copy.deepcopy(one))
    assert loaded == one
    assert loaded["metadata"]["managedFields"][0]["fieldsV1"] is one["metadata"]["managedFields"][0]["fieldsV1"]


def test_nothing_is_changed():
    old = created(deployment(replicas=1))
    before = copy.deepcopy(old)
    new = with_spec(old, replicas=2)
    given = copy.deepcopy(new)
    update(DEPLOYMENTS, old, new, "other", now=LATER)
    assert (old, new) == (before, given)


def test_items_that_come_twice_make_a_list_one_thing():
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    obj = created(deployment({"name": "a", "image": "i", "env": env}))
    template = managers(obj)["kubectl-create", "Update", ""]["f:spec"]["f:template"]
    assert template["f:spec"]["f:containers"]['k:{"name":"a"}']["f:env"] == {}
