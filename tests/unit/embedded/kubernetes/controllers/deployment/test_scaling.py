from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes.controllers.deployment.scaling import Share, shares


def share(name: str, wanted: int, most: int | None = None, created: str = "1") -> Share:
    return Share(name, wanted, created, most)


def test_each_gets_its_share() -> None:
    # The example of the documentation: 10 with surge 3 in the middle of a rollout (8 + 5), scaled to 15.
    sizes = shares(15, 3, 13, [share("old", 8, 13), share("new", 5, 13, "2")])
    assert sizes == {"old": 11, "new": 7}


def test_scaled_down_each_loses_its_share() -> None:
    sizes = shares(5, 1, 13, [share("old", 8, 13), share("new", 5, 13, "2")])
    assert sizes == {"old": 4, "new": 2}


def test_scaled_to_nothing_all_go() -> None:
    assert shares(0, 0, 13, [share("old", 8, 13), share("new", 5, 13, "2")]) == {"old": 0, "new": 0}


def test_among_equals_the_newest_grows_and_the_oldest_shrinks() -> None:
    twins = [share("old", 5, 10, "1"), share("new", 5, 10, "2")]
    assert shares(11, 0, 10, twins) == {"old": 5, "new": 6}
    assert shares(9, 0, 10, twins) == {"old": 4, "new": 5}


def test_without_an_annotation_the_status_says_what_was() -> None:
    assert shares(20, 0, 10, [share("old", 5), share("new", 5, created="2")]) == {"old": 10, "new": 10}


@given(
    st.integers(0, 40),
    st.integers(0, 10),
    st.lists(st.tuples(st.integers(1, 20), st.integers(1, 60)), min_size=1, max_size=5),
)
def test_together_they_come_to_have_what_is_allowed(desired: int, surge: int, rows: list[tuple[int, int]]) -> None:
    active = [share(str(number), wanted, most, str(number)) for number, (wanted, most) in enumerate(rows)]
    before = sum(wanted for wanted, _ in rows)
    allowed = desired + surge if desired else 0
    for _ in range(6):  # what is left over when shrinking is taken from one set at a time
        sizes = shares(desired, surge, before, active)
        assert all(size >= 0 for size in sizes.values())
        assert sum(sizes.values()) >= allowed
        if before <= allowed:
            assert sum(sizes.values()) == allowed
        active = [share(one.name, sizes[one.name], desired + surge, one.created) for one in active if sizes[one.name]]
        before = sum(sizes.values())
    assert before == allowed
