"""How a [[test]] is played: who answers, what silence means, which referral is meant, and why a step differs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from referral_engine.base.errors import ConfigError
from referral_engine.channels.book import Book, read_book
from referral_engine.flow.expectations import Miss
from referral_engine.flow.timetable import Bench, TimetablePlayed
from tests.channels.shipped import SAMPLES, shipped_files
from tests.flow.stage import HEART, sample

CARDIOLOGY = f"channels/{HEART}.toml"
ORDER = 'receive = "orm-o01-cardiology-ppo.hl7"'
FALLBACK = '\n[fallback]\nkind = "fax"\ngateway = "rightfax"\nnumber = "+12175550199"\n'


def book_with(steps: Sequence[str], more: str = "", head: str = "") -> Book:
    """What the project ships, the cardiology channel with one timetable of these steps."""
    files = shipped_files()
    own = files[CARDIOLOGY].split("[[test]]")[0].replace("[sla]", f"{more.lstrip()}\n[sla]")
    lines = ",\n".join(f"  {{ {step} }}" for step in steps)
    files[CARDIOLOGY] = f'{own}\n[[test]]\nname = "it"\n{head}\nsteps = [\n{lines},\n]\n'
    return read_book(files, SAMPLES)


def play(*steps: str, more: str = "", head: str = "") -> TimetablePlayed:
    """These steps through the door."""
    book = book_with(steps, more, head)
    channel = book.channels[HEART]
    return Bench(book, lambda _: sample).play(channel, channel.tests[0])


def misses(*steps: str, more: str = "") -> list[Miss]:
    """Everything that went another way."""
    return [miss for step in play(*steps, more=more).failed for miss in step.misses]


def test_before_the_first_reply_nobody_answers_and_the_line_is_tried_again_when_the_wait_is_over() -> None:
    assert not misses(
        f'at = 2026-03-02 09:00:00, {ORDER}, expect = {{ status = "queued", sends = ["ORM^O01"] }}',
        "at = 2026-03-02 09:00:59, expect = { sends = [] }",  # 30 seconds for the answer, 30 until the next attempt
        'at = 2026-03-02 09:01:00, expect = { sends = ["ORM^O01"] }',
    )


def test_a_line_that_never_answers_is_given_up_and_a_person_is_asked_for_it_may_have_arrived() -> None:
    assert not misses(
        f"at = 2026-03-02 09:00:00, {ORDER}",
        'at = 2026-03-03 10:00:00, expect = { includes = ["ORM^O01"], tasks = ["undeliverable", "unknown-delivery"] }',
    )


def test_a_reply_answers_what_waits_and_all_that_leaves_from_then_on() -> None:
    assert not misses(
        f"at = 2026-03-02 09:00:00, {ORDER}",
        'at = 2026-03-02 09:00:01, reply = "AA", expect = { tracks = { dispatch = "received" } }',
        'at = 2026-03-04 09:00:02, expect = { sends = ["ORM^O01"], tasks = ["call-specialist"] }',  # the second notice
        "at = 2026-03-04 12:00:00, expect = { sends = [] }",
    )


@pytest.mark.parametrize(("word", "state"), [("AE", "queued"), ("AR", "undeliverable"), ("refused", "queued")])
def test_a_refusal_means_what_the_channel_says_it_means(word: str, state: str) -> None:
    assert not misses(
        f"at = 2026-03-02 09:00:00, {ORDER}",
        f'at = 2026-03-02 09:00:01, reply = "{word}", expect = {{ tracks = {{ dispatch = "{state}" }} }}',
    )


def test_the_fallback_is_a_fax_that_is_answered_in_its_own_words() -> None:
    assert not misses(
        f"at = 2026-03-02 09:00:00, {ORDER}",
        'at = 2026-03-02 09:00:01, reply = "AR", expect = { sends = ["fax"], status = "queued" }',
        'at = 2026-03-02 09:05:00, reply = "fax delivered", expect = { status = "received" }',
        more=FALLBACK,
    )


def test_an_answer_that_this_way_cannot_bring_is_said_to_be_none() -> None:
    (miss,) = misses(f"at = 2026-03-02 09:00:00, {ORDER}", 'reply = "fax busy"')

    assert (miss.what, miss.expected, miss.got) == ("reply", "fax busy", "(nobody answers so)")
    assert miss.why == "they can answer: AA, AE, AR, CA, CE, CR, refused, silent"


def test_fields_of_a_sample_are_overridden_so_that_one_sample_serves_many_tests() -> None:
    hmo = 'at = 2026-03-02 09:00:00, receive = "orm-o01-cardiology-hmo.hl7"'

    assert not misses(f'{hmo}, expect = {{ status = "held", sends = [] }}')
    assert not misses(f'{hmo}, with = {{ "IN1-15" = "PPO" }}, expect = {{ status = "queued" }}')


def test_a_text_that_a_sample_cannot_hold_is_told_and_the_other_steps_go_on() -> None:
    played = play(
        'receive = "bad/no-msh.hl7", with = { "PID-5" = "x" }',
        f"at = 2026-03-02 09:00:00, {ORDER}, expect = {{ matches = true }}",
    )

    assert [(step.number, miss.what) for step in played.failed for miss in step.misses] == [(1, "with")]
    assert len(played.steps) == 2


def test_an_order_of_another_specialist_says_which_line_said_no() -> None:
    (miss,) = misses('receive = "orm-o01-orthopaedics.hl7", expect = { matches = true }')

    assert (miss.expected, miss.got) == ("true", "false")
    assert miss.why.startswith('OBR-4.1 is "REFORTHKNEE", wanted one of REFCARD, REFEP, line ')
    assert "channel orthopaedics-lakeside takes it" in miss.why


def test_a_held_packet_is_the_reason_that_nothing_left() -> None:
    (miss,) = misses('receive = "orm-o01-cardiology-hmo.hl7", expect = { sends = ["ORM^O01"] }')

    assert miss.why.startswith("the packet is held: pre-authorization (")
    assert "held by the channel's [hold]" in miss.why


def test_what_left_unexpectedly_is_told_with_the_clock_that_sent_it_and_its_line() -> None:
    (miss,) = misses(
        f"at = 2026-03-02 09:00:00, {ORDER}",
        'at = 2026-03-02 09:00:01, reply = "AA"',
        "at = 2026-03-05 09:00:00, expect = { sends = [] }",
    )

    assert miss.got == "ORM^O01"
    assert miss.why.startswith("specialist second-notice; The clock confirm ran out")
    assert f'the clock "confirm" (48 hours, routine, {CARDIOLOGY}:' in miss.why


def test_a_task_nobody_expected_is_told_with_its_reason_and_its_clock() -> None:
    (miss,) = misses(
        f"at = 2026-03-02 09:00:00, {ORDER}",
        'at = 2026-03-02 09:00:01, reply = "AA"',
        "at = 2026-03-05 09:00:00, expect = { tasks = [] }",
    )

    assert miss.got == "call-specialist (referral-desk)"
    assert 'the clock "confirm" (48 hours, routine,' in miss.why


def test_a_task_that_was_closed_again_is_said_to_have_been_there() -> None:
    (miss,) = misses(
        f"at = 2026-03-02 09:00:00, {ORDER}",
        'at = 2026-03-02 09:00:01, reply = "AA"',
        "at = 2026-03-09 09:01:00",
        'at = 2026-03-09 09:30:00, receive = "siu-s12-cardiology.hl7", expect = { tasks = ["front-desk"] }',
    )

    assert miss.why.startswith("it was opened Mon 09 Mar 2026 09:00:01 CDT and closed Mon 09 Mar 2026 09:30 CDT")


def test_a_clock_that_does_not_run_says_which_track_stops_it() -> None:
    (miss,) = misses(f'at = 2026-03-02 09:00:00, {ORDER}, expect = {{ clocks = ["confirm"] }}')

    assert miss.what == "clocks"
    assert miss.why == 'the "confirm" clock runs while dispatch is received; it is queued'


def test_people_and_patients_act_as_in_a_scenario() -> None:
    assert not misses(
        'at = 2026-03-02 09:00:00, receive = "orm-o01-cardiology-hmo.hl7"',
        'at = 2026-03-03 09:00:00, staff = { task = "preauth-desk", authorized = "A-1" }, expect = { status = "approved" }',
        'at = 2026-03-03 09:00:01, reply = "AA"',
        'at = 2026-03-03 09:05:00, expect = { status = "patient-notified" }',
        'at = 2026-03-03 09:10:00, patient = "STOP", expect = { tracks = { outreach = "opted-out" } }',
    )


def test_a_person_who_has_no_such_task_is_told_which_are_open() -> None:
    (miss,) = misses(f"at = 2026-03-02 09:00:00, {ORDER}", 'staff = { task = "preauth" }')

    assert (miss.what, miss.got) == ("step", "refused")
    assert miss.why == "no open task preauth; open: none"


def test_a_step_is_about_the_referral_of_the_last_message_unless_it_names_another() -> None:
    assert not misses(
        f"at = 2026-03-02 09:00:00, {ORDER}",
        'receive = "orm-o01-cardiology-hmo.hl7", expect = { status = "held", referrals = 2, review = 0 }',
        'of = "P-1001", expect = { status = "queued" }',
        'expect = { status = "held" }',
    )


def test_messages_come_from_where_their_sender_may_call_from() -> None:
    more = '[replies]\naddresses = ["10.20.30.0/24"]\napplications'
    files = shipped_files()
    booked = 'receive = "siu-s12-cardiology.hl7", expect = { ack = "AA", status = "scheduled" }'
    own = files[CARDIOLOGY].split("[[test]]")[0]
    head, replies = own.split("[replies]")
    steps = f"{{ at = 2026-03-02 09:00:00, {ORDER} }}, {{ at = 2026-03-03 14:10:00, {booked} }}"
    files[CARDIOLOGY] = (
        head + more + replies.split("applications", 1)[1] + f'[[test]]\nname = "it"\nsteps = [{steps}]\n'
    )
    book = read_book(files, SAMPLES)
    channel = book.channels[HEART]

    assert channel.replies.addresses == ("10.20.30.0/24",)
    assert not Bench(book, lambda _: sample).play(channel, channel.tests[0]).failed


def test_a_switched_off_feed_is_on_for_the_test_that_names_it() -> None:
    step = 'receive = "feeds/epic/orm-o01-order.hl7", expect = { ack = "%s" }'

    assert not play(step % "AA", head='feeds = ["epic"]').failed
    assert not play(step % "AR").failed


def test_a_word_that_no_partner_says_and_a_queue_that_nobody_has_are_found_before_anything_is_played() -> None:
    with pytest.raises(ConfigError) as refused:
        book_with(
            ['reply = "fax delivred"', 'with = { "OBX[3.1=A]-5" = "x" }, receive = "orm-o01-orthopaedics.hl7"',
             'expect = { tasks = ["front-dest"], includes = ["patient promptt"] }']
        )  # fmt: skip

    told = [(problem.code, problem.help) for problem in refused.value.problems]
    assert told == [
        ("CH104", 'did you mean "fax delivered"?'),
        ("CH202", "the first segment of a name is changed: OBX-5.1"),
        ("CH406", 'did you mean "front-desk"?'),
        ("CH104", 'did you mean "prompt"?'),
    ]
