"""channels/<name>.toml to a Channel, with the engine's calendars, gateways, queues and clocks at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from referral_engine.base.ident import is_oid
from referral_engine.base.values import replace
from referral_engine.channels import words
from referral_engine.channels.channel import (
    Channel,
    FaxTransport,
    Format,
    Hold,
    MessageSettings,
    MllpTransport,
    Mode,
    PatientText,
    Received,
    Replies,
    SpoolTransport,
    Transport,
    sending_hours,
)
from referral_engine.channels.clocks import Rows, clock_settings, not_shorter, read_clocks, with_length
from referral_engine.channels.conditions import read_allowed_path, read_matcher
from referral_engine.channels.engine import DEFAULT_QUEUE, Engine, Outreach
from referral_engine.channels.engine_file import read_courtesy
from referral_engine.channels.matcher import Matcher
from referral_engine.channels.naming import complain_of_file_name, complain_of_unknown
from referral_engine.channels.overlap import overlap
from referral_engine.channels.pairs import read_order_pairs
from referral_engine.channels.partner import ANYONE, Partner
from referral_engine.channels.scan import Place
from referral_engine.channels.shape import Page, Setting, Table, Unfit, nearest
from referral_engine.channels.timetable_file import read_tests
from referral_engine.channels.transport_file import read_ways
from referral_engine.hl7.path import read_path
from referral_engine.loop.calendar import Calendar
from referral_engine.loop.policy import Capabilities, Duration, Kind, Policy
from referral_engine.loop.states import Network

_NETWORKS: Final[Mapping[str, Network]] = {network.value: network for network in Network}
_RECEIVED: Final[Mapping[str, Received]] = {"ack": "ack", "fax report": "fax report", "sent": "sent"}
_FORMATS: Final[Mapping[str, Format]] = {"orm": "orm", "360x": "360x"}
_MODES: Final[Mapping[str, Mode]] = {"live": "live", "shadow": "shadow", "off": "off"}
_OLD_SWITCH: Final = "enabled"  # of channels, until there were three modes
_STAFF: Final = "staff"
_APPROVALS: Final = "AUT"  # its fields may release a hold: only whether they have a value is asked


def read_channel(
    page: Page,
    engine: Engine,
    partners: Mapping[str, Partner],
    *,
    version: str,
    samples: Sequence[str] | None,
) -> Channel | None:
    """One specialist; None when the file says too little to know who it is."""
    top = page.top
    head = top.needed("channel")
    name = head.need("name", words.name, "")
    calendar = head.take("calendar", words.name, "default")
    complain_of_unknown(head, "calendar", calendar, tuple(engine.calendars), "CH402")
    match = _match(top)
    named = head.take("partner", words.name, "")
    partner = partners.get(named or name, ANYONE)
    hours = engine.calendars.get(calendar, engine.calendars["default"])
    transport, *fallbacks = ways = read_ways(top, engine, partner, hours)
    sla = top.defaulted("sla")
    rows = read_clocks(sla, Rows(engine.clocks, engine.network_clocks, engine.clock_origins))
    hold, rows = _hold(top.table("hold"), match, rows, engine)
    message = _message(top.defaulted("message"), transport, engine)
    heard = top.defaulted("replies")
    replies = _replies(heard, transport, message)
    off = _off(sla, heard)
    page.settings.extend(_told_clocks(rows, off))
    patient = top.defaulted("patient")
    channel = Channel(
        name=name,
        title=head.take("title", words.some_text, name),
        npi=(npi := head.take("npi", words.npi, "")),
        specialty=head.need("specialty", words.name, ""),
        calendar=calendar,
        network=head.take("network", words.word(_NETWORKS), Network.OUT),
        in_network=_network(top, head),
        partner=named,
        mode=_mode(head),
        verified_on=head.take("verified_on", words.day, None),
        match=match,
        hold=hold,
        transport=transport,
        fallbacks=tuple(fallbacks),
        message=message,
        replies=replies,
        policy=replace(_policy(top, engine, rows, replies, hours, ways, frozenset(off)), npi=npi),
        patient=_patient(patient),
        outreach=_outreach(patient, engine.patients),
        tests=read_tests(top.tables("test"), samples, engine.queues.values()),
        version=version,
        file=page.source.file,
        match_lines=_lines(page),
    )
    for table in (head, sla, patient, top):
        table.close()
    complain_of_file_name(head, name, "channel")
    if channel.is_on and not channel.tests:
        hint = "write a [[test]] with one order and its answer"
        page.warn(("channel", "name"), "CHW01", f'"{name}" has no test', hint)
    return channel if name else None


def _mode(head: Table) -> Mode:
    """What becomes of new orders; the switch that said only on or off is told its successor."""
    mode: Mode = head.take("mode", words.word(_MODES), "live")
    if _OLD_SWITCH not in tuple(head.tree):  # one by one: a schema is made from a tree that says yes to every key
        return mode
    head.known.append(_OLD_SWITCH)
    means = "off" if head.tree[_OLD_SWITCH] is False else "live"
    hint = f'write mode = "{means}"' if "mode" not in head.tree else "take this line out: mode says it"
    head.complain(_OLD_SWITCH, "CH261", '"enabled" is no key of a channel: it has a mode', hint)
    return mode


def _network(top: Table, head: Table) -> Matcher | None:
    """[network]: which orders are inside our network; None leaves it to the sender's file and to [channel] network."""
    table = top.table("network")
    if table is None:
        return None
    matcher = read_matcher(table)
    if not table.tree:
        top.complain(
            "network", "CH214", "[network] is empty, so every order would be inside", "say which, or leave it out"
        )
    if "network" in head.tree:
        head.complain("network", "CH332", "[network] says which orders are inside our network", "take this line out")
    return matcher


def _off(sla: Table, replies: Table) -> Mapping[Kind, tuple[str, str]]:
    """Clocks that would wait for what this office never says, with the reason and the line that says so.

    Only a written `confirms = false` switches one off: an office nobody has asked is called after all. And a channel
    that writes the clock itself wants it: there a person telephones, and notes the answer.
    """
    tables = (sla.tree, *(sla.tree.get(network.value) for network in Network))
    wanted = any(isinstance(table, Mapping) and Kind.CONFIRM.value in table for table in tables)
    if replies.tree.get("confirms") is not False or wanted:
        return {}
    return {Kind.CONFIRM: ("[replies] confirms is false, so no answer is waited for", replies.origin_of("confirms"))}


def _told_clocks(rows: Rows, off: Mapping[Kind, tuple[str, str]]) -> Iterator[Setting]:
    """Every clock in force, and why one is off, for `config`."""
    yield from (one for one in clock_settings(rows) if one.key.split(".")[1] not in off)
    for kind, (why, origin) in off.items():
        yield Setting(key=f"sla.{kind}", value=f"off: {why}", origin=origin)


def _policy(
    top: Table,
    engine: Engine,
    rows: Rows,
    replies: Replies,
    calendar: Calendar,
    ways: Sequence[Transport],
    off: frozenset[Kind],
) -> Policy:
    """What the rules of the loop ask about this specialist, [no_show] with it."""
    no_show = top.defaulted("no_show")
    sends = tuple(sending_hours(way, calendar) for way in ways)
    policy = Policy(
        calendar=calendar,
        clocks=rows.clocks,
        networks=rows.networks,
        off=off,
        capabilities=Capabilities(
            can_confirm=replies.confirms, can_send_appointments=replies.appointments, can_send_notes=replies.notes
        ),
        no_show_attempts=no_show.take("attempts", words.whole(0, 5), engine.no_show_attempts),
        fallbacks=len(ways) - 1,
        sends=sends if any(sends) else (),
        duplicate_days=engine.duplicate_days,
        provisional_notes=replies.provisional_notes,
    )
    no_show.close()
    return policy


def _match(top: Table) -> Matcher:
    """[match]: at least one line."""
    table = top.needed("match")
    matcher = read_matcher(table, in_match=True)
    if table.written and not table.tree:
        top.complain("match", "CH214", "[match] is empty, so it would take every order", 'add a line such as "OBR-4.1"')
    return matcher


def _lines(page: Page) -> tuple[int, int]:
    """First and last line of [match] that says something."""
    spans = map(page.source.spans.get, _places(page.source.tree.get("match"), ("match",)))
    lines = [span.line for span in spans if span is not None]
    return (min(lines), max(lines)) if lines else (0, 0)


def _places(value: object, place: Place) -> Iterator[Place]:
    """Every place inside a value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield (*place, key)
        yield from _places(one, (*place, key))


def _hold(table: Table | None, match: Matcher, rows: Rows, engine: Engine) -> tuple[Hold | None, Rows]:
    """[hold], and the clocks with its own laid over them, in either network."""
    if table is None:
        return None, rows
    when_table = table.needed("when")
    when = read_matcher(when_table)
    released_by = table.several("released_by", _release, (_STAFF,))
    if not released_by and not table.tree.get("released_by"):
        table.complain(
            "released_by", "CH303", "nothing can release this hold", 'add "staff" or a field such as "IN1-14.1"'
        )
    if when.conditions and not table.page.troubled & {"match", "hold"} and overlap(match, when) is None:
        table.complain("when", "CH304", "this hold never applies: [match] takes no such order")
    if when_table.written and not when_table.tree:
        table.complain(
            "when", "CH214", '"when" is empty, so every order would be held', "leave [hold] out, or say when"
        )
    (remind, *_), _ = rows.clocks[Kind.HOLD_REMIND]
    remind = table.take("remind_after", words.duration, remind)
    billing: Duration | None = table.take("billing_after", words.duration, None)
    if billing is not None and not_shorter(remind, billing):
        key = "remind_after" if "remind_after" in table.tree else "billing_after"
        table.complain(key, "CH302", f"the reminder ({remind}) comes after billing is told ({billing})")
    queue = table.take("escalate_to", words.name, engine.queues.get("preauth", DEFAULT_QUEUE))
    complain_of_unknown(table, "escalate_to", queue, tuple({*engine.queues.values(), DEFAULT_QUEUE}), "CH406")
    hold = Hold(
        reason=table.take("reason", words.some_text, "pre-authorization"),
        when=when,
        released_by=released_by,
        remind_after=remind if "remind_after" in table.tree else None,
        billing_after=billing,
        escalate_to=queue,
    )
    table.close()
    if "remind_after" in table.tree:
        rows = with_length(rows, Kind.HOLD_REMIND, remind, table.origin_of("remind_after"))
    if billing is not None:
        rows = with_length(rows, Kind.HOLD_BILLING, billing, table.origin_of("billing_after"))
    return hold, rows


def _release(value: object) -> str:
    """The word staff, or a field whose value is an authorization."""
    taken = words.text(value)
    if taken == _STAFF:
        return taken
    path = read_path(taken)
    if path is None:
        near = nearest(taken, (_STAFF,))
        raise Unfit(
            "CH202", f'"{taken}" can release nothing', f'did you mean "{near}"?' if near else 'use "staff" or a field'
        )
    return taken if path.segment == _APPROVALS else read_allowed_path(taken)


def _message(table: Table, transport: Transport, engine: Engine) -> MessageSettings:
    """[message]."""
    base = MessageSettings()
    message = MessageSettings(
        receiving_application=table.take("receiving_application", words.text, base.receiving_application),
        receiving_facility=table.take("receiving_facility", words.text, base.receiving_facility),
        version=table.take("version", words.version, base.version),
        drop_segments=table.several("drop_segments", words.segment, base.drop_segments),
        format=table.take("format", words.word(_FORMATS), base.format),
        pairs=read_order_pairs(table.defaulted("pairs")),
    )
    if message.format == "360x" and "transport" not in table.page.troubled:
        _complain_of_360x(table, message, transport, engine)
    for needed in sorted({"MSH", "PID", "ORC", "OBR"} & set(message.drop_segments)):
        table.complain("drop_segments", "CH306", f"{needed} cannot be dropped: the order would be unreadable")
    table.close()
    return message


def _complain_of_360x(table: Table, message: MessageSettings, transport: Transport, engine: Engine) -> None:
    """What IHE 360X cannot be written without: OIDs on both sides, v2.5.1, and a way that needs no acknowledgment."""
    if not isinstance(transport, SpoolTransport):
        hint = 'use kind = "spool": the program that sends Direct mail picks the files up there'
        table.complain("format", "CH320", "360X asks for no acknowledgment (NE/NE), and this way waits for one", hint)
    if not engine.identity.oid:
        hint = 'write oid = "..." in [identity] of conf/engine.toml'
        table.complain("format", "CH320", "360X names everything by OID, and we have none", hint)
    if not is_oid(message.receiving_facility):
        hint = 'write it as digits and dots, as in "2.16.840.1.113883.19.5"'
        table.complain("receiving_facility", "CH320", "360X names the receiver by its OID in MSH-6", hint)
    if message.version != MessageSettings().version:
        table.complain("version", "CH320", "360X is written in v2.5.1 only", "leave the line out")


def _replies(table: Table, transport: Transport, message: MessageSettings) -> Replies:
    """[replies]; the defaults follow from how the packet travels and from who may speak for the specialist."""
    applications = table.several("applications", words.some_text, ())
    facilities = table.several("facilities", words.some_text, ())
    speaks = bool(applications or facilities)
    usual: Received = "sent"
    if isinstance(transport, MllpTransport | FaxTransport):
        usual = "ack" if isinstance(transport, MllpTransport) else "fax report"
    final = table.table("final_when")
    replies = Replies(
        applications=applications,
        facilities=facilities,
        addresses=table.several("addresses", words.network, ()),
        received=table.take("received", words.word(_RECEIVED), usual),
        confirms=table.take("confirms", words.flag, speaks),
        appointments=table.take("appointments", words.flag, speaks),
        notes=table.take("notes", words.flag, default=True),
        final_when=None if final is None else read_matcher(final),
        dialect=table.take("dialect", words.name, ""),
        provisional_notes=table.take("provisional_notes", words.flag, default=False),
    )
    for key, said in (("confirms", replies.confirms), ("appointments", replies.appointments)):
        if said and not speaks:
            table.complain(
                key,
                "CH307",
                f'"{key}" is true, but nobody may speak for this specialist',
                'add applications = ["..."], their MSH-3',
            )
    if replies.received not in {usual, "sent"} and table.page.top.tree.keys() & {"transport"} - table.page.troubled:
        hint = "" if usual == "sent" else f'"{usual}" or '
        table.complain("received", "CH307", f'"{replies.received}" never comes back this way', f'write {hint}"sent"')
    table.close()
    if message.format == "360x" and replies.facilities and not replies.applications:
        return replace(replies, applications=("",))  # 360X leaves MSH-3 empty
    return replies


def _patient(table: Table) -> PatientText:
    """[patient]."""
    base = PatientText()
    return PatientText(
        address=table.take("address", words.text, base.address),
        parking=table.take("parking", words.text, base.parking),
        insurance_card=table.take("insurance_card", words.text, base.insurance_card),
    )


def _outreach(table: Table, base: Outreach) -> Outreach | None:
    """The lines of [patient] that say when and how often its patients are written to; None where it says none."""
    outreach = read_courtesy(table, base)
    return None if outreach == base else outreach
