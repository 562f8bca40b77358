from labkit.embedded.kubernetes.controllers.templates import HASH_LABEL, same_template, template_hash, without_hash
from labkit.embedded.kubernetes.objects import Json

TEMPLATE: Json = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}


def labelled(digest: str) -> Json:
    return {**TEMPLATE, "metadata": {"labels": {"app": "web", HASH_LABEL: digest}}}


def test_a_hash_is_a_word_of_the_safe_alphabet_and_always_the_same() -> None:
    digest = template_hash(TEMPLATE)
    assert set(digest) <= set("bcdfghjklmnpqrstvwxz2456789")
    assert digest == template_hash({"spec": TEMPLATE["spec"], "metadata": TEMPLATE["metadata"]})
    assert digest != template_hash({**TEMPLATE, "spec": {}})


def test_each_collision_gives_another_hash() -> None:
    assert len({template_hash(TEMPLATE, collisions) for collisions in (None, 0, 1, 2)}) == 4


def test_templates_are_the_same_whatever_hash_they_carry() -> None:
    assert same_template(TEMPLATE, labelled("x"))
    assert same_template(labelled("y"), labelled("x"))
    assert not same_template(TEMPLATE, {**TEMPLATE, "metadata": {"labels": {"app": "other"}}})
    assert without_hash(labelled("x")) == TEMPLATE
    assert HASH_LABEL in labelled("x")["metadata"]["labels"]
