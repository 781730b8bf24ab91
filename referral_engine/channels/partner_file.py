"""conf/partners/<name>.toml, or [partner] in a feed, to a Partner: who may talk to us, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from referral_engine.channels import words
from referral_engine.channels.engine import CONNECTIONS_MOST, FRAME_BYTES_LEAST, FRAME_BYTES_MOST
from referral_engine.channels.nak_file import read_nak
from referral_engine.channels.naming import complain_of_file_name
from referral_engine.channels.partner import AckMode, Framing, Limits, MissingCr, Partner, WhenUnavailable
from referral_engine.channels.shape import Page, Table
from referral_engine.channels.tls_file import read_plaintext

JUNK_BYTES_MOST: Final = 64 * 1024  # a relay's log lines; beyond it the peer speaks something else
IN_FLIGHT_MOST: Final = 1024  # frames in memory for one connection
RATE_MOST: Final = 1_000_000  # bytes a second; more would cut honest peers on a slow line

_MISSING_CR: Final[Mapping[str, MissingCr]] = {word: word for word in get_args(MissingCr)}
_ACK_MODES: Final[Mapping[str, AckMode]] = {word: word for word in get_args(AckMode)}
_UNAVAILABLE: Final[Mapping[str, WhenUnavailable]] = {word: word for word in get_args(WhenUnavailable)}


def read_partner_file(page: Page) -> Partner | None:
    """One partner; None when the file does not say its name."""
    head = page.top.needed("partner")
    name = head.need("name", words.name, "")
    partner = _partner(head, name)
    page.top.close()
    complain_of_file_name(head, name, "partner")
    return partner if name else None


def read_own_partner(page: Page, feed: str) -> Partner | None:
    """The partner a feed brings along, which bears the feed's name; None when it brings none."""
    table = page.top.table("partner")
    if table is None:
        return None
    if "partner" in page.top.defaulted("feed").tree:
        page.complain(
            ("feed", "partner"), "CH318", "this feed brings its own [partner] and names another", "keep one of the two"
        )
    return _partner(table, feed)


def _partner(table: Table, name: str) -> Partner:
    """[partner] with all that is below it."""
    partner = Partner(
        name=name,
        title=table.take("title", words.some_text, name),
        file=table.page.source.file,
        certificates=table.several("certificates", words.identity, ()),
        addresses=table.several("addresses", words.network, ()),
        applications=table.several("applications", words.some_text, ()),
        facilities=table.several("facilities", words.some_text, ()),
        receiving_applications=table.several("receiving_applications", words.some_text, ()),
        receiving_facilities=table.several("receiving_facilities", words.some_text, ()),
        message_types=table.several("message_types", words.message_type, ()),
        framing=_framing(table.defaulted("framing")),
        limits=_limits(table.defaulted("limits")),
        charset=table.take("charset", words.charset, None),
        ack_mode=table.take("ack_mode", words.word(_ACK_MODES), "as-asked"),
        when_unavailable=table.take("when_unavailable", words.word(_UNAVAILABLE), "close"),
        nak=read_nak(table.defaulted("nak"), Partner().nak),
        insecure_plaintext=read_plaintext(table),
    )
    table.close()
    return partner


def _framing(table: Table) -> Framing:
    """[partner.framing]."""
    base = Framing()
    framing = Framing(
        missing_cr=table.take("missing_cr", words.word(_MISSING_CR), base.missing_cr),
        trailer=table.take("trailer", words.trailer, base.trailer),
        unwrap_doubled=table.take("unwrap_doubled", words.flag, base.unwrap_doubled),
        junk_bytes_max=table.take("junk_bytes_max", words.whole(0, JUNK_BYTES_MOST), base.junk_bytes_max),
    )
    table.close()
    return framing


def _limits(table: Table) -> Limits:
    """[partner.limits]."""
    base = Limits()
    limits = Limits(
        connections_max=table.take("connections_max", words.whole(1, CONNECTIONS_MOST), base.connections_max),
        frame_bytes_max=table.take(
            "frame_bytes_max", words.whole(FRAME_BYTES_LEAST, FRAME_BYTES_MOST), base.frame_bytes_max
        ),
        frame_seconds_max=table.take("frame_timeout", words.seconds, base.frame_seconds_max),
        bytes_per_second_min=table.take("bytes_per_second_min", words.whole(0, RATE_MOST), base.bytes_per_second_min),
        idle_timeout_seconds=table.take("idle_timeout", words.seconds, base.idle_timeout_seconds),
        in_flight_max=table.take("in_flight_max", words.whole(1, IN_FLIGHT_MOST), base.in_flight_max),
    )
    table.close()
    return limits
