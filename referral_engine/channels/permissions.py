"""Where MLLP leaves this machine without TLS, and what permits it: for the log at the start and for `status`."""

from __future__ import annotations

from collections.abc import Iterator

from referral_engine.channels.book import Book
from referral_engine.channels.channel import MllpTransport
from referral_engine.channels.engine import Tls
from referral_engine.channels.partner import Plaintext
from referral_engine.channels.peers import is_loopback


def permissions(book: Book) -> Iterator[tuple[str, Plaintext]]:
    """Every permission that is made use of, after what uses it: "listener default", "ehr" or a channel's name."""
    for where, host, tls, permission in _ways(book):
        if tls is None and permission is not None and not is_loopback(host):
            yield where, permission


def _ways(book: Book) -> Iterator[tuple[str, str, Tls | None, Plaintext | None]]:
    """Every end of MLLP: what it is called, its host, its TLS, its permission to do without."""
    for listener in book.engine.listeners:
        yield f"listener {listener.name}", listener.bind, listener.tls, listener.insecure_plaintext
    ehr = book.engine.ehr
    yield "ehr", ehr.host, ehr.tls, ehr.insecure_plaintext
    for name in sorted(book.channels):
        for _, way in book.channels[name].lanes:
            if isinstance(way, MllpTransport):
                yield name, way.host, way.tls, way.insecure_plaintext
