"""[.. tls] tables to values, and the permission to do without: a reason and a last day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from referral_engine.channels import words
from referral_engine.channels.engine import Tls
from referral_engine.channels.partner import Plaintext
from referral_engine.channels.peers import is_loopback
from referral_engine.channels.shape import Table

ENDING: Final = timedelta(days=30)  # before its last day a permission is warned of: a certificate takes weeks to get

_HELP: Final = "add tls = { ... }; until then insecure_plaintext = true, with insecure_reason and insecure_until"


def read_tls(table: Table | None, *, listening: bool = False) -> Tls | None:
    """[.. tls]: file names inside the credentials directory."""
    if table is None:
        return None
    if listening:
        tls = Tls(
            cert=table.need("cert", words.credential, ""),
            key=table.take("key", words.credential, ""),
            ca=table.take("ca", words.credential, ""),
            require_client_cert=table.take("require_client_cert", words.flag, default=False),
        )
        if tls.require_client_cert and not tls.ca:
            table.complain(
                "require_client_cert", "CH309", "client certificates cannot be checked without a ca", 'add ca = "..."'
            )
    else:
        tls = Tls(
            cert=table.take("client_cert", words.credential, ""),
            key=table.take("client_key", words.credential, ""),
            ca=table.take("ca", words.credential, ""),
            server_name=table.take("server_name", words.host, ""),
        )
    table.close()
    return tls


def read_plaintext(table: Table) -> Plaintext | None:
    """insecure_plaintext = true with its reason and its last day; None when nothing is permitted."""
    permitted = table.take("insecure_plaintext", words.flag, default=False)
    reason = table.take("insecure_reason", words.some_text, "")
    until: date | None = table.take("insecure_until", words.day, None)
    if not permitted:
        return None
    table.missing.extend(key for key in ("insecure_reason", "insecure_until") if key not in table.tree)
    _watch(table, until)
    return Plaintext(reason=reason, until=until or date.max)  # the stand-in only serves to read on


def read_permission(table: Table, key: str, host: str, lent: Plaintext | None = None) -> Plaintext | None:
    """What permits plain MLLP here: the table's own words, else what the partner lends.

    Without either, patients' names would cross a network unencrypted: an error, unless `host` is this machine.
    """
    permission = read_plaintext(table) or lent
    if permission is None and "tls" not in table.tree and host and not is_loopback(host):
        table.complain(key, "CH316", f'"{host}" is spoken to without TLS, and nothing permits it', _HELP)
    return permission


def _watch(table: Table, until: date | None) -> None:
    """Complain of a permission that is over, warn of one that soon will be; without a day of today nothing is known."""
    today = table.page.today
    if today is None or until is None or "tls" in table.tree:
        return
    if until < today:
        table.complain(
            "insecure_until", "CH317", f"plain MLLP was permitted until {until}", "set up TLS, or permit it again"
        )
    elif until - today <= ENDING:
        table.page.warn(
            (*table.place, "insecure_until"), "CHW05", f"plain MLLP is permitted until {until}", "set up TLS by then"
        )
