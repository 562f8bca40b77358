"""What the offers desk has in hand, event by event."""

from __future__ import annotations

from typing import Any

from labkit.widgets.offerbook import Book, Held, Order

ORDERS = (Order("tea", 0.5, 64), Order("bread", 1, 128, {"rack": "rack-2"}), Order("feast", 100, 1, counts=False))


def offer(number: int, machine: str, cpus: float = 4.0, rack: str = "rack-1") -> dict[str, Any]:
    def text(name: str, value: str) -> dict[str, Any]:
        return {"name": name, "type": "TEXT", "text": {"value": value}}

    return {
        "id": {"value": f"O{number}"},
        "agent_id": {"value": f"id of {machine}"},
        "hostname": "10.0.0.1",
        "attributes": [text("machine", machine), text("rack", rack)],
        "resources": [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": cpus}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 1024.0}},
            {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 1, "end": 2}]}},
        ],
    }


def offers(*given: dict[str, Any]) -> dict[str, Any]:
    return {"type": "OFFERS", "offers": {"offers": list(given)}}


def update(task: str, state: str, message: str = "") -> dict[str, Any]:
    return {"type": "UPDATE", "update": {"status": {"task_id": {"value": task}, "state": state, "message": message}}}


def subscribed() -> Book:
    book = Book(ORDERS)
    book.heard({"type": "SUBSCRIBED", "subscribed": {"framework_id": {"value": "F-0001"}}}, 0.0)
    return book


def rows(book: Book) -> dict[str, tuple[str, str]]:
    return {row["name"]: (row["state"], row["words"]) for row in book.view()["orders"]}


def test_a_card_says_what_is_offered_and_since_when() -> None:
    book = subscribed()
    book.heard(offers(offer(1, "agent-2", rack="rack-2"), offer(2, "agent-1")), 10.0)
    first, second = book.view()["offers"]
    assert (first["machine"], first["cpus"], first["mem"], first["at"]) == ("agent-1", 4.0, 1024.0, 10.0)
    assert second["attributes"] == ["rack: rack-2"]


def test_without_that_attribute_an_agent_goes_by_its_host_name() -> None:
    assert Held.of({**offer(1, "agent-1"), "attributes": []}, 0.0).machine == "10.0.0.1"


def test_several_offers_of_an_agent_are_one_card_with_the_older_clock() -> None:
    book = subscribed()
    book.heard(offers(offer(1, "agent-1", 3.0)), 10.0)
    book.heard(offers(offer(2, "agent-1", 1.0)), 20.0)
    (card,) = book.cards()
    assert (card.ids, card.cpus, card.at) == (("O1", "O2"), 4.0, 10.0)
    book.declined([card], 5.0, 25.0, 20.0)
    assert book.offers == {}


def test_what_is_rescinded_is_not_in_hand_any_more() -> None:
    book = subscribed()
    book.heard(offers(offer(1, "agent-1")), 0.0)
    book.heard({"type": "RESCIND", "rescind": {"offer_id": {"value": "O1"}}}, 1.0)
    assert book.cards() == []
    assert "RESCIND the offer of agent-1" in book.log[-1][1]
    book.heard({"type": "RESCIND", "rescind": {"offer_id": {"value": "O1"}}}, 2.0)  # one that was answered meanwhile


def test_an_order_goes_from_open_to_served() -> None:
    book = subscribed()
    book.heard(offers(offer(1, "agent-1")), 0.0)
    book.accepted(book.cards()[0], [("tea.1", "tea")], 1.0)
    assert rows(book)["tea"] == ("placed", "TASK_STAGING on agent-1")
    assert book.view()["offers"] == []
    book.heard(update("tea.1", "TASK_RUNNING"), 2.0)
    assert rows(book)["tea"] == ("served", "TASK_RUNNING on agent-1")
    book.heard(update("tea.1", "TASK_KILLED", "by hand"), 3.0)
    assert rows(book)["tea"] == ("failed", "TASK_KILLED: by hand")


def test_mesos_does_not_mind_a_wrong_place_and_the_desk_says_so() -> None:
    book = subscribed()
    book.heard(offers(offer(1, "agent-1")), 0.0)
    book.accepted(book.cards()[0], [("bread.1", "bread")], 1.0)
    book.heard(update("bread.1", "TASK_RUNNING"), 2.0)
    assert rows(book)["bread"] == ("wrong", "TASK_RUNNING on agent-1, and it wants rack-2")
    assert book.served() == 0


def test_what_was_declined_is_away_until_it_is_offered_again_or_revived() -> None:
    book = subscribed()
    book.heard(offers(offer(1, "agent-1"), offer(2, "agent-2")), 0.0)
    book.declined(book.cards(), 30.0, 30.0, 0.0)
    assert [one["machine"] for one in book.view()["away"]] == ["agent-1", "agent-2"]
    book.heard(offers(offer(3, "agent-1")), 30.0)
    assert [one["machine"] for one in book.view()["away"]] == ["agent-2"]
    book.revived(31.0)
    assert book.view()["away"] == []


def test_a_round_ends_when_all_that_counts_is_served() -> None:
    book = subscribed()
    book.begin(60.0, 100.0)
    book.heard(offers(offer(1, "agent-2", rack="rack-2")), 100.0)
    book.accepted(book.cards()[0], [("tea.1", "tea"), ("bread.1", "bread")], 110.0)
    book.heard(update("tea.1", "TASK_RUNNING"), 111.0)
    assert book.view()["round"] == {"began": 100.0, "limit": 60.0, "done": 0.0, "served": 1, "of": 2}
    book.heard(update("bread.1", "TASK_RUNNING"), 112.0)
    assert book.view()["round"]["done"] == 112.0


def test_a_new_round_forgets_the_tasks_of_the_one_before() -> None:
    book = subscribed()
    book.heard(offers(offer(1, "agent-1")), 0.0)
    book.accepted(book.cards()[0], [("tea.1", "tea")], 1.0)
    book.begin(60.0, 2.0)
    book.heard(update("tea.1", "TASK_KILLED"), 3.0)
    assert rows(book)["tea"] == ("open", "open")


def test_offers_are_void_when_the_connection_ends_and_tasks_are_not() -> None:
    book = subscribed()
    book.heard(offers(offer(1, "agent-1"), offer(2, "agent-2")), 0.0)
    book.accepted(book.cards()[0], [("tea.1", "tea")], 1.0)
    book.heard(update("tea.1", "TASK_RUNNING"), 2.0)
    book.lost("the master hung up", 3.0)
    assert (book.state, book.cards()) == ("lost", [])
    assert rows(book)["tea"][0] == "served"
    book.heard({"type": "ERROR", "error": {"message": "Framework has been removed"}}, 4.0)
    assert (book.state, book.words) == ("off", "Framework has been removed")


def test_a_place_is_said_in_words() -> None:
    assert Order("soup", 1, 1, {"zone": "a", "rack": "rack-1"}).place == "zone a, rack-1"
