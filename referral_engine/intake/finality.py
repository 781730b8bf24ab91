"""The status codes of a report in, how finished it is out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from referral_engine.channels.feed import Feed, ReportState
from referral_engine.hl7.segment import Segment
from referral_engine.hl7.tables import ObservationStatus
from referral_engine.intake.received import Received, text_of
from referral_engine.loop.referral import Finality

_FINALITY: Final[dict[ReportState, Finality]] = {
    "interim": Finality.PRELIMINARY,
    "final": Finality.FINAL,
    "corrected": Finality.CORRECTED,
    "retracted": Finality.RETRACTED,
}


def statuses(observations: Iterable[Segment]) -> tuple[str, ...]:
    """The different OBX-11 codes, in capitals."""
    return tuple(dict.fromkeys(code for obx in observations if (code := text_of(obx, 11).strip().upper())))


def of_observations(feed: Feed, codes: tuple[str, ...]) -> Finality | None:
    """What OBX-11 of all observations together say; None when they say nothing.

    All taken back is a retraction; some taken back, or any corrected, is a correction; the least finished one decides
    whether it is final. X, "cannot be obtained", says nothing of the others. Source: HL7 v2.5.1 table 0085.
    """
    if ObservationStatus.WRONG_PATIENT in codes:
        return Finality.RETRACTED
    said = {code: state for code in codes if (state := _observed(feed, code)) is not None}
    if not said:
        return None
    kept = {state for code, state in said.items() if state != "retracted"}
    if not kept:
        return Finality.RETRACTED
    if "interim" in kept:
        return Finality.PRELIMINARY
    taken_back = any(state == "retracted" and code != "X" for code, state in said.items())
    return Finality.CORRECTED if "corrected" in kept or taken_back else Finality.FINAL


def together(report: Finality | None, observations: Finality | None) -> tuple[Finality | None, str]:
    """OBR-25 and OBX-11 as one answer, and a warning when they contradict each other: the less finished one holds."""
    if report is None or observations is None or report is observations:
        return report or observations, ""
    if Finality.RETRACTED in (report, observations):
        return Finality.RETRACTED, "OBR-25 and OBX-11 contradict each other: read as taken back"
    if Finality.PRELIMINARY in (report, observations):
        return Finality.PRELIMINARY, "OBR-25 and OBX-11 contradict each other: read as not final"
    return Finality.CORRECTED, ""


def of_result(feed: Feed, code: str) -> Finality | None:
    """What OBR-25 says; None for a code the feed does not list. Source: HL7 v2.5.1 table 0123."""
    state = feed.result_states.get(code.strip().upper())
    return None if state is None else _FINALITY[state]


def of_document(feed: Feed, code: str) -> Finality | None:
    """What TXA-17 says; None for a code the feed does not list. Source: HL7 v2.5.1 table 0271."""
    state = feed.document_states.get(code.strip().upper())
    return None if state is None else _FINALITY[state]


def as_agreed(received: Received, finality: Finality) -> Finality:
    """The channel's own rule for which documents are final laid over the tables; a retraction stays one."""
    channel = received.party.channel
    if channel is None or channel.replies.final_when is None or finality is Finality.RETRACTED:
        return finality
    if not channel.replies.final_when.matches(received.message):
        return Finality.PRELIMINARY
    return Finality.CORRECTED if finality is Finality.CORRECTED else Finality.FINAL


def _observed(feed: Feed, code: str) -> ReportState | None:
    """What one OBX-11 says; U is "now final, results not sent again", which sites rarely list."""
    usual: ReportState | None = "final" if code == ObservationStatus.STATUS_CHANGED_TO_FINAL else None
    return feed.result_states.get(code, usual)
