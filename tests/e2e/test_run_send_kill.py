"""A daemon that is stopped, killed at random moments and started again: nothing acknowledged is lost or done twice."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

import pytest

from tests.e2e.support import PATIENCE_SECONDS, Line, Site, an_order, control_id, environment, eventually, sample
from tests.torture.budget import seconds

ROUNDS: Final = 8
ROUNDS_MAX: Final = 300  # of one site in `make torture`
MESSAGES_MAX: Final = 30  # of one round, so that all rounds stay below what one answer of the journal shows
CANARY_NAME, CANARY_MRN, CANARY_PHONE = "Zyzzyvacanary", "MRNCANARY7731", "5559137"

# What a fresh process finds in a journal nobody else has open.
_LOOK = """
import json, sys
from pathlib import Path
from referral_engine.journal.journal import Journal
from referral_engine.journal.reading import ROWS_MAX
key = bytes.fromhex(Path("var/journal.key").read_text())
journal = Journal.open("var/journal.db", key)
reading = journal.read()
print(json.dumps({
    "bad_audit_line": reading.first_bad_audit_line(),
    "conserved": reading.conservation().holds,
    "bodies": {row.wire_id: row.body.hex() for row in reading.outbox(settled=True, limit=ROWS_MAX)},
    "received": {row.control_id.decode(): reading.message(row.sequence).raw.hex() for row in reading.messages(limit=ROWS_MAX)},
}))
journal.close()
"""


def looked_at(site: Site) -> dict[str, Any]:
    """The journal of a stopped site, read in a fresh process."""
    said = subprocess.run(
        [sys.executable, "-c", _LOOK], cwd=site.root, env=environment(), text=True, capture_output=True, timeout=90
    )
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def at_rest(site: Site) -> bool:
    """Whether nothing waits and nothing is in flight."""
    return not any(row["state"] in ("queued", "in-flight") for row in site.ask_json("outbox", "--limit", "10000"))


def owed(site: Site, *words: str) -> list[dict[str, Any]]:
    """What is owed to the specialists and the EHR; texts to patients may have to wait until the morning."""
    rows: list[dict[str, Any]] = site.ask_json("outbox", "--limit", "10000", *words)
    return [row for row in rows if row["channel"] != "patient"]


def delivered(site: Site, seconds: float) -> None:
    """Wait until nothing is owed any more; fails with the first few of what is."""
    deadline = time.monotonic() + seconds
    while rows := owed(site):
        assert time.monotonic() < deadline, f"{len(rows)} still owed: {rows[:3]}"
        time.sleep(0.1)


# -- start and stop


def test_sigterm_ends_it_with_0_within_five_seconds_while_work_is_going_on(site: Site) -> None:
    site.start()
    with closing(Line(site.port)):  # somebody who says nothing
        site.send(*(an_order(f"S{number}") for number in range(5)))

        begun = time.monotonic()
        status = site.stop()
        took = time.monotonic() - begun

    assert status == 0
    assert took < 5
    assert not (site.var / "control.sock").exists()
    assert site.ask("list").exit_status == 1


def test_what_was_kept_is_there_after_a_restart_and_the_same_message_is_no_new_one(site: Site) -> None:
    order = an_order("R1")
    site.start()
    site.send(order)
    before = site.ask_json("messages")
    site.stop()

    site.start()

    assert site.send(order) == ["AA"]
    assert site.ask_json("messages") == before


def test_a_port_that_somebody_has_is_said_and_ends_it_with_78(site: Site) -> None:
    site.start()
    other = Site(site.root.parent / f"{site.root.name}-other")
    other.root.mkdir()
    try:
        other.lay_out()
        engine = other.root / "conf" / "engine.toml"
        engine.write_text(engine.read_text().replace(f"= {other.port}\n", f"= {site.port}\n"))

        other.spawn()

        assert other.exit_status() == 78
        assert f"cannot listen on 127.0.0.1:{site.port}: Address already in use" in other.log
    finally:
        other.close()


def test_wrong_files_end_it_with_78_and_their_place(site: Site) -> None:
    site.add("channels/imaging-northside.toml", "\n[carriage]\n")

    site.spawn()

    assert site.exit_status() == 78
    assert "channels/imaging-northside.toml:" in site.log
    assert not site.var.exists(), "nothing is made before the files are right"


def test_another_journals_key_ends_it_with_74_and_changes_nothing(site: Site) -> None:
    site.start()
    site.stop()
    key = site.var / "journal.key"
    first, stored = key.read_text(), (site.var / "journal.db").read_bytes()
    key.write_text("00" * 32 + "\n")

    site.spawn()

    assert site.exit_status() == 74
    assert "The key does not open" in site.log
    assert first.strip() not in site.log
    assert (site.var / "journal.db").read_bytes() == stored


# -- what must not be readable


def canaries() -> Iterator[bytes]:
    """Messages of all kinds with a patient who must appear nowhere."""
    patient = {
        "PID-3.1": CANARY_MRN, "PID-5.1": CANARY_NAME, "PID-5.2": CANARY_NAME, "PID-13.7": CANARY_PHONE,
    }  # fmt: skip
    for number, name in enumerate(
        [
            "orm-o01-cardiology-ppo.hl7",
            "orm-o01-cardiology-hmo.hl7",
            "orm-o01-orthopaedics.hl7",
            "orm-o01-unroutable.hl7",
            "siu-s12-cardiology.hl7",
            "mdm-t02-cardiology-final.hl7",
            "oru-r01-cardiology-wrong-patient.hl7",
            "adt-a08-new-phone.hl7",
            "bad/training-system.hl7",
            "bad/unknown-sender.hl7",
            "bad/unknown-type.hl7",
        ]
    ):
        yield sample(name, patient | {"MSH-10": f"CANARY{number}"})


def test_no_patient_can_be_read_from_the_disk_the_log_or_a_files_name(site: Site) -> None:
    site.start()
    site.partners["cardiology-heart-group"].answers = "AR"
    site.send(*canaries())
    with closing(Line(site.port)) as line:  # broken framing and broken content, too
        line._wire.sendall(b"\x0bMSH|^~\\&|" + CANARY_NAME.encode() + b"\r\x1c\x0dPID|" + CANARY_MRN.encode())
    assert site.ask("show", CANARY_NAME).exit_status == 1
    eventually(lambda: at_rest(site), "everything is settled")
    assert any(CANARY_NAME.encode() in frame for _, frame in site.partners["cardiology-heart-group"].ledger)
    site.kill()

    words = [one.encode() for one in (CANARY_NAME, CANARY_NAME.upper(), CANARY_MRN, CANARY_PHONE)]
    journal = [path for path in site.var.iterdir() if path.name.startswith("journal.")]
    assert {"journal.db", "journal.db-wal", "journal.key"} <= {path.name for path in journal}
    for path in journal:
        assert path.stat().st_mode & 0o777 == 0o600, path.name
        stored = path.read_bytes()
        assert not any(word in stored for word in words), f"{path.name} can be read"
    names = "\n".join(str(path) for path in site.root.rglob("*"))
    assert not any(word.decode() in names for word in words)
    assert "A sending did not arrive." in site.log, "something was logged"
    assert not any(word.decode() in site.log for word in words)
    assert all(json.loads(line) for line in site.log.splitlines())


def test_the_control_socket_is_its_owners_alone(site: Site) -> None:
    site.start()

    assert (site.var / "control.sock").stat().st_mode & 0o777 == 0o600
    assert site.var.stat().st_mode & 0o077 == 0


# -- kill -9


@dataclass
class Sender:
    """Streams orders over one connection after another, and remembers which were acknowledged."""

    site: Site
    chance: random.Random
    sent: dict[str, bytes] = field(default_factory=dict)  # MSH-10 to the message
    acknowledged: set[str] = field(default_factory=set)

    def stream(self, prefix: str) -> None:
        """Send new orders until the engine is gone or the round's are all sent; a lost answer is none."""
        try:
            with closing(Line(self.site.port)) as line:
                for number in range(MESSAGES_MAX):
                    fax = self.chance.random() < 0.2
                    name = "orm-o01-orthopaedics.hl7" if fax else "orm-o01-cardiology-ppo.hl7"
                    order = an_order(f"{prefix}N{number}", name)
                    self.sent[control_id(order)] = order
                    if line.exchange(order) == "AA":
                        self.acknowledged.add(control_id(order))
        except OSError:
            return

    def send_the_rest_again(self) -> None:
        """Send again whatever was never acknowledged, as a sender does after a restart, and a little that was."""
        rest = [message for number, message in self.sent.items() if number not in self.acknowledged]
        known = self.chance.sample(sorted(self.acknowledged), min(5, len(self.acknowledged)))
        answers = self.site.send(*rest, *(self.sent[number] for number in known))
        assert set(answers) <= {"AA"}


def killed_again_and_again(site: Site, rounds: int, *, seconds_max: float = inf) -> Sender:
    """Stream and kill, `rounds` times; then start once more, and send again what was never acknowledged."""
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"play it again with KILL_SEED={seed}")
    chance = random.Random(seed)
    sender = Sender(site, chance)
    until = time.monotonic() + seconds_max
    for number in range(rounds):
        if time.monotonic() > until:
            break
        site.start()
        streaming = threading.Thread(target=sender.stream, args=(f"K{number}",), daemon=True)
        streaming.start()
        time.sleep(chance.uniform(0.02, 0.5))
        site.kill()
        streaming.join(30)
        assert not streaming.is_alive()
    print(f"{len(sender.sent)} sent, {len(sender.acknowledged)} acknowledged")
    site.start()
    sender.send_the_rest_again()
    return sender


def check_what_came_in(site: Site, sender: Sender) -> None:
    """Every message is there once with one referral, whatever was acknowledged when."""
    rows = site.ask_json("messages", "--limit", "10000")
    counted = Counter(row["control_id"] for row in rows)
    placed = Counter(row["placer_number"] for row in site.ask_json("list", "--limit", "10000"))
    assert sender.acknowledged - counted.keys() == set(), "acknowledged, and not kept"
    assert counted == Counter(sender.sent.keys()), "each is there once, and nothing else"
    odd = [row for row in rows if row["disposition"] != "applied" or placed[f"P-{row['control_id'][1:]}"] != 1]
    assert not odd, f"each is one referral: {odd}\n{site.log}"
    assert placed == Counter(f"P-{number[1:]}" for number in sender.sent), "there is no other referral"


def check_what_went_out(site: Site, rows: list[dict[str, Any]], stored: dict[str, Any], sent: int) -> None:
    """Each sending has one MSH-10, whose bytes are always the same; each purpose of a referral has one sending."""
    purposes = Counter((row["referral"], row["channel"], row["kind"], row["about"]) for row in rows)
    assert max(purposes.values()) == 1, "the same was owed twice"
    assert sum(row["kind"] == "order" for row in rows) == sent, "every referral's packet is owed once"
    assert {row["state"] for row in rows} == {"delivered"}
    wires = {row["wire_id"]: row for row in rows}
    for name, partner in site.partners.items():
        seen = defaultdict(set)
        for wire_id, frame in list(partner.ledger):
            seen[wire_id].add(frame)
        for wire_id, frames in seen.items():
            assert wires[wire_id]["channel"] == name, f"{wire_id} went to somebody else"
            assert frames == {bytes.fromhex(stored["bodies"][wire_id])}, f"{wire_id} left with other bytes"
        lost = [
            wire_id
            for wire_id, row in wires.items()
            if row["channel"] == name and row["state"] == "delivered" and wire_id not in seen
        ]
        assert lost == [], "counted as delivered, and never seen"
    files = {path.stem: path.read_bytes() for path in (site.var / "spool" / "fax").iterdir()}
    for row in rows:
        if row["transport"] == "spool" and row["state"] == "delivered":
            assert files[row["wire_id"]] == bytes.fromhex(stored["bodies"][row["wire_id"]])


def check_everything(site: Site, sender: Sender) -> None:
    """All the promises about a crash."""
    check_what_came_in(site, sender)
    rows = owed(site, "--all")
    assert site.stop() == 0
    stored = looked_at(site)
    assert stored["bad_audit_line"] is None
    assert stored["conserved"]
    assert {number: bytes.fromhex(raw) for number, raw in stored["received"].items()} == sender.sent
    check_what_went_out(site, rows, stored, len(sender.sent))
    assert "Traceback" not in site.log


def test_killed_at_random_moments_it_loses_nothing_and_does_nothing_twice(site: Site) -> None:
    sender = killed_again_and_again(site, ROUNDS)

    delivered(site, PATIENCE_SECONDS)

    assert sender.acknowledged, "some were acknowledged"
    check_everything(site, sender)


@pytest.mark.torture
def test_killed_for_minutes_it_delivers_everything_in_the_end(site: Site) -> None:
    sender = killed_again_and_again(site, ROUNDS_MAX, seconds_max=seconds())

    delivered(site, 3 * PATIENCE_SECONDS)

    check_everything(site, sender)
