"""An explanation as JSON: keys are a contract; patients' values are not in it, only where they were found."""

from __future__ import annotations

from referral_engine.channels.book import Book
from referral_engine.channels.routing import explain as explain_routing
from referral_engine.flow.explaining import Explanation, Matched, Touched
from referral_engine.intake.reading import Reading
from referral_engine.service.review_shapes import instant
from referral_engine.service.shapes import shown

Shape = dict[str, object]


def shape_explanation(one: Explanation, book: Book) -> Shape:
    """One message's whole explanation."""
    message, stored = one.message, one.stored
    return {
        "parse": None
        if message is None
        else {
            "type": message.header.type,
            "version": message.header.version,
            "control_id": message.header.control_id,
            "sending_application": message.header.sending_application,
            "sending_facility": message.header.sending_facility,
            "segments": [segment.name for segment in message.segments],
            "declared_charset": message.header.declared_charset or None,
            "charset": message.charset,
            "charset_flag": message.charset_flag or None,
        },
        "fault": None if one.fault is None else {"path": one.fault.path, "sentence": str(one.fault)},
        "sender": _sender(one),
        "switched_off": _switched_off(one, book),
        "readings": [_reading(reading) for reading in one.readings],
        "routing": _routing(one, book),
        "disposition": None if stored is None else stored.disposition.value,
        "level": stored.level if stored is not None and stored.level >= 0 else None,
        "reason": "" if stored is None else stored.reason,
        "ack": None if stored is None else stored.answer_code or None,
        "answer": shown(one.receipt.answer),
        "matches": [_match(found) for found in one.matched],
        "referrals": [_touched(touched) for touched in one.touched],
        "tasks": [
            {"kind": task.kind, "queue": task.queue, "urgent": task.urgent, "reason": task.reason,
             "referral": task.referral or None}
            for task in one.tasks
        ],
    }  # fmt: skip


def _sender(one: Explanation) -> Shape | None:
    if one.admission is None or one.admission.party is None:
        return None
    party = one.admission.party
    return {"kind": party.kind, "feed": party.name, "partner": one.admission.partner.name or None}


def _switched_off(one: Explanation, book: Book) -> list[str]:
    """The feeds that name this sender and are switched off, where nobody else knows it."""
    if one.message is None or _sender(one) is not None:
        return []
    header = one.message.header
    return [
        name
        for name, feed in sorted(book.feeds.items())
        if not feed.enabled
        and header.sending_application in feed.applications
        and header.sending_facility in (feed.facilities or (header.sending_facility,))
    ]


def _reading(reading: Reading) -> Shape:
    evidence = reading.evidence
    return {
        "about": reading.about.value if reading.about else None,
        "events": [type(event).__name__ for event in reading.events],
        "fields": list(evidence.fields) if evidence else [],
        "withdraws": reading.withdraws,
        "identities": reading.identities.change if reading.identities else None,
        "note": reading.note,
    }


def _routing(one: Explanation, book: Book) -> list[Shape]:
    """Which channel takes a new order, and why each other one does not; only for orders nobody knows yet."""
    if one.message is None or not any(reading.is_new_order for reading in one.readings):
        return []
    party = one.admission.party if one.admission is not None else None
    found = explain_routing(book, one.message, party.feed if party is not None else None)
    return [{"channel": each.name, "yes": each.yes, "reason": each.reason} for each in found.candidates]


def _match(found: Matched) -> Shape:
    row = found.row
    return {
        "part": row.part,
        "level": row.level,
        "referral": row.referral or None,
        "provisional": row.provisional,
        "reason": row.reason,
        "fields": list(found.evidence.fields),
        "candidates": [
            {
                "referral": each.referral,
                "score": each.score,
                "parts": [
                    {"name": part.name, "verdict": part.verdict.value, "points": part.points} for part in each.parts
                ],
            }
            for each in found.weighed
        ],
    }


def _touched(touched: Touched) -> Shape:
    before, after = touched.status
    return {
        "referral": touched.referral,
        "new": touched.is_new,
        "channel": touched.channel,
        "status": {"before": before or None, "after": after},
        "tracks": [{"track": track, "before": was or None, "after": now} for track, was, now in touched.moves],
        "events": [{"kind": row.kind, "summary": row.summary, "reason": row.reason} for row in touched.events],
        "sends": [
            {
                "to": row.recipient,
                "purpose": row.purpose,
                "about": row.about,
                "transport": row.transport,
                "lane": row.lane,
                "state": row.state.value,
                "not_before": instant(row.next_at),
            }
            for row in touched.sends
        ],
        "clocks_started": [{"kind": row.kind, "due_at": instant(row.due_at)} for row in touched.started],
        "clocks_stopped": [{"kind": row.kind, "due_at": instant(row.due_at)} for row in touched.stopped],
    }
