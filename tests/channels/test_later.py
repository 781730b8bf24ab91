from __future__ import annotations

from collections.abc import Iterator

from referral_engine.channels.later import Later, LaterByName


def test_values_come_in_the_order_they_were_added_however_they_were_added() -> None:
    later: Later[int] = Later()
    later.append(1)
    later.extend([2, 3])
    later.add(lambda: (4,))

    assert later.made() == (1, 2, 3, 4)
    later.append(5)
    assert later.made() == (1, 2, 3, 4, 5)


def test_nothing_is_made_before_somebody_asks_and_nothing_twice() -> None:
    asked = []

    def values() -> Iterator[int]:
        asked.append("values")
        yield 1

    later: Later[int] = Later()
    later.extend(values())
    later.add(lambda: asked.append("add") or (2,))  # type: ignore[func-returns-value]  # it notes that it was asked
    by_name = LaterByName({"a": later})

    assert (list(by_name), len(by_name), asked) == (["a"], 1, [])
    assert by_name["a"] == by_name["a"] == (1, 2)
    assert asked == ["values", "add"]
    assert by_name.get("b", ()) == ()
