"""[transport] and [fallback] tables to the way a packet travels."""

from __future__ import annotations

from typing import Final, Literal

from referral_engine.channels import words
from referral_engine.channels.channel import FaxTransport, MllpTransport, SpoolTransport, Transport
from referral_engine.channels.engine import Engine, Retry
from referral_engine.channels.engine_file import read_retry, read_tls, warn_of_plain
from referral_engine.channels.naming import complain_of_unknown
from referral_engine.channels.shape import Table, nearest

MLLP_RETRY: Final = Retry()
FAX_RETRY: Final = Retry(first_seconds=600, longest_seconds=3600, give_up_after_seconds=4 * 3600)
ATTACHMENTS: Final = {name: name for name in ("order", "demographics", "insurance", "notes")}
PAGES_MOST: Final = 200  # a fax of more pages blocks the line for an hour

_KINDS: Final[dict[str, Literal["mllp", "fax", "spool"]]] = {"mllp": "mllp", "fax": "fax", "spool": "spool"}
_ACK_MODES: Final[dict[str, Literal["original", "enhanced"]]] = {"original": "original", "enhanced": "enhanced"}


def read_transport(table: Table, engine: Engine) -> Transport:
    """One way out, of the kind the table says; a spool nobody reads stands in for one that cannot be read."""
    before = len(table.page.problems)
    kind = table.need("kind", words.word(_KINDS), "spool")
    if len(table.page.problems) > before or "kind" not in table.tree:
        if "kind" not in table.tree and table.written:
            table.known.extend(key for key in table.tree if not nearest(key, ("kind",)))
            table.close()
        return SpoolTransport(directory=engine.spool_directory)
    transport: Transport
    if kind == "mllp":
        transport = _mllp(table)
    elif kind == "fax":
        transport = _fax(table, engine)
    else:
        transport = SpoolTransport(
            directory=table.need("directory", words.some_text, engine.spool_directory),
            retry=read_retry(table.table("retry"), MLLP_RETRY),
        )
    table.close()
    return transport


def _mllp(table: Table) -> MllpTransport:
    """HL7 over MLLP."""
    transport = MllpTransport(
        host=table.need("host", words.host, ""),
        port=table.need("port", words.port, 0),
        tls=read_tls(table.table("tls")),
        ack_mode=table.take("ack_mode", words.word(_ACK_MODES), "original"),
        ack_timeout_seconds=table.take("ack_timeout", words.seconds, 30.0),
        retry=read_retry(table.table("retry"), MLLP_RETRY),
    )
    if "tls" not in table.tree:
        warn_of_plain(table, "host", transport.host, transport.tls)
    return transport


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
        retry=read_retry(table.table("retry"), FAX_RETRY),
    )
