"""The ledger held against the journal of a stopped daemon: two books of the same days in, their differences out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from referral_engine.journal.journal import Journal
from referral_engine.journal.reading import Reading
from referral_engine.journal.rows import EffectRow, EffectState, MessageRow
from referral_engine.torture.ledger import Ledger, Sent, fingerprint

PATIENT_LANE: Final = "patient"  # texts may have to wait for the morning
ORDER: Final = "order"  # the purpose of a referral's packet


@dataclass(slots=True)
class Findings:
    """What the two books say, and where they differ; a difference is named by MSH-10, which is made up."""

    told: int = 0
    stored: int = 0
    strays_stored: int = 0  # frames that proxies and vandals made up, kept for a person
    owed: int = 0
    delivered: int = 0
    waiting: int = 0  # texts to patients that wait for the morning
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    changed_bytes: list[str] = field(default_factory=list)
    changed_answers: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    effects_lost: list[str] = field(default_factory=list)
    effects_doubled: list[str] = field(default_factory=list)
    effects_changed: list[str] = field(default_factory=list)
    effects_undelivered: list[str] = field(default_factory=list)
    conservation: list[str] = field(default_factory=list)
    audit: list[str] = field(default_factory=list)
    stray_answers: list[str] = field(default_factory=list)
    exits: list[str] = field(default_factory=list)

    def differences(self) -> dict[str, list[str]]:
        """Every kind of difference with what it found; all are empty when the promises held."""
        return {name: value for name in self.__slots__ if isinstance(value := getattr(self, name), list)}

    @property
    def clean(self) -> bool:
        """Whether nothing differs."""
        return not any(self.differences().values())


def check_site(root: Path, ledger: Ledger) -> Findings:
    """Open the journal of a site whose daemon has ended, compare, and close it.

    Raises JournalError when the journal cannot be opened: then there is no telling what is lost.
    """
    key = bytes.fromhex((root / "var" / "journal.key").read_text(encoding="ascii"))
    journal = Journal.open(str(root / "var" / "journal.db"), key)
    try:
        return compare(ledger, journal.read(), root / "var" / "spool")
    finally:
        journal.close()


def compare(ledger: Ledger, reading: Reading, spool: Path) -> Findings:
    """Every difference between what was said and seen outside, and what is stored."""
    found = Findings(told=ledger.told)
    referral_of = _check_messages(found, ledger, reading)
    _check_effects(found, ledger, reading, referral_of, spool)
    found.changed_answers += _named(ledger.changed_answers)
    found.refused += _named(ledger.refused)
    found.out_of_order += _named(ledger.out_of_order)
    found.unanswered += [one.identity.decode() for one in ledger.sent.values() if not one.answers]
    found.exits += ledger.exits
    if ledger.stray_answers:
        found.stray_answers.append(f"{ledger.stray_answers} times")
    bad = reading.first_bad_audit_line()
    if bad is not None:
        found.audit.append(f"line {bad}")
    return found


def _check_messages(found: Findings, ledger: Ledger, reading: Reading) -> dict[int, str]:
    """Each message once, with its bytes and the answer its sender has; the referral of each order, by its number."""
    counted: Counter[tuple[str, str]] = Counter()
    rows: defaultdict[bytes, list[tuple[bytes, bytes, str]]] = defaultdict(list)
    for row in stored_messages(reading):
        found.stored += 1
        counted[row.key.partner, row.disposition.value] += 1
        if row.key.control_id in ledger.sent:
            rows[row.key.control_id].append((fingerprint(row.raw), row.answer, row.referral))
        else:
            found.strays_stored += 1
    for one in ledger.sent.values():
        _check_message(found, one, rows.get(one.identity, []))
    said = Counter({(one.partner, one.disposition.value): one.number for one in reading.counts().messages})
    sums = reading.conservation()
    found.conservation += [
        f"{partner or 'nobody'} {state}: {said[partner, state]} counted, {counted[partner, state]} there"
        for partner, state in sorted(said.keys() | counted.keys())
        if said[partner, state] != counted[partner, state]
    ]
    if sums.effects_counted != sums.effects_stored:
        found.conservation.append(f"effects: {sums.effects_counted} counted, {sums.effects_stored} there")
    found.conservation += [f"{one} has no clock" for one in sums.open_without_deadline]
    return {
        one.order: rows[one.identity][0][2] for one in ledger.sent.values() if one.order >= 0 and one.identity in rows
    }


def _check_message(found: Findings, one: Sent, rows: list[tuple[bytes, bytes, str]]) -> None:
    name = one.identity.decode()
    if not rows:
        found.lost += [name] if one.answers else []
        return
    if len(rows) > 1:
        found.doubled.append(name)
    stored, answer, _ = rows[0]
    if stored != fingerprint(one.message):
        found.changed_bytes.append(name)
    if one.answers and answer != one.answer:
        found.changed_answers.append(name)


def _check_effects(found: Findings, ledger: Ledger, reading: Reading, referral_of: dict[int, str], spool: Path) -> None:
    """Each purpose once; each sending once to a receiver that looks at its id, and with the bytes that are stored."""
    orders: Counter[str] = Counter()
    seen = {name: dict(frames) for name, frames in ledger.received.items()}
    known: defaultdict[str, set[bytes]] = defaultdict(set)
    files = {path.name.split(".")[0]: path for path in spool.rglob("*") if path.is_file()}
    for row in stored_effects(reading):
        found.owed += 1
        found.delivered += row.state is EffectState.DELIVERED
        orders[row.referral] += row.purpose == ORDER
        if row.transport == "mllp":
            known[row.lane].add(row.wire_id.encode())
            _check_wire(found, row, seen.get(row.lane, {}).get(row.wire_id.encode(), Counter()))
        elif row.state is EffectState.DELIVERED:
            _check_file(found, row, files.get(row.wire_id))
        _check_end(found, row)
    for number, referral in referral_of.items():
        if orders[referral] == 0:
            found.effects_lost.append(f"packet of order {number}")
    placed = Counter(referral_of.values())
    found.effects_doubled += [f"packet of {name}" for name, count in orders.items() if count > 1]
    found.effects_doubled += [f"{count} orders are one {name}" for name, count in placed.items() if count > 1]
    for name, frames in seen.items():
        found.effects_changed += [
            f"{name} got {one.decode()}, which nobody owed" for one in frames if one not in known[name]
        ]


def _check_wire(found: Findings, row: EffectRow, frames: Counter[bytes]) -> None:
    if frames and set(frames) != {fingerprint(row.body)}:
        found.effects_changed.append(row.wire_id)
    if row.state is EffectState.DELIVERED and not frames:
        found.effects_lost.append(row.wire_id)


def _check_file(found: Findings, row: EffectRow, path: Path | None) -> None:
    if path is None:
        found.effects_lost.append(row.wire_id)
    elif path.read_bytes() != row.body:
        found.effects_changed.append(row.wire_id)


def _check_end(found: Findings, row: EffectRow) -> None:
    if row.state in {EffectState.DELIVERED, EffectState.CANCELLED}:
        return
    if row.lane == PATIENT_LANE and row.state is EffectState.QUEUED:
        found.waiting += 1
    else:
        found.effects_undelivered.append(f"{row.wire_id} {row.lane} {row.state.value}")


def stored_messages(reading: Reading) -> Iterator[MessageRow]:
    """Every message that is stored, one at a time."""
    for sequence in range(1, reading.counts().sequence + 1):
        row = reading.message(sequence)
        if row is not None:
            yield row


def stored_effects(reading: Reading) -> Iterator[EffectRow]:
    """Every sending that was ever owed, the oldest first."""
    newest = 0
    while rows := reading.owed_after(newest):
        yield from rows
        newest = rows[-1].id


def _named(identities: list[bytes]) -> list[str]:
    return [identity.decode() for identity in dict.fromkeys(identities)]
