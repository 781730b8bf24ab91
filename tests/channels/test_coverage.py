"""Which channels and which lines of [match] decided anything, over the orders that came."""

from __future__ import annotations

from dataclasses import replace

from referral_engine.channels.book import Book, read_book
from referral_engine.channels.coverage import (
    ChannelCover,
    ClockCover,
    ConditionCover,
    Coverage,
    clock_findings,
    coverage,
    findings,
)
from referral_engine.channels.feed import Feed
from referral_engine.hl7.message import Message
from referral_engine.loop.policy import Kind
from tests.channels.shipped import order

TRANSPORT = '[transport]\nkind = "spool"\ndirectory = "out"\n'
HEART, BONES = "1234567893", "1987654328"


def channel(name: str, match: str, more: str = "") -> tuple[str, str]:
    head = f'[channel]\nname = "{name}"\nspecialty = "cardiology"\n{more}[match]\n'
    return f"channels/{name}.toml", f"{head}{match}\n{TRANSPORT}"


def book(*channels: tuple[str, str]) -> Book:
    return read_book(dict(channels))


def covered(of: Book, *orders: Message, feed: Feed | None = None) -> Coverage:
    return coverage(of, [(one, feed) for one in orders])


def cover(of: Coverage, name: str) -> ChannelCover:
    return next(one for one in of.channels if one.name == name)


def line(of: Coverage, name: str, path: str) -> ConditionCover:
    return next(one for one in cover(of, name).conditions if one.path == path)


def test_each_line_is_counted_as_never_sometimes_or_always_met() -> None:
    heart = book(
        channel("heart", f'"MSH-9" = "ORM^O01"\n"OBR-4.1" = "REFCARD"\nreferred_to = "{HEART}"\n"IN1-15" = "HMO"')
    )

    told = covered(heart, order("REFCARD", HEART), order("REFORTH", HEART), order("REFCARD", BONES))

    assert [(one.path, one.asked, one.met, one.often) for one in cover(told, "heart").conditions] == [
        ("MSH-9", 3, 3, "always"),
        ("OBR-4.1", 3, 2, "sometimes"),
        ("referred_to", 3, 2, "sometimes"),
        ("IN1-15", 3, 0, "never"),
    ]
    assert cover(told, "heart").taken == 0
    assert line(told, "heart", "IN1-15").alone == 1


def test_a_line_that_alone_kept_orders_away_is_told() -> None:
    heart = book(channel("heart", f'"OBR-4.1" = "REFCARD"\nreferred_to = "{HEART}"'))

    told = covered(heart, order("REFORTH", HEART), order("REFORTH", HEART), order("REFORTH", BONES))

    assert line(told, "heart", "OBR-4.1").alone == 2
    assert line(told, "heart", "referred_to").alone == 0


def test_orders_are_taken_unwanted_or_contested_and_the_rivals_are_named() -> None:
    # Two lines about different places can exclude each other by the orders that really come, or not.
    first = book(channel("one", f'"OBR-28.1" = "{HEART}"'))
    second = book(channel("two", '"OBR-4.1" = "REFCARD"'))
    both = replace_channels(first, second)

    told = covered(both, order("REFCARD", HEART), order("REFCARD", BONES), order("REFORTH", BONES))

    assert (told.orders, told.taken, told.contested, told.unwanted) == (3, 1, 1, 1)
    assert cover(told, "one").shared == {"two": 1}
    assert cover(told, "two").shared == {"one": 1}
    assert "1 order was wanted by two as well: nobody got it" in [one.sentence for one in findings(told)]


def replace_channels(one: Book, other: Book) -> Book:
    return replace(one, channels={**one.channels, **other.channels})


def test_a_channel_that_is_switched_off_is_told_what_it_would_have_taken_and_rivals_nobody() -> None:
    both = book(
        channel("live", f'referred_to = "{HEART}"'), channel("later", f'referred_to = "{HEART}"', 'mode = "off"\n')
    )

    told = covered(both, order("REFCARD", HEART))

    assert (cover(told, "later").taken, cover(told, "later").mode) == (1, "off")
    assert (told.taken, told.contested) == (1, 0)
    assert not cover(told, "live").shared


def test_the_senders_feed_says_where_the_specialist_stands() -> None:
    heart = book(channel("heart", f'referred_to = "{HEART}"'))
    feed = Feed(name="ehr", referred_to=("OBR-4.1",))

    assert cover(covered(heart, order(HEART, BONES), feed=feed), "heart").taken == 1
    assert cover(covered(heart, order(HEART, BONES)), "heart").taken == 0


def test_lines_about_a_repeating_segment_look_at_every_repetition_of_every_order() -> None:
    heart = book(channel("heart", f'"PRD-1.1" = "RT"\n"PRD-7.1" = "{HEART}"'))
    alike = [order("REFCARD", HEART, more=(f"PRD|{role}||||||{npi}", "PRD|RP||||||1")) for role, npi in ROLES]

    told = covered(heart, *alike)

    assert cover(told, "heart").taken == 1
    assert line(told, "heart", "PRD-1.1").met == 2


ROLES = (("RT", HEART), ("RT", BONES), ("PP", HEART))


def test_findings_name_the_file_and_the_line() -> None:
    heart = book(channel("heart", f'"OBR-4.1" = "REFCARD"\nreferred_to = "{HEART}"'))

    told = list(findings(covered(heart, order("REFORTH", HEART))))

    assert [(one.channel, one.place, one.sentence) for one in told] == [
        ("heart", "channels/heart.toml", "took none of 1 orders"),
        ("heart", "channels/heart.toml:5", 'OBR-4.1, wanted "REFCARD", was met by none of 1 orders'),
        (
            "heart",
            "channels/heart.toml:6",
            f'referred_to, wanted "{HEART}", was met by all of 1 orders: it decided nothing',
        ),
    ]


def clocks(of: Book, *counted: ClockCover) -> Coverage:
    return coverage(of, [], counted)


def test_a_clock_that_never_ran_and_one_that_ran_and_never_fired_are_told_apart() -> None:
    heart = book(channel("heart", '"OBR-4.1" = "REFCARD"'))
    others = [ClockCover(channel="heart", kind=kind, fired=1, cancelled=1) for kind in Kind]
    done = [one for one in others if one.kind not in (Kind.REBOOK, Kind.SCHEDULE)]

    told = list(clock_findings(clocks(heart, *done, ClockCover(channel="heart", kind=Kind.SCHEDULE, cancelled=12))))

    assert [(one.channel, one.place, one.sentence) for one in told] == [
        (
            "heart",
            "channels/heart.toml",
            "never ran: rebook; nothing came to where they start, so their lengths are untried",
        ),
        (
            "heart",
            "channels/heart.toml",
            "ran and never fired: schedule (12); all came in time, so a shorter length could warn earlier",
        ),
    ]


def test_a_clock_that_fires_whenever_it_ends_is_told_but_not_one_that_always_should() -> None:
    heart = book(channel("heart", '"OBR-4.1" = "REFCARD"'))
    often = [ClockCover(channel="heart", kind=kind, fired=9, running=2) for kind in (Kind.SCHEDULE, Kind.REMIND_24H)]
    once = ClockCover(channel="heart", kind=Kind.OPEN_30, fired=2)

    told = [one.sentence for one in clock_findings(clocks(heart, *often, once)) if "whenever" in one.sentence]

    assert told == ["fired whenever it ended: schedule (9); nothing ever came in time, so it tells nobody anything new"]


def test_a_channel_nobody_used_has_one_word_for_all_its_clocks() -> None:
    heart = book(channel("heart", '"OBR-4.1" = "REFCARD"'))

    (told,) = clock_findings(clocks(heart))

    assert told.sentence.startswith("never ran: any clock;")


def test_clocks_are_told_only_when_they_are_known_and_only_those_the_channel_has() -> None:
    both = book(
        channel("heart", '"OBR-4.1" = "REFCARD"', "[replies]\nconfirms = false\n"),
        channel("bones", '"OBR-4.1" = "REFORTH"', 'mode = "off"\n'),
    )

    known = clocks(both)

    assert {one.channel for one in known.clocks} == {"heart"}  # what is off has no clocks
    assert Kind.SCHEDULE in {one.kind for one in known.clocks}
    assert Kind.CONFIRM not in {one.kind for one in known.clocks}  # they cannot, so nothing waits for it
    assert coverage(both, []).clocks == ()


def test_without_an_order_nothing_is_found() -> None:
    assert list(findings(covered(book(channel("heart", '"OBR-4.1" = "REFCARD"'))))) == []


def test_coverage_agrees_with_routing_order_by_order() -> None:
    from referral_engine.channels.routing import route

    many = book(
        *(
            channel(f"c{number}", f'"OBR-4.1" = {{ starts_with = "REF{number}" }}\nreferred_to = "{HEART}"')
            for number in range(5)
        )
    )
    orders = [order(f"REF{number % 7}X", HEART if number % 3 else BONES) for number in range(60)]

    told = covered(many, *orders)

    routed = [route(many, one).channel for one in orders]
    assert {one.name: one.taken for one in told.channels} == {
        name: sum(taker is not None and taker.name == name for taker in routed) for name in many.channels
    }
