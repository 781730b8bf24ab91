"""Stored values in, the JSON that others script against out; keys are a contract, times are RFC 3339 UTC."""

from __future__ import annotations

from collections.abc import Sequence

from referral_engine.base.clock import rfc3339
from referral_engine.journal.answers import Counts, MessageLine, Moment, ReferralLine, Story
from referral_engine.journal.conservation import Books
from referral_engine.journal.reading import Reading
from referral_engine.journal.rows import (
    DeadlineRow,
    DecisionRow,
    Disposition,
    EffectRow,
    EffectState,
    MessageRow,
    TaskRow,
)
from referral_engine.journal.scrub import ScrubReport
from referral_engine.journal.versions import UNNUMBERED, Numbering
from referral_engine.service.review_shapes import instant, shape_decision, shape_patient, undone_events

Shape = dict[str, object]
TRACKS = ("authorization", "dispatch", "outreach", "appointment", "note", "closure")


def shape_line(line: ReferralLine) -> Shape:
    """One referral of `list`."""
    return {
        "id": line.id,
        "status": line.status.value,
        "channel": line.channel,
        "specialty": line.specialty,
        "priority": line.priority.value,
        "ordered_at": instant(line.ordered_at),
        "placer_number": line.placer_number,
    }


def shape_task(row: TaskRow) -> Shape:
    """One task of `tasks`."""
    return {
        "id": row.id,
        "queue": row.queue,
        "kind": row.kind,
        "referral": row.referral or None,
        "message_id": row.message or None,
        "opened_at": instant(row.opened_at),
        "due_at": instant(row.due_at),
        "state": row.state.value,
        "urgent": row.urgent,
        "claimed_by": row.claimed_by or None,
        "closed_at": instant(row.closed_at),
        "reason": row.reason,
    }


def shape_effect(row: EffectRow) -> Shape:
    """One sending of `outbox`."""
    return {
        "id": row.id,
        "referral": row.referral,
        "transport": row.transport,
        "channel": row.lane,
        "kind": row.purpose,
        "about": row.about,
        "recipient": row.recipient,
        "state": row.state.value,
        "attempts": row.attempts,
        "wire_id": row.wire_id,
        "created_at": instant(row.created_at),
        "next_at": instant(row.next_at) if row.state.value == "queued" else None,
        "settled_at": instant(row.settled_at),
        "reason": row.reason,
    }


def shape_message(line: MessageLine, numbering: Numbering = UNNUMBERED) -> Shape:
    """One message of `messages`; numbering: which number the configuration that decided had."""
    return {
        "id": line.sequence,
        "control_id": line.control_id.decode("latin-1"),
        "feed": line.partner,
        "type": line.type,
        "received_at": instant(line.received_at),
        "disposition": line.disposition.value,
        "ack": line.answer_code or None,
        "referral": line.referral or None,
        "level": line.level if line.level >= 0 else None,
        "reason": line.reason,
        "config": line.config,
        "configuration": numbering.number(line.config, line.received_at),
        "purged_at": instant(line.purged_at),
    }


def shape_whole_message(
    row: MessageRow, decisions: Sequence[DecisionRow] = (), numbering: Numbering = UNNUMBERED
) -> Shape:
    """One message with its bytes and its answer, for `message show`."""
    return {
        "id": row.sequence,
        "control_id": row.key.control_id.decode("latin-1"),
        "feed": row.key.partner,
        "peer": row.peer,
        "type": row.type,
        "received_at": instant(row.received_at),
        "disposition": row.disposition.value,
        "ack": row.answer_code or None,
        "referral": row.referral or None,
        "level": row.level if row.level >= 0 else None,
        "reason": row.reason,
        "config": row.config,
        "configuration": numbering.number(row.config, row.received_at),
        "purged_at": instant(row.purged_at),
        "raw": shown(row.raw),
        "raw_hex": row.raw.hex(),
        "answer": shown(row.answer),
        "decisions": [shape_decision(one) | {"configuration": numbering.in_force(one.at)} for one in decisions],
    }


def shape_counts(counts: Counts) -> Shape:
    """What the journal adds to `status`."""
    return {
        "journal": {"messages": counts.received()} | {one.value: counts.received(one) for one in Disposition},
        "outbox": {state.value: counts.owed(state) for state in EffectState},
        "tasks": {"open": counts.tasks_open},
        "referrals": {"open": counts.referrals_open},
        "deadlines": {
            "pending": counts.deadlines_pending,
            "next_at": instant(counts.oldest_deadline_at or 0),
        },
    }


def shape_scrub(rows: int, report: ScrubReport | None) -> Shape:
    """How far a scrub has come, and what it found once it has seen everything."""
    if report is None:
        return {"done": False, "rows": rows}
    findings = {name: list(getattr(report, name)) for name in ("bad", "gaps", "audit", "tallies")}
    return {"done": True, "rows": rows, "whole": report.whole, "findings": findings}


def shape_books(books: Books) -> Shape:
    """Whether everything that came is accounted for, feed by feed."""
    return {
        "conservation": {"holds": books.holds, "missing": list(books.missing)},
        "feeds": [
            {
                "feed": one.feed,
                "received": one.received,
                "applied": one.applied,
                "no-op": one.no_op,
                "quarantined": one.quarantined,
                "needs-human": one.needs_human,
                "pending": one.pending,
                "difference": one.difference,
                "ids": list(one.ids),
            }
            for one in books.accounts
        ],
    }


def shown(raw: bytes) -> str:
    """Bytes as text that JSON can hold; what is not UTF-8 stays visible."""
    return raw.decode("utf-8", "backslashreplace")


def shape_story(story: Story, reading: Reading | None = None, numbering: Numbering = UNNUMBERED) -> Shape:
    """One referral for `show`: head, tracks, clocks, tasks, timeline; with its bytes when given `reading`."""
    referral = story.referral
    decided = {("message", one.sequence): numbering.number(one.config, one.received_at) for one in story.messages}
    decided |= {("event", one.sequence): numbering.number(one.config, one.at) for one in story.events}
    order = referral.order
    undone = undone_events(story)
    return {
        "id": referral.id,
        "status": referral.status.value,
        "tracks": {track: getattr(referral, track).value for track in TRACKS},
        "patient": shape_patient(referral.patient),
        "placer_number": order.placer.value,
        "channel": referral.channel,
        "specialty": order.specialty,
        "priority": order.urgency.value,
        "ordered_at": rfc3339(order.ordered_at),
        "duplicate_of": referral.duplicate_of or None,
        "watched": referral.watched,
        "ending": referral.ending.value if referral.ending else None,
        "config": referral.config,
        "configuration": numbering.number(referral.config, story.line.updated_at),
        "appointments": [
            {"number": slot.number, "starts_at": rfc3339(slot.starts_at), "provisional": slot.provisional}
            for slot in referral.slots
        ],
        "deadlines": [_deadline(row) for row in story.deadlines],
        "tasks": [shape_task(row) for row in story.tasks],
        "timeline": [
            _moment(moment, story, reading, undone)
            | {"configuration": decided.get((moment.source, moment.number), numbering.in_force(moment.at))}
            for moment in story.timeline
        ],
        "truncated": story.truncated,
    }


def _moment(moment: Moment, story: Story, reading: Reading | None, undone: frozenset[int]) -> Shape:
    taken_back = moment.source == "event" and moment.number in undone
    line: Shape = {
        "at": instant(moment.at),
        "kind": moment.source,
        "what": moment.kind,
        "summary": f"{moment.summary} [undone since]" if taken_back else moment.summary,
        "message_id": moment.message or None,
        "reason": moment.reason,
    }
    if reading is None:
        return line
    if moment.source == "message":
        row = reading.message(moment.number)
        return line | ({"bytes": shown(row.raw), "answer": shown(row.answer)} if row else {})
    if moment.source == "effect":
        sending = next((one for one in story.effects if one.id == moment.number), None)
        return line | ({"bytes": shown(sending.body), "answer": shown(sending.reply)} if sending else {})
    return line


def _deadline(row: DeadlineRow) -> Shape:
    return {"kind": row.kind, "due_at": instant(row.due_at), "generation": row.generation, "state": row.state}
