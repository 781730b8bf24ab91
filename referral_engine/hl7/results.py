"""A result message's segments in, the same segments by the order they belong to out: by position, then by number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from referral_engine.hl7.segment import Segment


@dataclass(slots=True, kw_only=True, eq=False)
class OrderResults:
    """All that one message says of one order, from one or several ORC and OBR groups.

    patient: the PID in front of it. placer: ORC-2.1 or OBR-2.1; "" when no group of it says one.
    fillers: every OBR-3.1 or ORC-3.1 of it. disputed: whether ORC-2 and OBR-2 of one group name two orders.
    segments: ORC, OBR and what stands below them, in the message's order; OBX in front of every OBR are the first's.
    """

    patient: Segment | None = None
    placer: str = ""
    fillers: set[str] = field(default_factory=set)
    disputed: bool = False
    segments: list[Segment] = field(default_factory=list)

    def first(self, name: str) -> Segment | None:
        """Its first segment of that name."""
        return next((segment for segment in self.segments if segment.name == name), None)

    def all(self, name: str) -> list[Segment]:
        """Its segments of that name, in order."""
        return [segment for segment in self.segments if segment.name == name]

    def absorb(self, other: OrderResults, *, before: bool = False) -> None:
        """Take in another group of the same order."""
        self.placer = self.placer or other.placer
        self.fillers |= other.fillers
        self.disputed = self.disputed or other.disputed
        self.segments = other.segments + self.segments if before else self.segments + other.segments


def results_by_order(segments: Iterable[Segment]) -> list[OrderResults]:
    """The orders of a result message, in order of first mention; [] without ORC and OBR.

    A group begins at an ORC, or at an OBR that does not follow its own ORC. Groups with the same placer number are
    one order, and so are those without a placer number that share a filler number, or whose OBR-29 names the other.
    A group without any number belongs to the one before it, else to the only order of the message.
    Source: HL7 v2.5.1 7.3.1 (ORU_R01), 7.4.1.29 (OBR-29).
    """
    found: list[OrderResults] = []
    for group in _by_position(segments):
        home = _home(group, [known for known in found if known.patient is group.patient])
        if home is None:
            found.append(group)
        else:
            home.absorb(group)
    if len(found) == 2 and not (found[0].placer or found[0].fillers) and found[0].patient is found[1].patient:
        found[1].absorb(found[0], before=True)
        del found[0]
    return found


def _by_position(segments: Iterable[Segment]) -> list[OrderResults]:
    """Each ORC and OBR with what stands below it; an ORC with nothing below it is left out where others have."""
    found: list[OrderResults] = []
    leading: list[Segment] = []
    patient: Segment | None = None
    opened: OrderResults | None = None
    for segment in segments:
        name = segment.name
        if name == "PID":
            patient, opened = segment, None
        elif name == "TXA":
            opened = None
        elif name == "ORC" or (name == "OBR" and (opened is None or not _awaits_request(opened))):
            opened = OrderResults(patient=patient, segments=[*leading, segment])
            leading = []
            found.append(opened)
        elif opened is not None:
            opened.segments.append(segment)
        elif name == "OBX" and not found:
            leading.append(segment)
    for group in found:
        _number(group)
    full = [group for group in found if any(segment.name in ("OBR", "OBX") for segment in group.segments)]
    return full or found


def _awaits_request(group: OrderResults) -> bool:
    return all(segment.name not in ("OBR", "OBX") for segment in group.segments)


def _number(group: OrderResults) -> None:
    """Read which order a group names."""
    orc, obr = group.first("ORC"), group.first("OBR")
    ordered, requested = _text(orc, 2), _text(obr, 2)
    group.placer = ordered or requested
    group.disputed = bool(ordered) and bool(requested) and ordered != requested
    group.fillers = {number for number in (_text(obr, 3), _text(orc, 3)) if number}


def _home(group: OrderResults, known: Sequence[OrderResults]) -> OrderResults | None:
    """The group before it that is of the same order."""
    if group.placer:
        same = (one for one in known if one.placer == group.placer)
        unplaced = (one for one in known if not one.placer and one.fillers & group.fillers)
        return next(same, None) or next(unplaced, None)
    obr = group.first("OBR")
    parents = {_text(obr, 29), _text(obr, 29, 2)} - {""}
    for one in known:
        if one.fillers & group.fillers or one.placer in parents or one.fillers & parents:
            return one
    return known[-1] if known and not group.fillers else None


def _text(segment: Segment | None, number: int, component: int = 1) -> str:
    return segment.text(number, component) if segment is not None else ""
