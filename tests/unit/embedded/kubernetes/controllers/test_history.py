from labkit.embedded.kubernetes.controllers import history
from labkit.embedded.kubernetes.objects import Json, name_of

OWNER: Json = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "agent", "namespace": "default", "uid": "u1", "annotations": {"a": "b"}},
    "spec": {"template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": []}}},
}


def revision(number: int, digest: str, spec: Json | None = None) -> Json:
    owner = OWNER if spec is None else {**OWNER, "spec": {"template": {"spec": spec}}}
    return history.new_revision(owner, number, digest)


def test_a_revision_is_a_patch_that_puts_the_template_back() -> None:
    made = history.new_revision(OWNER, 1, "abc")
    assert name_of(made) == "agent-abc"
    assert made["data"]["spec"]["template"] == {**OWNER["spec"]["template"], "$patch": "replace"}
    assert made["metadata"]["labels"] == {"app": "agent", history.HASH_LABEL: "abc"}
    assert made["metadata"]["annotations"] == {"a": "b"}


def test_the_current_one_is_found_by_its_template_and_twins_are_history() -> None:
    old, first, second = revision(1, "x", {"nodeName": "n"}), revision(2, "y"), revision(3, "z")
    current, others = history.split(OWNER, [second, old, first])
    assert current is second
    assert others == [old, first]
    assert history.split(OWNER, [old]) == (None, [old])
    assert history.next_number(others) == 3


def test_the_oldest_go_but_not_those_that_pods_still_have() -> None:
    old = [revision(number, f"h{number}", {"nodeName": str(number)}) for number in (3, 1, 2)]
    assert [one["revision"] for one in history.to_clean(old, 1, [])] == [1, 2]
    assert [one["revision"] for one in history.to_clean(old, 1, ["h1"])] == [2, 3]
    assert history.to_clean(old, 10, []) == []
