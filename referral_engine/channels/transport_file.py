"""[transport] and [fallback] tables to the way a packet travels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from referral_engine.base.values import replace
from referral_engine.channels import words
from referral_engine.channels.calendar_file import read_spans
from referral_engine.channels.channel import (
    FALLBACKS_MAX,
    FaxTransport,
    MllpTransport,
    SpoolTransport,
    Transport,
    sending_hours,
)
from referral_engine.channels.engine import Engine, Retry
from referral_engine.channels.engine_file import read_retry
from referral_engine.channels.nak_file import read_nak_of
from referral_engine.channels.naming import complain_of_unknown
from referral_engine.channels.partner import Partner
from referral_engine.channels.shape import Table, nearest
from referral_engine.channels.tls_file import read_permission, read_tls
from referral_engine.loop.calendar import Calendar

MLLP_RETRY: Final = Retry()
FAX_RETRY: Final = Retry(first_seconds=600, longest_seconds=3600, give_up_after_seconds=4 * 3600)
ATTACHMENTS: Final = {name: name for name in ("order", "demographics", "insurance", "notes")}
PAGES_MOST: Final = 200  # a fax of more pages blocks the line for an hour

_KINDS: Final[dict[str, Literal["mllp", "fax", "spool"]]] = {"mllp": "mllp", "fax": "fax", "spool": "spool"}
_ACK_MODES: Final[dict[str, Literal["original", "enhanced"]]] = {"original": "original", "enhanced": "enhanced"}


def read_transport(table: Table, engine: Engine, partner: Partner, calendar: Calendar) -> Transport:
    """One way out, of the kind the table says; a spool nobody reads stands in for one that cannot be read.

    partner: decides what the table leaves out. calendar: the office's, whose open days and hours `send_hours` and
    `give_up_after` count in.
    """
    before = len(table.page.problems)
    kind = table.need("kind", words.word(_KINDS), "spool")
    if len(table.page.problems) > before or "kind" not in table.tree:
        if "kind" not in table.tree and table.written:
            table.known.extend(key for key in table.tree if not nearest(key, ("kind",)))
            table.close()
        return SpoolTransport(directory=engine.spool_directory)
    transport: Transport
    if kind == "mllp":
        transport = _mllp(table, partner)
    elif kind == "fax":
        transport = _fax(table, engine)
    else:
        transport = SpoolTransport(directory=table.need("directory", words.some_text, engine.spool_directory))
    transport = replace(transport, send_hours=read_spans(table, "send_hours"))
    sends = sending_hours(transport, calendar)
    usual = FAX_RETRY if kind == "fax" else MLLP_RETRY
    transport = replace(transport, retry=read_retry(table.defaulted("retry"), usual, calendar, sends))
    table.close()
    return transport


def read_ways(top: Table, engine: Engine, partner: Partner, calendar: Calendar) -> tuple[Transport, ...]:
    """[transport], then [fallback] or several [[fallback]]: taken one after the other when those before are dead."""
    first = read_transport(top.needed("transport"), engine, partner, calendar)
    if not isinstance(top.tree.get("fallback"), list):
        one = top.table("fallback")
        tables: Sequence[Table] = () if one is None else (one,)
    else:
        tables = top.tables("fallback")
    if len(tables) > FALLBACKS_MAX:
        top.complain("fallback", "CH242", f"there may be {FALLBACKS_MAX} ways behind the first, found {len(tables)}")
    ways = [first]
    for table in tables:
        way = read_transport(table, engine, partner, calendar)
        if way in ways:
            called = "[[fallback]]" if len(tables) > 1 else "[fallback]"
            same = "[transport]" if way == first else "one before it"
            sentence = f"{called} is the same way as {same}"
            table.page.complain(table.place, "CH308", sentence, "name another way, or leave it out")
        ways.append(way)
    return tuple(ways[: FALLBACKS_MAX + 1])


def _mllp(table: Table, partner: Partner) -> MllpTransport:
    """HL7 over MLLP."""
    host = table.need("host", words.host, "")
    return MllpTransport(
        host=host,
        port=table.need("port", words.port, 0),
        tls=read_tls(table.table("tls")),
        ack_mode=table.take("ack_mode", words.word(_ACK_MODES), _usual_mode(partner), origin=partner.file),
        ack_timeout_seconds=table.take("ack_timeout", words.seconds, 30.0),
        nak=read_nak_of(table, partner),
        trailer=table.take("trailer", words.trailer, partner.framing.trailer, origin=partner.file),
        single_session=table.take("single_session", words.flag, default=False),
        insecure_plaintext=read_permission(table, "host", host, partner.insecure_plaintext),
    )


def _usual_mode(partner: Partner) -> Literal["original", "enhanced"]:
    """As the partner acknowledges; one that does as it is asked is asked for the original mode."""
    return "enhanced" if partner.ack_mode == "enhanced" else "original"


def _fax(table: Table, engine: Engine) -> FaxTransport:
    """A fax through a gateway that conf/engine.toml defines."""
    gateway = table.need("gateway", words.name, "")
    complain_of_unknown(table, "gateway", gateway, tuple(engine.gateways), "CH403")
    return FaxTransport(
        gateway=gateway,
        number=table.need("number", words.phone, ""),
        cover=table.take("cover", words.name, "referral-cover"),
        attach=table.several("attach", words.word(ATTACHMENTS), tuple(ATTACHMENTS)),
        pages_max=table.take("pages_max", words.whole(1, PAGES_MOST), 25),
    )
