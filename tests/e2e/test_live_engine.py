"""The commands about a running daemon, with real sockets and partners on all sides: the contract others script against."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import SAMPLES, Site, an_order, control_id, eventually, program, sample

CARDIOLOGY = "cardiology-heart-group"
LIST_KEYS = {"id", "status", "channel", "specialty", "priority", "ordered_at", "placer_number"}
SHOW_KEYS = {
    "id", "status", "tracks", "patient", "placer_number", "channel", "specialty", "priority", "deadlines", "tasks",
    "timeline",
}  # fmt: skip
TRACKS = {"authorization", "dispatch", "outreach", "appointment", "note", "closure"}
TASK_KEYS = {"id", "queue", "kind", "referral", "opened_at", "due_at", "state", "reason"}
OUTBOX_KEYS = {"id", "referral", "transport", "channel", "kind", "state", "attempts", "wire_id"}
MESSAGE_KEYS = {
    "id", "control_id", "feed", "type", "received_at", "disposition", "ack", "referral", "level", "reason",
}  # fmt: skip
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

_numbers = count(1)


@pytest.fixture
def number() -> str:
    """Letters and digits no other test has used."""
    return f"L{next(_numbers):04d}"


@pytest.fixture
def refusing(live: Site) -> Iterator[Callable[[], None]]:
    """The cardiologist refuses everything until the test is over, or until what it is given is called."""
    partner = live.partners[CARDIOLOGY]

    def relent() -> None:
        partner.answers = "AA"

    partner.answers = "AR"
    yield relent
    relent()


def row_of(rows: list[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    """The one row where all of `wanted` holds."""
    (row,) = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return row


def in_state(site: Site, referral: str, state: str, **wanted: str) -> dict[str, Any]:
    """The one sending of a referral that is `wanted`, once it has come to `state`."""
    (row,) = eventually(lambda: site.sendings(referral, state=state, **wanted), f"{wanted} of {referral} {state}")
    return row


def open_task(site: Site, referral: str, kind: str) -> int:
    """The number of the open task of this kind, once there is one."""

    def look() -> list[dict[str, Any]]:
        rows = site.ask_json("tasks", "--limit", "10000")
        return [row for row in rows if row["referral"] == referral and row["kind"] == kind]

    (row,) = eventually(look, f"task {kind} of {referral}")
    return int(row["id"])


def test_run_prints_one_line_when_it_is_ready(live: Site) -> None:
    assert live.ready_line == (
        f"referral-engine is ready: MLLP default on port {live.port}; control socket {live.var / 'control.sock'}\n"
    )


def test_send_prints_the_answer_of_every_message_and_exits_0(live: Site, number: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first.hl7", tmp_path / "second.hl7"
    first.write_bytes(an_order(number))
    second.write_bytes(an_order(f"{number}A") + an_order(f"{number}B"))

    said = live.ask("send", str(first), str(second), "--to", f"127.0.0.1:{live.port}")

    assert said.exit_status == 0
    assert [re.sub(r"\(.*", "", line).strip() for line in said.out.splitlines()] == [
        f"{first}: AA", f"{second}: AA", f"{second}: AA",
    ]  # fmt: skip


def test_send_exits_1_when_an_answer_is_not_aa(live: Site, number: str, tmp_path: Path) -> None:
    good = tmp_path / "good.hl7"
    good.write_bytes(an_order(number))

    said = live.ask(
        "send", str(SAMPLES / "bad" / "unknown-sender.hl7"), str(good), "--to", f"127.0.0.1:{live.port}", "--json"
    )

    assert said.exit_status == 1
    assert [one["code"] for one in said.json()] == ["AR", "AA"]
    assert all(one.keys() == {"file", "code", "text", "milliseconds"} for one in said.json())


def test_list_and_show_have_the_keys_of_the_contract(live: Site, number: str) -> None:
    live.send(an_order(number))
    referral = live.referral_of(f"P-{number}")
    in_state(live, referral, "delivered", kind="order")

    line = row_of(live.ask_json("list", "--limit", "10000"), placer_number=f"P-{number}")
    shown = live.ask_json("show", referral)

    assert line.keys() >= LIST_KEYS
    assert line["id"] == referral
    assert (line["channel"], line["specialty"], line["priority"]) == (CARDIOLOGY, "cardiology", "routine")
    assert RFC_3339.fullmatch(line["ordered_at"])
    assert shown.keys() >= SHOW_KEYS
    assert shown["tracks"].keys() == TRACKS
    assert shown["patient"]["family"] == f"Family{number}"
    assert all(one.keys() >= {"kind", "due_at", "generation", "state"} for one in shown["deadlines"])
    assert all(one.keys() >= {"at", "kind", "summary", "message_id", "reason"} for one in shown["timeline"])
    assert shown["deadlines"]
    assert all(RFC_3339.fullmatch(one["at"]) for one in shown["timeline"])
    assert [one["at"] for one in shown["timeline"]] == sorted(one["at"] for one in shown["timeline"])
    assert live.ask_json("list", "--status", "ended") == []


def test_show_with_bytes_has_every_message_in_and_out_as_it_was(live: Site, number: str) -> None:
    order = an_order(number)
    live.send(order)
    referral = live.referral_of(f"P-{number}")
    sent = in_state(live, referral, "delivered", kind="order")

    told = live.ask_json("show", referral, "--bytes")["timeline"]

    assert order.decode() in [one.get("bytes") for one in told if one["kind"] == "message"]
    (received,) = live.partners[CARDIOLOGY].received(sent["wire_id"])
    assert received.decode() in [one.get("bytes") for one in told if one["kind"] == "effect"]
    assert f"P-{number}" in live.ask("show", referral, "--bytes").out


def test_tasks_can_be_claimed_and_done_with_what_was_learned_and_the_referral_moves(
    live: Site, number: str, refusing: Callable[[], None]
) -> None:
    live.send(an_order(number))
    referral = live.referral_of(f"P-{number}")
    task = open_task(live, referral, "undeliverable")
    row = row_of(live.ask_json("tasks", "--limit", "10000"), id=task)
    assert row.keys() >= TASK_KEYS
    assert (row["state"], row["queue"]) == ("open", "referral-desk")

    claimed = live.ask("task", "claim", str(task), "--by", "jane")
    theirs = live.ask("task", "claim", str(task), "--by", "john")
    done = live.ask(
        "task", "done", str(task), "--by", "jane", "--note", "They took it by telephone.",
        "--booked", "2031-03-10 09:30",
    )  # fmt: skip
    again = live.ask("task", "done", str(task), "--by", "jane", "--note", "once more")

    assert (claimed.exit_status, claimed.out) == (0, f"task {task} is yours\n")
    assert theirs.exit_status == 1
    assert (done.exit_status, done.out) == (0, f"task {task} is done\n")
    assert (again.exit_status, "done already" in again.err) == (1, True)
    shown = live.ask_json("show", referral)
    assert (shown["status"], shown["tracks"]["appointment"]) == ("scheduled", "booked")
    assert shown["appointments"][0]["starts_at"] == "2031-03-10T14:30:00Z", "clinic wall time, in Chicago"
    assert row_of(live.ask_json("tasks", "--all", "--limit", "10000"), id=task)["state"] == "done"
    assert task not in [one["id"] for one in live.ask_json("tasks", "--limit", "10000")]


def test_a_hold_is_released_by_a_person_and_the_packet_leaves(live: Site, number: str) -> None:
    live.send(an_order(number, "orm-o01-cardiology-hmo.hl7"))
    referral = live.referral_of(f"P-{number}")
    assert live.ask_json("show", referral)["status"] == "held"
    assert live.sendings(referral, channel=CARDIOLOGY) == []
    task = open_task(live, referral, "preauth")

    said = live.ask(
        "task", "done", str(task), "--note", "payer called", "--authorized", "AUTH7", "--authorized-until", "2031-06-30"
    )

    assert said.exit_status == 0
    in_state(live, referral, "delivered", kind="order", channel=CARDIOLOGY)
    assert live.ask_json("show", referral)["tracks"]["authorization"] == "approved"


def test_a_refused_sending_can_be_parked_and_retried_as_the_same_message(
    live: Site, number: str, refusing: Callable[[], None]
) -> None:
    live.send(an_order(number))
    referral = live.referral_of(f"P-{number}")
    failed = in_state(live, referral, "failed", kind="order")
    assert failed.keys() >= OUTBOX_KEYS
    assert failed["id"] in [row["id"] for row in live.ask_json("outbox", "--limit", "10000")]
    assert failed["id"] in [row["id"] for row in live.ask_json("outbox", "--state", "failed", "--limit", "10000")]

    parked = live.ask("outbox", "park", str(failed["id"]))
    row = in_state(live, referral, "parked", kind="order")
    refusing()
    retried = live.ask("outbox", "retry", str(failed["id"]))
    delivered = in_state(live, referral, "delivered", kind="order")
    late = live.ask("outbox", "cancel", str(failed["id"]))

    assert (parked.exit_status, retried.exit_status) == (0, 0)
    assert row["wire_id"] == failed["wire_id"] == delivered["wire_id"]
    first, second = live.partners[CARDIOLOGY].received(failed["wire_id"])
    assert first == second
    assert late.exit_status == 1
    assert "is not in a state that allows cancel" in late.err


def test_a_cancelled_sending_never_leaves_again(live: Site, number: str, refusing: Callable[[], None]) -> None:
    live.send(an_order(number))
    referral = live.referral_of(f"P-{number}")
    failed = in_state(live, referral, "failed", kind="order")

    cancelled = live.ask("outbox", "cancel", str(failed["id"]))
    retried = live.ask("outbox", "retry", str(failed["id"]))

    assert cancelled.exit_status == 0
    assert retried.exit_status == 1
    assert in_state(live, referral, "cancelled", kind="order")["attempts"] == failed["attempts"]
    assert len(live.partners[CARDIOLOGY].received(failed["wire_id"])) == 1


def test_a_faxed_order_is_one_file_in_the_gateways_directory(live: Site, number: str) -> None:
    live.send(an_order(number, "orm-o01-orthopaedics.hl7"))
    referral = live.referral_of(f"P-{number}")

    sent = in_state(live, referral, "delivered", transport="spool", kind="order")

    (file,) = (live.var / "spool" / "fax").glob(f"{sent['wire_id']}*")
    assert file.read_bytes().startswith(b"%PDF")
    assert file.stat().st_mode & 0o007 == 0, "the world may not read it"


def test_a_message_sent_again_is_one_message_with_the_same_answer(live: Site, number: str) -> None:
    order = an_order(number)

    answers = live.send(order, order) + live.send(order)

    assert answers == ["AA", "AA", "AA"]
    assert row_of(live.ask_json("messages", "--limit", "10000"), control_id=control_id(order))
    assert len(live.sendings(live.referral_of(f"P-{number}"), kind="order")) == 1


def test_messages_and_message_show_tell_what_came_and_what_was_answered(live: Site, number: str) -> None:
    order = an_order(number)
    live.send(order)

    row = row_of(live.ask_json("messages", "--limit", "10000"), control_id=f"C{number}")
    whole = live.ask_json("message", "show", str(row["id"]))

    assert row.keys() >= MESSAGE_KEYS
    assert (row["feed"], row["type"], row["disposition"], row["ack"]) == ("ehr", "ORM^O01", "applied", "AA")
    assert whole.keys() >= MESSAGE_KEYS | {"raw", "raw_hex", "answer", "peer", "config"}
    assert bytes.fromhex(whole["raw_hex"]) == order
    assert f"MSA|AA|C{number}" in whole["answer"]


def test_quarantined_messages_are_shown_with_their_bytes_and_the_reason(
    live: Site, number: str, tmp_path: Path
) -> None:
    training = sample("bad/training-system.hl7", {"MSH-10": f"C{number}"})
    assert live.send(training) == ["AR"]

    row = row_of(live.ask_json("messages", "--quarantined", "--limit", "10000"), control_id=f"C{number}")
    copy = tmp_path / "copy.hl7"
    said = live.ask("message", "show", str(row["id"]), "--raw", str(copy))

    assert (row["disposition"], row["ack"]) == ("quarantined", "AR")
    assert row["reason"] == "this processing id is not accepted here"
    assert said.exit_status == 0
    assert row["reason"] in said.out
    assert f"C{number}" in said.out
    assert copy.read_bytes() == training
    assert all(one["disposition"] == "quarantined" for one in live.ask_json("messages", "--quarantined"))


def test_an_order_for_nobody_becomes_a_task_that_names_its_message(live: Site, number: str) -> None:
    live.send(an_order(number, "orm-o01-unroutable.hl7"))

    row = row_of(live.ask_json("messages", "--limit", "10000"), control_id=f"C{number}")
    task = row_of(live.ask_json("tasks", "--limit", "10000"), message_id=row["id"])

    assert (row["disposition"], task["kind"], task["referral"]) == ("needs-human", "unroutable-order", None)


def test_status_says_ready_and_counts_everything(live: Site, number: str) -> None:
    live.send(an_order(number))

    said = live.ask("status", "--json")
    told = said.json()

    assert said.exit_status == 0
    assert told.keys() >= {"ready", "version", "journal", "listeners", "outbox", "clock"}
    assert told["ready"] is True
    assert told["journal"].keys() >= {"messages", "pending", "quarantined"}
    parts = [count for name, count in told["journal"].items() if name != "messages"]
    assert told["journal"]["messages"] == sum(parts), "received = applied + no-op + quarantined + needs-human + pending"
    assert (told["listeners"][0]["port"], told["listeners"][0]["listening"]) == (live.port, True)
    assert RFC_3339.fullmatch(told["clock"]["now"])
    assert live.ask("status").out.startswith("ready\n")


def test_what_is_not_there_is_a_sentence_and_1(live: Site) -> None:
    for words, sentence in {
        ("show", "RE-9999"): "there is no referral RE-9999",
        ("message", "show", "99999999"): "there is no message 99999999",
        ("task", "claim", "99999999"): "task 99999999 is unknown",
        ("task", "done", "99999999", "--note", "x"): "task 99999999 is unknown",
        ("task", "done", "1", "--note", "x", "--end", "bored"): "'bored' is not one of",
        ("outbox", "park", "99999999"): "sending 99999999 is not in a state that allows park",
        ("outbox", "--state", "lost"): "'lost' is not one of queued",
        ("list", "--status", "lost"): "'lost' is not one of ended",
    }.items():
        said = live.ask(*words)
        assert (said.exit_status, said.out) == (1, ""), words
        assert sentence in said.err


def test_every_table_is_printed_for_people_too(live: Site, number: str) -> None:
    live.send(an_order(number), an_order(f"{number}H", "orm-o01-cardiology-hmo.hl7"))
    referral = live.referral_of(f"P-{number}")

    assert referral in live.ask("list").out
    assert "preauth" in live.ask("tasks").out
    assert referral in live.ask("outbox", "--all").out
    assert f"C{number}" in live.ask("messages").out
    assert "Ordered by the EHR" in live.ask("show", referral).out
    assert live.ask("tasks", "--queue", "nobody").out == "nothing to do\n"


def test_a_command_in_a_process_of_its_own_finds_the_daemon_by_its_files(live: Site) -> None:
    said = program("status", "--json", "--conf", "conf/engine.toml", cwd=live.root)

    assert said.returncode == 0, said.stderr
    assert '"ready": true' in said.stdout


def test_a_second_daemon_on_the_same_directory_is_refused_with_a_sentence(live: Site) -> None:
    said = program("run", "--conf", "conf/engine.toml", cwd=live.root)

    assert said.returncode == 74
    assert "referral-engine cannot start: " in said.stderr
    assert "is in use by another process" in said.stderr
    assert "Traceback" not in said.stderr
    assert live.ask("status").exit_status == 0, "the first one is not disturbed"
