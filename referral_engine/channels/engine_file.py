"""conf/engine.toml to an Engine: every key has a default, every problem is noted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from referral_engine.base.values import replace
from referral_engine.channels import words
from referral_engine.channels.calendar_file import named_tables, read_calendars, warn_of_holidays
from referral_engine.channels.clocks import (
    Rows,
    clock_settings,
    read_clocks,
    read_lengths,
)
from referral_engine.channels.engine import (
    CONNECTIONS_MOST,
    DEFAULT_QUEUES,
    FRAME_BYTES_LEAST,
    FRAME_BYTES_MOST,
    HOUR_SECONDS,
    CatchUp,
    EhrSettings,
    Engine,
    Gateway,
    Identity,
    JournalSettings,
    Listener,
    Outreach,
    Pilot,
    Practice,
    Retry,
    Web,
    default_engine,
)
from referral_engine.channels.keeping import read_keeping
from referral_engine.channels.nak_file import read_nak_of
from referral_engine.channels.pairs import read_status_pairs
from referral_engine.channels.partner import ANYONE, Partner
from referral_engine.channels.shape import Page, Setting, Table, Unfit, nearest
from referral_engine.channels.size import read_size
from referral_engine.channels.tls_file import read_permission, read_tls
from referral_engine.loop.calendar import Calendar
from referral_engine.loop.effects import TaskKind
from referral_engine.loop.policy import Duration, Unit

EHR: Final = "ehr"  # the partner that [ehr] means when it names none
REVIEW_AGE: Final = "review-age"  # a clock of LOOP section 4 that belongs to no referral

_SPOOL: Final[Mapping[str, Literal["spool"]]] = {"spool": "spool"}
_MODES: Final[Mapping[str, Literal["live", "shadow"]]] = {"live": "live", "shadow": "shadow"}


def read_engine(page: Page, partners: Mapping[str, Partner]) -> Engine:
    """The whole file; an empty one is every default."""
    base, top = default_engine(), page.top
    accept, spool, control = top.defaulted("accept"), top.defaulted("spool"), top.defaulted("control")
    duplicates, no_show, sla = top.defaulted("duplicates"), top.defaulted("no_show"), top.defaulted("sla")
    directory = top.defaulted("directory")
    rows = read_clocks(sla, Rows(base.clocks, base.network_clocks))
    engine = Engine(
        identity=_identity(top.defaulted("identity"), base.identity),
        practice=_practice(top.defaulted("practice"), base.practice),
        listeners=_listeners(top),
        web=_web(top.defaulted("web"), base.web),
        journal=_journal(top.defaulted("journal"), base.journal),
        ehr=_ehr(top.defaulted("ehr"), base.ehr, partners),
        calendars={**base.calendars, **read_calendars(top.table("calendar"))},
        gateways=_gateways(top.table("gateway")),
        spool_directory=spool.take("directory", words.some_text, base.spool_directory),
        control_socket=control.take("socket", words.some_text, base.control_socket),
        clocks=rows.clocks,
        network_clocks=rows.networks,
        clock_origins=rows.origins,
        review_age=_review_age(sla, base.review_age),
        queues={**base.queues, **_queues(top.defaulted("queues"))},
        patients=_outreach(top.defaulted("patients"), base.patients),
        processing_ids=accept.several("processing_ids", words.some_text, base.processing_ids),
        versions=accept.several("versions", words.some_text, base.versions),
        duplicate_days=duplicates.take("days", words.whole(0, 365), base.duplicate_days),
        directory_review_days=directory.take("review_days", words.whole(1, 3650), base.directory_review_days),
        no_show_attempts=no_show.take("attempts", words.whole(0, 5), base.no_show_attempts),
        pilot=_pilot(top.defaulted("pilot"), base.pilot),
        catch_up=_catch_up(top.defaulted("catch_up"), base.catch_up),
    )
    for table in (accept, spool, control, duplicates, directory, no_show, sla, top):
        table.close()
    page.settings.extend(clock_settings(rows))
    warn_of_holidays(top.table("calendar"), engine.clocks, page.today)
    page.settings.extend(_queue_settings(page, engine.queues))
    return engine


def read_retry(
    table: Table | None, base: Retry, calendar: Calendar | None = None, sends: Calendar | None = None
) -> Retry:
    """{ first, longest, give_up_after }, each a length of time; the last one may be business hours of `calendar`.

    sends: when anything may leave; time in which nothing may does not count towards giving up. None: at any time.
    """
    if table is None:
        return replace(base, counted=sends)
    first = table.take("first", words.seconds, base.first_seconds)
    longest = table.take("longest", words.seconds, base.longest_seconds)
    usual = Duration(round(base.give_up_after_seconds / HOUR_SECONDS), Unit.HOURS)
    if calendar is None:
        seconds, counted = table.take("give_up_after", words.seconds, base.give_up_after_seconds), None
    else:
        length = table.take("give_up_after", words.patience, usual)
        seconds = length.amount * float(words.CLOCK_SECONDS.get(length.unit, HOUR_SECONDS))
        counted = calendar if length.unit is Unit.BUSINESS_HOURS else sends
    retry = Retry(first_seconds=first, longest_seconds=longest, give_up_after_seconds=seconds, counted=counted)
    if retry.first_seconds > retry.longest_seconds:
        table.complain("first", "CH305", "the first pause is longer than the longest one")
    if retry.longest_seconds > retry.give_up_after_seconds:
        table.complain("longest", "CH305", "the longest pause is longer than the time before giving up")
    table.close()
    return retry


def _review_age(sla: Table, base: tuple[Duration, Duration]) -> tuple[Duration, Duration]:
    """[sla] review-age: how long an open match review may wait before the supervisor gets it."""
    routine, urgent = base
    row = read_lengths(sla, REVIEW_AGE, ((routine,), (urgent,)))
    value = f"routine {row[0][0]}; urgent {row[1][0]}"
    sla.page.settings.append(
        Setting(key=f"sla.{REVIEW_AGE}", value=value, origin=sla.origin_of(REVIEW_AGE) or "default")
    )
    return row[0][0], row[1][0]


def _identity(table: Table, base: Identity) -> Identity:
    """[identity]."""
    identity = Identity(
        application=table.take("application", words.some_text, base.application),
        facility=table.take("facility", words.some_text, base.facility),
        oid=table.take("oid", words.oid, base.oid),
        node=table.take("node", words.node, base.node),
    )
    table.close()
    return identity


def _practice(table: Table, base: Practice) -> Practice:
    """[practice]."""
    practice = Practice(
        name=table.take("name", words.some_text, base.name), phone=table.take("phone", words.some_text, base.phone)
    )
    table.close()
    return practice


def _web(table: Table, base: Web) -> Web:
    """[web]."""
    web = Web(bind=table.take("bind", words.host, base.bind), port=table.take("port", words.any_port, base.port))
    table.close()
    return web


def _listeners(top: Table) -> tuple[Listener, ...]:
    """One [listener], or several [[listener]] with names."""
    if not isinstance(top.tree.get("listener"), list):
        return (_listener(top.defaulted("listener")),)
    listeners: list[Listener] = []
    for table in top.tables("listener"):
        table.need("name", words.name, "")
        listener = _listener(table)
        if any(listener.port and (one.bind, one.port) == (listener.bind, listener.port) for one in listeners):
            table.complain("port", "CH310", f"two listeners want port {listener.port} of {listener.bind}")
        if any(one.name == listener.name for one in listeners):
            table.complain("name", "CH310", f'two listeners are called "{listener.name}"')
        listeners.append(listener)
    return tuple(listeners)


def _listener(table: Table) -> Listener:
    """One port that accepts messages."""
    base = Listener()
    bind = table.take("bind", words.host, base.bind)
    listener = Listener(
        name=table.take("name", words.name, base.name),
        bind=bind,
        port=table.take("port", words.any_port, base.port),
        tls=read_tls(table.table("tls"), listening=True),
        frame_bytes_max=table.take(
            "frame_bytes_max", words.whole(FRAME_BYTES_LEAST, FRAME_BYTES_MOST), base.frame_bytes_max
        ),
        connections_max=table.take("connections_max", words.whole(1, CONNECTIONS_MOST), base.connections_max),
        per_peer_max=table.take("per_peer_max", words.whole(1, CONNECTIONS_MOST), base.per_peer_max),
        idle_timeout_seconds=table.take("idle_timeout", words.seconds, base.idle_timeout_seconds),
        partners=table.several("partners", words.name, base.partners),
        insecure_plaintext=read_permission(table, "bind", bind),
    )
    table.close()
    return listener


def _journal(table: Table, base: JournalSettings) -> JournalSettings:
    """[journal]."""
    journal = JournalSettings(
        path=table.take("path", words.some_text, base.path),
        key_file=table.take("key_file", words.text, base.key_file),
        tick=table.take("tick", _tick, base.tick),
        batch_messages_max=table.take("batch_messages_max", words.whole(1, 1024), base.batch_messages_max),
        keep_years=table.take("keep_years", words.whole(1, 100), base.keep_years),
        keep_unrelated=table.take("keep_unrelated", read_keeping, base.keep_unrelated),
        backup_directory=table.take("backup_directory", words.some_text, base.backup_directory),
        low_water=table.take("low_water", read_size, base.low_water),
        ballast=table.take("ballast", read_size, base.ballast),
        allow_file_system=table.take("allow_file_system", words.flag, base.allow_file_system),
    )
    table.close()
    return journal


def _catch_up(table: Table, base: CatchUp) -> CatchUp:
    """[catch_up]."""
    catch_up = CatchUp(
        quiet_seconds=table.take("quiet", words.seconds, base.quiet_seconds),
        sends_per_minute=table.take("sends_per_minute", words.whole(1, 600), base.sends_per_minute),
        texts_per_minute=table.take("texts_per_minute", words.whole(1, 600), base.texts_per_minute),
    )
    table.close()
    return catch_up


def _tick(value: object) -> Duration:
    """How often deadlines are looked at: often enough that a two-minute clock means two minutes."""
    if words.seconds(value) > 300:
        raise Unfit("CH206", "must be at most 5 minutes", named=True)
    return words.duration(value)


def _ehr(table: Table, base: EhrSettings, partners: Mapping[str, Partner]) -> EhrSettings:
    """[ehr]; what it leaves out is as its partner's file says."""
    host = table.take("host", words.host, base.host)
    named = table.take("partner", words.name, EHR if EHR in partners else "")
    partner = partners.get(named, ANYONE)
    ehr = EhrSettings(
        host=host,
        port=table.take("port", words.port, base.port),
        tls=read_tls(table.table("tls")),
        receiving_application=table.take("receiving_application", words.some_text, base.receiving_application),
        receiving_facility=table.take("receiving_facility", words.some_text, base.receiving_facility),
        version=table.take("version", words.version, base.version),
        closure=table.take("closure", words.word(words.CLOSURES), base.closure),
        status=table.take("status", words.word(words.STATUSES), base.status),
        pairs=read_status_pairs(table.table("pairs")),
        ack_timeout_seconds=table.take("ack_timeout", words.seconds, base.ack_timeout_seconds),
        retry=read_retry(table.defaulted("retry"), base.retry),
        partner=named,
        nak=read_nak_of(table, partner),
        trailer=table.take("trailer", words.trailer, partner.framing.trailer, origin=partner.file),
        single_session=table.take("single_session", words.flag, base.single_session),
        insecure_plaintext=read_permission(table, "host", host, partner.insecure_plaintext),
    )
    table.close()
    return ehr


def _gateways(tables: Table | None) -> Mapping[str, Gateway]:
    """Every [gateway.NAME]."""
    gateways = {}
    for name, table in named_tables(tables):
        gateways[name] = Gateway(
            name=name,
            kind=table.take("kind", words.word(_SPOOL), "spool"),
            directory=table.need("directory", words.some_text, f"var/spool/{name}"),
        )
        table.close()
    return gateways


def _queues(table: Table) -> Mapping[str, str]:
    """[queues]: kind of task to queue."""
    kinds = sorted({kind.value for kind in TaskKind} | set(DEFAULT_QUEUES))
    queues = {}
    table.page.noting = False  # `_queue_settings` tells them all
    for key in table.tree:
        if key in kinds:
            queues[key] = table.take(key, words.name, DEFAULT_QUEUES.get(key, ""))
            continue
        near = nearest(key, kinds)
        table.known.append(key)
        hint = f'did you mean "{near}"?' if near else f"kinds are {', '.join(kinds)}"
        table.complain(key, "CH101", f'there is no kind of task "{key}"', hint)
    table.page.noting = True
    return queues


def _queue_settings(page: Page, queues: Mapping[str, str]) -> list[Setting]:
    """Every queue in force, for `config`."""
    lines = {kind: page.line_of(("queues", kind)) for kind in queues}
    return [
        Setting(
            key=f"queues.{kind}",
            value=f'"{queue}"',
            origin=f"{page.source.file}:{lines[kind]}" if lines[kind] else "default",
        )
        for kind, queue in queues.items()
    ]


def _outreach(table: Table, base: Outreach) -> Outreach:
    """[patients]."""
    outreach = replace(
        read_courtesy(table, base),
        scheduling_link=table.take("scheduling_link", _link, base.scheduling_link),
        transport=table.take("transport", words.word(_SPOOL), base.transport),
        directory=table.take("directory", words.some_text, base.directory),
    )
    table.close()
    return outreach


def read_courtesy(table: Table, base: Outreach) -> Outreach:
    """When and how often patients are written to: the lines that [patients] and a channel's [patient] share."""
    quiet = table.take("quiet_hours", words.hours_span, (base.quiet_from, base.quiet_until))
    outreach = replace(
        base,
        quiet_from=quiet[0],
        quiet_until=quiet[1],
        per_day=table.take("per_day", words.whole(0, 24), base.per_day),
        per_week=table.take("per_week", words.whole(0, 168), base.per_week),
        zone=table.take("timezone", words.zone, base.zone),
    )
    if outreach.per_day > outreach.per_week:
        table.complain("per_day", "CH305", "more messages a day than a week")
    return outreach


def _link(value: object) -> str:
    """A web address patients may open."""
    taken = words.text(value)
    if taken and not taken.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise Unfit("CH210", f'"{taken}" is not a safe web address', "patients' links start with https://")
    return taken


def _pilot(table: Table, base: Pilot) -> Pilot:
    """[pilot]."""
    pilot = Pilot(
        mode=table.take("mode", words.word(_MODES), base.mode),
        channels=table.several("channels", words.name, base.channels),
        providers=table.several("providers", words.npi, base.providers),
        percent=table.take("percent", words.whole(0, 100), base.percent),
    )
    table.close()
    return pilot
