"""What the payer says later: denied, approved for a time, for some visits, for one specialist; through the door."""

from __future__ import annotations

import pytest

from referral_engine.base.values import replace
from referral_engine.channels.book import Book, read_book
from referral_engine.channels.matcher import Condition, Matcher, OneOf
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.rows import Disposition
from referral_engine.loop.effects import Purpose, TaskKind
from referral_engine.loop.events import OrderChanged
from referral_engine.loop.policy import HoldRule
from referral_engine.loop.referral import Hold
from referral_engine.loop.rules import decide
from tests.builders import ORDERED_AT, a_patient, a_policy, an_order, told
from tests.builders import held as loop_held
from tests.channels.shipped import shipped_files
from tests.flow.stage import HEART, at, book, done, engine, kinds, owed, row, sample, sent, story, tasks, tracks
from tests.loop.reading import approved, opened, sends, settled

HMO = "orm-o01-cardiology-hmo.hl7"  # P-3001, held by the channel's [hold]
CHANGED = "orm-o01-cardiology-auth.hl7"  # the same order, changed: IN1-14 AUTH-88001
BOOKING = "siu-s12-cardiology-hmo.hl7"
PPO = "orm-o01-cardiology-ppo.hl7"  # P-1001, sent at once
ANOTHER = "1902345671"  # an NPI with a right check digit, of nobody here
DENIAL = ["ehr provider-notice authorization denied", "billing billing-notice authorization denied"]


def held() -> Rehearsal:
    stage = engine()
    stage.receive(sample(HMO))
    return stage


def changed(control: str, authorization: str = "", extra: str = "", **fields: str) -> bytes:
    """The held order, changed by another message, perhaps with a segment behind IN1."""
    raw = sample(
        CHANGED,
        {
            "MSH-10": control,
            "IN1-14.1": authorization,
            **{key.replace("_", "-"): value for key, value in fields.items()},
        },
    )
    if not extra:
        return raw
    lines = [line for line in raw.split(b"\r") if line]
    at_line = next(number for number, line in enumerate(lines) if line.startswith(b"IN1"))
    return b"\r".join([*lines[: at_line + 1], extra.encode(), *lines[at_line + 1 :]]) + b"\r"


def booking(control: str, when: str, number: str = "", trigger: str = "S12") -> bytes:
    fields = {"MSH-10": control, "MSH-9.2": trigger, "SCH-11.4": f"{when}00-0600", "TQ1-7.1": "", "AIS-4.1": ""}
    return sample(BOOKING, {**fields, **({"SCH-2.1": number, "SCH-1.1": number} if number else {})})


def state(stage: Rehearsal) -> tuple[str, str]:
    found = tracks(stage, "P-3001")
    return found["authorization"], found["dispatch"]


def reasons(stage: Rehearsal, kind: str = "preauth") -> list[str]:
    return [task.reason for task in tasks(stage, kind)]


# ------------------------------------------------------------------------------------------------ denied


@pytest.mark.parametrize(
    "denial",
    [
        changed("D1", extra="AUT|HMO200|61002|Sample Managed Care||||||" + "|" * 5 + "DENIED^Denied"),
        changed("D2", extra="AUT|HMO200|61002|Sample Managed Care|||AUTH-9||6|0"),
        changed("D3", "DENIED"),
    ],
    ids=["AUT-14", "no visits of AUT-9", "a word in IN1-14"],
)
def test_a_denial_in_a_changed_order_is_told_and_the_packet_stays(denial: bytes) -> None:
    stage = held()

    stage.receive(denial)

    assert state(stage) == ("denied", "held")
    assert sent(stage) == DENIAL
    assert reasons(stage) == ["denied: only a new authorization can answer it"]


def test_a_sender_may_say_denied_in_its_own_words() -> None:
    ehr = book().feeds["ehr"]
    words = Matcher(conditions=(Condition(path="ZAU-2.1", test=OneOf(("N",)), line=1),))
    stage = engine(other=replace(book(), feeds={**book().feeds, "ehr": replace(ehr, denied_when=words)}))
    stage.receive(sample(HMO))

    stage.receive(changed("D1", extra="ZAU|1|N"))

    assert state(stage) == ("denied", "held")


def test_the_feeds_file_says_where_a_denial_stands() -> None:
    files = shipped_files()
    files["conf/feeds/ehr.toml"] += '\n[denied_when]\n"ZAU-2.1" = "N"\n'

    assert read_book(files).feeds["ehr"].denied_when is not None


def test_an_order_that_comes_denied_is_held_whatever_the_table_says() -> None:
    stage = engine()

    stage.receive(sample(PPO, {"IN1-14.1": "DENIED"}))

    assert (tracks(stage)["authorization"], tracks(stage)["dispatch"]) == ("denied", "held")
    assert sent(stage) == DENIAL
    assert kinds(stage) == ["preauth"]


def test_a_remark_in_the_place_of_the_number_lets_nothing_go() -> None:
    stage = held()

    stage.receive(changed("R1", "PENDING"))

    assert state(stage) == ("required", "held")


def test_a_denial_by_staff_is_told_and_asks_for_a_new_authorization() -> None:
    stage = held()

    done(stage, "preauth", denied=True)

    assert state(stage) == ("denied", "held")
    assert sent(stage) == DENIAL
    assert reasons(stage) == ["denied: only a new authorization can answer it"]


def test_a_denied_packet_is_reminded_of_as_denied() -> None:
    stage = held()
    done(stage, "preauth", denied=True)

    stage.move_to(at("2026-03-04 09:00"))

    assert reasons(stage) == ["still held: denied, and only a new authorization can answer it"]


def test_the_number_that_was_denied_lets_nothing_go_and_a_new_one_does() -> None:
    stage = held()
    stage.receive(changed("D1", "AUTH-9", extra="AUT|HMO200|61002|||||||0"))

    stage.receive(changed("D2", "AUTH-9"))
    refused = done(stage, "preauth", authorized="AUTH-9").refused
    assert state(stage) == ("denied", "held")
    stage.receive(changed("D3", "AUTH-10"))

    assert "only a new authorization answers a denial" in refused
    assert state(stage) == ("approved", "received")
    assert kinds(stage) == []


def test_a_person_cannot_release_what_was_denied_unless_they_waive_it_with_a_reason() -> None:
    stage = held()
    done(stage, "preauth", denied=True)

    assert "the payer denied it" in done(stage, "preauth", release=True).refused
    assert "with a reason" in done(stage, "preauth", waive=True, note=" ").refused
    assert state(stage) == ("denied", "held")
    waived = done(stage, "preauth", waive=True, note="the patient pays")

    assert waived.refused == ""
    assert state(stage) == ("not-required", "received")
    assert any("although the payer denied it" in event.summary for event in story(stage, "P-3001").events)


def test_what_nobody_denied_cannot_be_waived_and_two_answers_are_none() -> None:
    stage = held()

    assert "nothing to waive" in done(stage, "preauth", waive=True).refused
    assert "say one of them" in done(stage, "preauth", authorized="A1", denied=True).refused
    assert kinds(stage) == ["preauth"]


def test_a_hold_that_names_no_staff_is_released_by_a_number_only() -> None:
    heart = book().channels[HEART]
    assert heart.hold is not None
    ours = replace(heart, hold=replace(heart.hold, released_by=("IN1-14.1",)))
    stage = engine(other=replace(book(), channels={**book().channels, HEART: ours}))
    stage.receive(sample(HMO))

    assert "released_by" in done(stage, "preauth", release=True).refused
    done(stage, "preauth", authorized="AUTH-1")

    assert state(stage) == ("approved", "received")


def test_a_denial_after_the_packet_left_is_told_as_that() -> None:
    stage = held()
    done(stage, "preauth", authorized="AUTH-1")

    stage.receive(changed("D1", "DENIED"))

    assert state(stage) == ("denied", "received")
    assert "ehr provider-notice authorization denied after sending" in sent(stage)
    assert reasons(stage) == ["after the packet had left, denied: only a new authorization can answer it"]


def test_an_old_denial_repeated_after_a_new_authorization_is_a_question_and_not_a_denial() -> None:
    stage = held()
    stage.receive(changed("D1", "DENIED"))
    done(stage, "preauth", authorized="AUTH-2")

    stage.receive(changed("D2", "DENIED"))

    assert state(stage) == ("approved", "received")
    assert "which holds?" in reasons(stage)[0]


# ------------------------------------------------------------------------------------------------ the payer's message


def answer(control: str, state: str, authorization: str) -> bytes:
    """RPA^I08 as the ordering side passes it on."""
    lines = [
        f"MSH|^~\\&|EHR|SPRINGFIELD|REFERRAL_ENGINE|SPRINGFIELD|20260304100000-0600||RPA^I08^RPA_I08|{control}|P|2.5.1",
        "MSA|AA|Q1",
        f"RF1|{state}|||||P-3001^EHR",
        authorization,
        *(line.decode() for line in sample(HMO).split(b"\r") if line.startswith(b"PID")),
    ]
    return "\r".join(lines).encode() + b"\r"


def test_an_approval_message_lets_the_packet_go() -> None:
    stage = held()

    receipt = stage.receive(answer("RPA1", "A", "AUT|HMO200|61002|||20260630|AUTH-5|||4"))

    assert row(stage, receipt).disposition is Disposition.APPLIED
    assert state(stage) == ("approved", "received")
    order = story(stage, "P-3001").referral.order
    assert (order.authorization_number, order.authorization_visits) == ("AUTH-5", 4)


def test_a_refusal_message_is_a_denial() -> None:
    stage = held()

    stage.receive(answer("RPA1", "R", "AUT|HMO200|61002"))

    assert state(stage) == ("denied", "held")


def test_an_approval_without_a_number_is_a_persons_and_a_pended_one_is_nothing() -> None:
    stage = held()

    stage.receive(answer("RPA1", "P", "AUT|HMO200|61002"))
    assert kinds(stage) == ["preauth"]
    stage.receive(answer("RPA2", "A", "AUT|HMO200|61002"))

    assert state(stage) == ("required", "held")
    assert kinds(stage) == ["anomaly", "preauth"]


# ------------------------------------------------------------------------------------------------ for a time, for visits


def authorized(**terms: object) -> Rehearsal:
    stage = held()
    done(stage, "preauth", authorized="AUTH-1", **terms)
    return stage


def test_a_visit_after_the_last_day_is_a_task_and_one_inside_withdraws_it() -> None:
    stage = authorized(authorization_expires_on=at("2026-03-20 00:00").date())

    stage.receive(booking("B1", "202603231000"))
    assert (state(stage)[0], reasons(stage)) == (
        "expired", ["the booked visit is later than the last day of its authorization"],
    )  # fmt: skip
    stage.receive(booking("B2", "202603191000", trigger="S13"))

    assert state(stage)[0] == "approved"
    assert kinds(stage) == []


def test_a_visit_before_the_first_day_is_a_task_and_a_new_authorization_withdraws_it() -> None:
    stage = authorized(authorization_begins_on=at("2026-03-15 00:00").date())

    stage.receive(booking("B1", "202603101000"))
    assert reasons(stage) == ["the booked visit is before the first day of its authorization"]
    stage.receive(changed("X1", "AUTH-2"))

    assert state(stage)[0] == "approved"
    assert kinds(stage) == []


def test_the_second_visit_of_an_authorization_for_one_is_a_task_and_a_moved_one_is_none() -> None:
    stage = authorized(authorization_visits=1)

    stage.receive(booking("B1", "202603101000", "APT-1"))
    stage.receive(booking("B2", "202603111000", "APT-1", trigger="S13"))
    assert kinds(stage) == []
    stage.receive(booking("B3", "202603181000", "APT-2"))
    assert reasons(stage) == ["2 visits are booked, and the authorization covers 1"]
    stage.receive(booking("B4", "202603111000", "APT-1", trigger="S15"))  # the first was given up

    assert reasons(stage) == []


def test_the_same_authorization_with_a_later_last_day_covers_the_visit() -> None:
    stage = authorized(authorization_expires_on=at("2026-03-20 00:00").date())
    stage.receive(booking("B1", "202603231000"))

    stage.receive(changed("X1", "AUTH-1", extra="AUT|HMO200|61002|||20260630|AUTH-1"))

    assert state(stage)[0] == "approved"
    assert kinds(stage) == []


def test_an_authorization_that_ends_before_any_visit_expires_when_its_last_day_is_over() -> None:
    stage = authorized(authorization_expires_on=at("2026-03-06 00:00").date())

    stage.move_to(at("2026-03-06 23:59"))
    assert state(stage)[0] == "approved"
    stage.move_to(at("2026-03-07 00:01"))

    assert state(stage)[0] == "expired"
    assert reasons(stage) == ["the authorization has ended before any visit: the payer must be asked again"]


def test_a_booked_visit_stops_the_end_of_the_authorization() -> None:
    stage = authorized(authorization_expires_on=at("2026-03-12 00:00").date())
    stage.receive(booking("B1", "202603111000"))

    stage.move_to(at("2026-03-13 09:00"))

    assert state(stage)[0] == "approved"
    assert "preauth" not in kinds(stage)


def test_an_authorization_that_has_ended_lets_no_new_order_go() -> None:
    stage = engine()
    raw = changed("E1", "AUTH-1", extra="AUT|HMO200|61002|||20260227|AUTH-1", ORC_1="NW")

    stage.receive(raw)

    assert state(stage) == ("required", "held")
    assert "has ended" in story(stage, "P-3001").events[0].reason


# ------------------------------------------------------------------------------------------------ another specialist


def test_another_specialist_needs_another_authorization() -> None:
    stage = authorized()

    stage.receive(changed("X1", "AUTH-1", **{"OBR_28.1": ANOTHER}))

    assert state(stage) == ("required", "received")
    assert "another specialist" in reasons(stage)[0]
    assert reasons(stage)[0].startswith("sent, and not authorized")
    stage.receive(changed("X2", "AUTH-2", **{"OBR_28.1": ANOTHER}))
    assert state(stage)[0] == "approved"
    assert kinds(stage) == []


def test_a_packet_that_has_not_left_is_held_again_and_leaves_with_the_new_authorization() -> None:
    stage = engine(**{HEART: "refused"})  # type: ignore[arg-type]  # a lane, by its name
    stage.receive(sample(HMO))
    done(stage, "preauth", authorized="AUTH-1")
    assert state(stage) == ("approved", "queued")

    stage.receive(changed("X1", **{"OBR_28.1": ANOTHER}))
    assert state(stage) == ("required", "held")
    orders = [one.state.value for one in owed(stage) if one.purpose == Purpose.ORDER.value]
    assert orders == ["cancelled"]
    stage.receive(changed("X2", "AUTH-2", **{"OBR_28.1": ANOTHER}))

    assert state(stage) == ("approved", "queued")
    assert [one.purpose for one in owed(stage)].count(Purpose.ORDER.value) == 2


def test_another_plan_that_asks_for_nothing_lets_the_packet_go() -> None:
    stage = held()

    stage.receive(changed("X1", **{"IN1_15.1": "PPO"}))

    assert state(stage) == ("not-required", "received")
    assert kinds(stage) == []


def test_another_plan_that_asks_for_an_authorization_is_asked_for_it() -> None:
    stage = engine()
    stage.receive(sample(HMO, {"IN1-15.1": "PPO"}))
    assert state(stage) == ("not-required", "received")

    stage.receive(changed("X1"))

    assert state(stage) == ("required", "received")
    assert "another insurance" in reasons(stage)[0]


def test_an_authorization_for_another_specialist_lets_nothing_go() -> None:
    stage = held()
    for_another = "AUT|HMO200|61002||||AUTH-3" + "|" * 18 + ANOTHER

    stage.receive(changed("X1", "AUTH-3", extra=for_another))

    assert state(stage) == ("required", "held")
    assert "names another specialist" in reasons(stage)[0]


def test_a_change_that_names_another_channels_specialist_is_a_persons() -> None:
    stage = authorized()

    stage.receive(changed("X1", "AUTH-1", **{"OBR_28.1": "1666666668", "OBR_4.1": "REFMRIKNEE"}))

    assert "imaging-northside" in reasons(stage, "anomaly")[0]


# ------------------------------------------------------------------------------------------------ a file's own fields


def test_a_field_that_released_by_names_brings_the_number() -> None:
    stage = engine(other=_released_by("RF1-11.1"))
    stage.receive(sample(HMO))

    stage.receive(changed("X1", extra="RF1|A|||||P-3001^EHR|||||PA-77^PAYER"))

    assert state(stage) == ("approved", "received")
    assert story(stage, "P-3001").referral.order.authorization_number == "PA-77"


def _released_by(*fields: str) -> Book:
    heart = book().channels[HEART]
    assert heart.hold is not None
    ours = replace(heart, hold=replace(heart.hold, released_by=fields))
    return replace(book(), channels={**book().channels, HEART: ours})


# ------------------------------------------------------------------------------------------------ what cannot be stopped


def test_a_packet_that_outran_its_second_hold_is_at_the_office_and_a_person_hears_of_it() -> None:
    again = Hold(rule=HoldRule.HOLD, reason="another specialist")
    queued = told(loop_held(), approved("AUTH-1"))
    stopped = told(
        queued, OrderChanged(at=ORDERED_AT, patient=a_patient(), order=an_order(referred_to=ANOTHER), hold=again)
    )
    assert (stopped.authorization.value, stopped.dispatch.value) == ("required", "held")

    decision = decide(stopped, settled(Purpose.ORDER), a_policy())

    assert (decision.referral.authorization.value, decision.referral.dispatch.value) == ("required", "received")
    assert opened(decision) == {TaskKind.ANOMALY}
    assert sends(decision) == []


def test_a_second_insurance_or_a_payer_called_otherwise_asks_for_nothing_anew() -> None:
    stage = authorized()

    stage.receive(changed("X1", **{"IN1_4.1": "SAMPLE MGD CARE"}))
    stage.receive(changed("X2", extra="IN1|2|MCD1|77001|Sample Medicaid|||||||||||MCD"))

    assert state(stage) == ("approved", "received")
    assert kinds(stage) == []


def test_a_change_that_leaves_the_insurance_out_changes_none() -> None:
    stage = held()
    raw = b"\r".join(line for line in changed("X1").split(b"\r") if not line.startswith(b"IN1"))

    stage.receive(raw)

    order = story(stage, "P-3001").referral.order
    assert (order.payer, order.plan) == ("61002", "HMO")
    assert state(stage) == ("required", "held")
