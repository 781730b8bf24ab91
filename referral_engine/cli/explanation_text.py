"""An explanation for a terminal: one block a question, in the order in which the engine asks them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Shape = Mapping[str, Any]
_WIDTH: Final = 11  # of the words at the left
TEXT_AT: Final = _WIDTH + 2  # where what they speak of begins


def explanation_text(told: Shape) -> Iterator[str]:
    """The lines of one message's explanation (`explanation.shape_explanation`)."""
    yield from _read(told)
    yield from _understood(told)
    yield from _matched(told)
    for referral in told["referrals"]:
        yield from _referral(referral)
    for task in told["tasks"]:
        urgent = "urgent " if task["urgent"] else ""
        yield _line("task", f"{urgent}{task['kind']} for {task['queue']}: {task['reason']}")
    if not told["referrals"] and not told["tasks"]:
        yield _line("follows", "nothing")


def _read(told: Shape) -> Iterator[str]:
    parse, sender, fault = told["parse"], told["sender"], told["fault"]
    if parse is not None:
        yield _line("message", f"{parse['type']} {parse['version'] or 'without a version'}, id {parse['control_id']}")
        yield _line("segments", _run_lengths(parse["segments"]))
        declared = parse["declared_charset"] or "none declared"
        flag = f" ({parse['charset_flag']})" if parse["charset_flag"] else ""
        yield _line("charset", f"{parse['charset']}, {declared}{flag}")
    yield _line("sender", f"{sender['kind']} {sender['feed']}" if sender else _stranger(parse))
    for name in told["switched_off"]:
        yield _line("", f'conf/feeds/{name}.toml names it, but is switched off: "enabled = false"')
    if fault is not None:
        said = fault["sentence"]
        yield _line("fault", f"{fault['path']}: {said}" if not said.startswith(fault["path"]) else said)


def _stranger(parse: Shape | None) -> str:
    """A sender that no file names, by what it calls itself."""
    if parse is None:
        return "nobody we know"
    where = parse["sending_application"] or "empty", parse["sending_facility"] or "empty"
    return f"nobody we know: MSH-3 is {where[0]}, MSH-4 is {where[1]}"


def _run_lengths(names: Sequence[str]) -> str:
    """MSH PID OBX x12."""
    found: list[tuple[str, int]] = []
    for name in names:
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1] + 1)
        else:
            found.append((name, 1))
    return " ".join(name if number == 1 else f"{name} x{number}" for name, number in found)


def _understood(told: Shape) -> Iterator[str]:
    for reading in told["readings"]:
        events = ", ".join(reading["events"]) or reading["identities"] or "nothing for the loop"
        note = f" ({reading['note']})" if reading["note"] else ""
        yield _line("event", f"{events}{note}")
        if reading["fields"]:
            yield _line("", f"by {', '.join(reading['fields'])}")
    for answer in told["routing"]:
        yield _line("channel", f"{answer['channel']}: {'yes' if answer['yes'] else 'no'}, {answer['reason']}")


def _matched(told: Shape) -> Iterator[str]:
    for match in told["matches"]:
        where = match["referral"] or "nobody"
        yield _line("match", f"level {match['level']}, {where}: {match['reason']}")
        for candidate in match["candidates"]:
            parts = ", ".join(f"{part['name']} {part['verdict']} {part['points']:+d}" for part in candidate["parts"])
            yield _line("", f"{candidate['referral']} {candidate['score']}: {parts}")
    level = f", level {told['level']}" if told["level"] is not None else ""
    yield _line("becomes", f"{told['disposition'] or 'unknown'}{level}: {told['reason'] or 'as asked'}")
    yield _line("answer", told["ack"] or "none")


def _referral(one: Shape) -> Iterator[str]:
    status = one["status"]
    became = f"{status['before']} -> {status['after']}" if status["before"] else f"new, {status['after']}"
    yield _line("referral", f"{one['referral']} ({one['channel']}): {became}")
    for move in one["tracks"]:
        yield _line("", f"{move['track']} {move['before'] or '-'} -> {move['after']}")
    for event in one["events"]:
        yield _line("", f"{event['summary']} [{event['reason']}]")
    for send in one["sends"]:
        about = f" {send['about']}" if send["about"] else ""
        state = "" if send["state"] == "queued" else f" ({send['state']})"
        yield _line("sends", f"{send['to']} {send['purpose']}{about} by {send['transport']}{state}")
    for clock in one["clocks_started"]:
        yield _line("clock", f"{clock['kind']} runs until {clock['due_at']}")
    for clock in one["clocks_stopped"]:
        yield _line("clock", f"{clock['kind']} stops")


def _line(word: str, text: str) -> str:
    return f"  {word:{_WIDTH}}{text}"
