"""The checkers: what was seen outside and what is stored in, sentences about what is wrong out; none when all is well.

Each takes values or a `Reading`, so that a simulation, a kill loop and a crash image are judged by the same code.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from referral_engine.base.clock import from_micros, to_micros
from referral_engine.channels.book import Book
from referral_engine.journal.answers import Story
from referral_engine.journal.codec import decode_event
from referral_engine.journal.conservation import balance
from referral_engine.journal.reading import ROWS_MAX, Reading
from referral_engine.journal.rows import Disposition, EffectRow, EffectState, EventRow, MessageRow
from referral_engine.journal.scrub import scrub
from referral_engine.loop.clocks import deadlines
from referral_engine.loop.effects import Send
from referral_engine.loop.events import DeadlinePassed, Event, ReferralOrdered
from referral_engine.loop.policy import Policy
from referral_engine.loop.referral import Referral
from referral_engine.loop.rules import decide
from tests.simulation.ledgers import Received, Told

CUSTODY: Final = frozenset({"AA", "CA"})
TERMINAL: Final = frozenset(
    {EffectState.DELIVERED, EffectState.FAILED, EffectState.UNKNOWN, EffectState.PARKED, EffectState.CANCELLED}
)
SEALED: Final = re.compile(r"messages (\d+)-(\d+) \(\d+\)")  # what a line of the audit says it is about
SHOWN_MAX: Final = 5  # of one kind of finding


def lost_acks(told: Iterable[Told], messages: Sequence[MessageRow]) -> list[str]:
    """P1: whoever was told something finds its exact bytes in the journal, and that answer beside them."""
    stored: dict[bytes, set[bytes]] = defaultdict(set)
    for row in messages:
        stored[_hash_of(row)].add(row.answer)
    wrong = []
    for one in told:
        came = hashlib.sha256(one.raw).digest()
        if came not in stored:
            wrong.append(f"LOST: a message was answered {one.code} and is not stored ({_short(one.raw)})")
        elif one.answer not in stored[came]:
            wrong.append(f"a message was answered {one.code} with an answer that is not stored ({_short(one.raw)})")
    return _few(wrong)


def changed_answers(told: Iterable[Told]) -> list[str]:
    """P2: the same bytes get the first answer again, byte for byte."""
    first: dict[bytes, bytes] = {}
    return _few(
        f"a message sent again got another answer ({_short(one.raw)})"
        for one in told
        if first.setdefault(one.raw, one.answer) != one.answer
    )


def stored_twice(messages: Sequence[MessageRow]) -> list[str]:
    """P2: no two rows hold the same bytes of the same sender."""
    count = Counter((row.key.partner, _hash_of(row)) for row in messages)
    return _few(
        f"DOUBLED: the same bytes are stored {number} times (SHA-256 {sha256.hex()})"
        for (_, sha256), number in count.items()
        if number > 1
    )


def broken_custody(messages: Sequence[MessageRow]) -> list[str]:
    """P16: the stored hash is the hash of the stored bytes."""
    return _few(
        f"message {row.sequence}: its bytes are not the bytes that were hashed"
        for row in messages
        if _hash_of(row) != row.key.sha256
    )


def reduced_wrongly(reading: Reading, messages: Sequence[MessageRow]) -> list[str]:
    """P3, P17: only what concerns nobody was reduced, to its header, by a purge that stands in the audit."""
    spans = [
        (int(found[1]), int(found[2]))
        for (target,) in reading._connection.execute("SELECT object FROM audit WHERE action = 'purged'").fetchall()
        if (found := SEALED.fullmatch(target))
    ]
    cited = {row[0] for row in reading._connection.execute("SELECT message FROM events").fetchall()}
    reduced = [row for row in messages if row.purged_at]
    return _few(
        f"message {row.sequence} was reduced, and {why}"
        for row in reduced
        for why, holds in (
            ("no line of the audit says so", not any(first <= row.sequence <= last for first, last in spans)),
            ("it is no no-op of nobody", row.disposition is not Disposition.NO_OP or bool(row.referral)),
            ("an event cites it", row.sequence in cited),
            ("more than its header is left", b"\r" in row.raw),
        )
        if holds
    )


def _hash_of(row: MessageRow) -> bytes:
    """The hash of the bytes that came: of what is stored, or what the key says of a reduced one."""
    return row.key.sha256 if row.purged_at else hashlib.sha256(row.raw).digest()


def broken_sums(reading: Reading) -> list[str]:
    """P3: what was counted as it came is what is there, in a closed set of dispositions; nobody is without a clock."""
    found, counts = reading.conservation(), reading.counts()
    wrong = [] if found.holds else [f"conservation does not hold: {found}"]
    if counts.received() != sum(counts.received(one) for one in Disposition):
        wrong.append("the dispositions do not add up to what was received")
    return wrong


def wrong_queue(received: Iterable[Received], effects: Sequence[EffectRow]) -> list[str]:
    """P6, P7: what was delivered was received, what was received was owed, and one id is always the same bytes."""
    owed = {row.wire_id: row for row in effects}
    wrong = [] if len(owed) == len(effects) else ["two sendings have one id"]
    seen: dict[str, bytes] = {}
    taken: set[str] = set()
    for one in received:
        taken |= {one.wire_id} if one.taken else set()
        row = owed.get(one.wire_id)
        if row is None:
            wrong.append(f"UNEXPECTED: {one.lane} received {one.wire_id}, which nobody owed")
        elif row.body != one.body:
            wrong.append(f"{one.lane} received other bytes than are owed under {one.wire_id}")
        elif row.lane != one.lane:
            wrong.append(f"{one.lane} received {one.wire_id}, which is owed to {row.lane}")
        if seen.setdefault(one.wire_id, one.body) != one.body:
            wrong.append(f"DOUBLED: {one.wire_id} came with two contents")
    wrong += [
        f"LOST: {row.wire_id} counts as delivered to {row.lane}, who never took it"
        for row in effects
        if row.state is EffectState.DELIVERED and row.wire_id not in taken
    ]
    return _few(wrong)


def one_effect_a_cause(effects: Sequence[EffectRow]) -> list[str]:
    """P4: a cause owes each of its sendings once."""
    count = Counter((row.cause, row.ordinal) for row in effects)
    return _few(
        f"DOUBLED: event {cause} owes its sending {ordinal} twice" for (cause, ordinal), n in count.items() if n > 1
    )


def unfinished(effects: Sequence[EffectRow], now_micros: int, grace_micros: int) -> list[str]:
    """P6: nothing that has been due for longer than the grace is still waiting."""
    return _few(
        f"{row.wire_id} to {row.lane} is still {row.state.value} after {row.attempts} attempts"
        for row in effects
        if row.state not in TERMINAL and max(row.next_at, row.created_at) + grace_micros <= now_micros
    )


def wrong_state(story: Story, book: Book, default: Policy) -> list[str]:
    """P4, P5: the stored events, decided anew by the pure rules, give the stored referral, its clocks and its sendings."""
    identity = story.line.id
    channel = book.channels.get(story.line.channel)
    policy = channel.policy if channel is not None else default
    state: Referral | None = None
    wrong: list[str] = []
    sendings: Counter[int] = Counter(row.cause for row in story.effects)
    for row in story.events:
        event = decode_event(row.kind, row.body)
        state = state or _begun(story, event)
        if state is None:
            return [f"{identity}: its first event is {row.kind}"]
        decision = decide(state, event, policy)
        state = decision.referral
        owed = sum(isinstance(effect, Send) for effect in decision.effects)
        if owed != sendings.pop(row.sequence, 0):
            wrong.append(
                f"{identity}: event {row.sequence} {row.kind} owes {owed} sendings, and another number is stored"
            )
    if state != story.referral:
        wrong.append(f"{identity}: its events, decided anew, give another state than is stored")
    wrong += [f"{identity}: sendings of event {cause}, which is not among its events" for cause in sendings]
    wrong += _wrong_clocks(story, policy)
    return wrong


def _begun(story: Story, event: Event) -> Referral | None:
    """The referral as the door makes it of a new order."""
    if not isinstance(event, ReferralOrdered):
        return None
    return Referral(
        id=story.line.id,
        channel=story.line.channel,
        patient=event.patient,
        order=event.order,
        hold=event.hold,
        duplicate_of=event.duplicate_of,
        config=story.referral.config,
    )


def _wrong_clocks(story: Story, policy: Policy) -> list[str]:
    """The clocks that run are those that follow from the referral, and an open one owns one that has not fired."""
    stored = {(row.kind, row.generation): row for row in story.deadlines}
    wrong = []
    derived = {(str(one.kind), one.generation): to_micros(one.due_at) for one in deadlines(story.referral, policy)}
    for key, due_at in derived.items():
        row = stored.get(key)
        if row is None or row.state == "cancelled" or (row.state == "pending" and row.due_at != due_at):
            wrong.append(f"{story.line.id}: the clock {key} should run and does not, or to another instant")
    for key, row in stored.items():
        if row.state == "pending" and key not in derived:
            wrong.append(f"{story.line.id}: the clock {key} runs and should not")
    if not story.referral.is_over and not any(row.state == "pending" for row in story.deadlines):
        wrong.append(f"{story.line.id}: open, and no clock runs")
    return wrong


def wrong_firing(story: Story) -> list[str]:
    """P8: each clock that fired has one event, no event has two, and none came before its time."""
    identity, fired = story.line.id, Counter[tuple[str, int]]()
    wrong = []
    for row in story.events:
        if row.kind != DeadlinePassed.__name__:
            continue
        event = decode_event(row.kind, row.body)
        assert isinstance(event, DeadlinePassed)
        fired[str(event.kind), event.generation] += 1
        if from_micros(row.at) < event.due_at:
            wrong.append(f"EARLY: {identity}: {event.kind} {event.generation} fired before its time")
    wrong += [
        f"DOUBLED: {identity}: {kind} {generation} fired {n} times" for (kind, generation), n in fired.items() if n > 1
    ]
    marked = {(row.kind, row.generation) for row in story.deadlines if row.state == "fired"}
    if marked != set(fired):
        wrong.append(f"{identity}: the clocks marked as fired are not those with an event")
    return wrong


def out_of_order(events: Iterable[EventRow]) -> list[str]:
    """P5: time never goes back along the journal's order."""
    latest, wrong = 0, []
    for row in sorted(events, key=lambda one: one.sequence):
        if row.at < latest:
            wrong.append(f"event {row.sequence} is stamped before the one in front of it")
        latest = max(latest, row.at)
    return _few(wrong)


def unaudited(reading: Reading, messages: Sequence[MessageRow]) -> list[str]:
    """P16, P22: the chain is whole, and every message that came was sealed by one line of it."""
    bad = reading.first_bad_audit_line()
    wrong = [] if bad is None else [f"the audit's line {bad} is altered, missing or out of order"]
    sealed: Counter[int] = Counter()
    for (target,) in reading._connection.execute("SELECT object FROM audit WHERE action = 'received'").fetchall():
        found = SEALED.fullmatch(target)
        first, last = map(int, found.groups()) if found else (0, -1)
        sealed.update(row.sequence for row in messages if first <= row.sequence <= last)
    return wrong + _few(
        f"message {row.sequence} has {sealed[row.sequence]} lines in the audit, not one"
        for row in messages
        if sealed[row.sequence] != 1
    )


def altered(reading: Reading) -> list[str]:
    """P3, P16: every row fits its hash, no number is missing, every feed's books balance."""
    report, books = scrub(reading._connection), balance(reading._connection, deep=True)
    wrong = [] if report.whole else [f"the scrub found something: {report}"]
    return wrong + ([] if books.holds else [f"the books do not balance: {books}"])


def spoken_of(canaries: Iterable[bytes | str], said: Iterable[str]) -> list[str]:
    """P17: no log line names a patient."""
    words = [word.decode() if isinstance(word, bytes) else word for word in canaries]
    return _few(f"a log line names a patient: {line[:60]}..." for line in said if any(word in line for word in words))


# All of it.


def all_messages(reading: Reading) -> list[MessageRow]:
    """Every received message, in order, however many there are."""
    rows = (reading.message(number) for number in range(1, reading.counts().sequence + 1))
    return [row for row in rows if row is not None]


def all_effects(reading: Reading) -> list[EffectRow]:
    """Everything that was ever owed, in order, however much it is."""
    rows: list[EffectRow] = []
    while page := reading.owed_after(rows[-1].id if rows else 0):
        rows += page
    return rows


def all_stories(reading: Reading) -> Iterator[Story]:
    """Every referral with all that happened to it, the oldest first."""
    for line in reversed(reading.referrals(limit=ROWS_MAX)):
        story = reading.story(line.id)
        assert story is not None, "listed just now"
        assert not story.truncated, "a simulation stays below the limits of a story"
        yield story


def wrong_inside(reading: Reading, book: Book) -> list[str]:
    """What the journal alone shows to be wrong."""
    messages, effects = all_messages(reading), all_effects(reading)
    engine = book.engine
    calendar = engine.calendars.get("default") or next(iter(engine.calendars.values()))
    default = Policy(
        calendar=calendar, clocks=engine.clocks, networks=engine.network_clocks, duplicate_days=engine.duplicate_days
    )
    wrong = stored_twice(messages) + broken_custody(messages) + broken_sums(reading) + one_effect_a_cause(effects)
    wrong += reduced_wrongly(reading, messages)
    wrong += unaudited(reading, messages) + altered(reading)
    events: list[EventRow] = []
    for story in all_stories(reading):
        wrong += wrong_state(story, book, default) + wrong_firing(story)
        events += story.events
    return wrong + out_of_order(events)


def wrong_outside(reading: Reading, told: Sequence[Told], received: Sequence[Received]) -> list[str]:
    """What the ledgers of the world outside show to be wrong."""
    return lost_acks(told, all_messages(reading)) + changed_answers(told) + wrong_queue(received, all_effects(reading))


def _few(wrong: Iterable[str]) -> list[str]:
    return list(wrong)[:SHOWN_MAX]


def _short(raw: bytes) -> str:
    """A message's name for a person who looks: its hash, for its bytes are a patient's."""
    return "sha256 " + hashlib.sha256(raw).hexdigest()[:12]
