"""[transport] and [fallback] tables to the way a packet travels."""

from __future__ import annotations

from typing import Final, Literal

from referral_engine.channels import words
from referral_engine.channels.channel import FaxTransport, MllpTransport, SpoolTransport, Transport
from referral_engine.channels.engine import Engine, Retry
from referral_engine.channels.engine_file import read_retry
from referral_engine.channels.nak_file import read_nak_of
from referral_engine.channels.naming import complain_of_unknown
from referral_engine.channels.partner import Partner
from referral_engine.channels.shape import Table, nearest
from referral_engine.channels.tls_file import read_permission, read_tls

MLLP_RETRY: Final = Retry()
FAX_RETRY: Final = Retry(first_seconds=600, longest_seconds=3600, give_up_after_seconds=4 * 3600)
ATTACHMENTS: Final = {name: name for name in ("order", "demographics", "insurance", "notes")}
PAGES_MOST: Final = 200  # a fax of more pages blocks the line for an hour

_KINDS: Final[dict[str, Literal["mllp", "fax", "spool"]]] = {"mllp": "mllp", "fax": "fax", "spool": "spool"}
_ACK_MODES: Final[dict[str, Literal["original", "enhanced"]]] = {"original": "original", "enhanced": "enhanced"}


def read_transport(table: Table, engine: Engine, partner: Partner) -> Transport:
    """One way out, of the kind the table says; a spool nobody reads stands in for one that cannot be read.

    partner: decides what the table leaves out.
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
        transport = SpoolTransport(
            directory=table.need("directory", words.some_text, engine.spool_directory),
            retry=read_retry(table.table("retry"), MLLP_RETRY),
        )
    table.close()
    return transport


def _mllp(table: Table, partner: Partner) -> MllpTransport:
    """HL7 over MLLP."""
    host = table.need("host", words.host, "")
    return MllpTransport(
        host=host,
        port=table.need("port", words.port, 0),
        tls=read_tls(table.table("tls")),
        ack_mode=table.take("ack_mode", words.word(_ACK_MODES), _usual_mode(partner), origin=partner.file),
        ack_timeout_seconds=table.take("ack_timeout", words.seconds, 30.0),
        retry=read_retry(table.table("retry"), MLLP_RETRY),
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
        retry=read_retry(table.table("retry"), FAX_RETRY),
    )
