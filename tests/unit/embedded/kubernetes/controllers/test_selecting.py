"""Selections against what looking through everything finds."""

from __future__ import annotations

import random

from labkit.embedded.kubernetes import selectors
from labkit.embedded.kubernetes.controllers.selecting import Selections
from labkit.embedded.kubernetes.objects import Json, Key, key_of, labels_of
from labkit.embedded.kubernetes.selectors import Selector

NAMESPACES = ("one", "two")


def pod(namespace: str, name: str, **labels: str) -> Json:
    return {"metadata": {"namespace": namespace, "name": name, "labels": labels}}


class Model:
    """The objects and selectors there are, and nothing clever."""

    def __init__(self) -> None:
        self.objects: dict[Key, Json] = {}
        self.selectors: dict[Key, Selector] = {}
        self.selections = Selections(
            lambda namespace: [obj for key, obj in self.objects.items() if key[0] == namespace]
        )

    def selecting(self, obj: Json) -> set[Key]:
        namespace = key_of(obj)[0]
        return {key for key, one in self.selectors.items() if key[0] == namespace and one.matches(labels_of(obj))}

    def agrees(self) -> bool:
        for key, obj in self.objects.items():
            if set(self.selections.of(obj)) != self.selecting(obj):
                return False
            if any((key in self.selections.members(one)) != (one in self.selecting(obj)) for one in self.selectors):
                return False
        return True


def test_they_agree_with_looking_at_everything() -> None:
    rng = random.Random(7)
    model = Model()
    forms = [
        selectors.of_map({"app": "web"}),
        selectors.of_map({"app": "db", "tier": "a"}),
        selectors.of({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}),
    ]
    told = 0
    for _ in range(2000):
        namespace, number = rng.choice(NAMESPACES), str(rng.randrange(4))
        at = namespace, number
        what = rng.randrange(5)
        if what < 2:
            labels = {key: rng.choice(values) for key, values in (("app", ("web", "db")), ("tier", ("a", "b")))}
            obj = pod(namespace, number, **dict(rng.sample(sorted(labels.items()), rng.randrange(3))))
            before = model.selecting(model.objects[at]) if at in model.objects else set()
            model.objects[at] = obj
            heard = model.selections.put(obj)
            assert set(heard) == before | model.selecting(obj)
            told += len(heard)
        elif what == 2 and at in model.objects:
            gone = model.objects.pop(at)
            assert set(model.selections.drop(gone)) == model.selecting(gone)
        elif what == 3:
            model.selectors[at] = rng.choice(forms)
            model.selections.select(at, model.selectors[at])
        else:
            model.selectors.pop(at, None)
            model.selections.unselect(at)
        assert model.agrees()
    assert told > 100


def test_where_nobody_selects_nobody_is_told() -> None:
    model = Model()
    web = pod("one", "web", app="web")
    model.selections.select(("two", "all"), selectors.of_map({"app": "web"}))
    assert model.selections.put(web) == []
    model.objects[key_of(web)] = web
    model.selections.select(("one", "web"), selectors.of_map({"app": "web"}))  # it hears of those that were there
    assert model.selections.put(web) == [("one", "web")]
    model.selections.unselect(("one", "web"))
    assert model.selections.put(web) == []
    assert not model.selections.members(("one", "web"))
