"""The listeners a book asks for, each with its partners, its answers for bad times and its share of descriptors."""

from __future__ import annotations

import resource
from collections.abc import Sequence

from twisted.internet.ssl import CertificateOptions

from referral_engine.base.clock import Clock
from referral_engine.channels.admission import partner_of_connection
from referral_engine.channels.book import Book
from referral_engine.channels.engine import Listener
from referral_engine.channels.partner import Partner
from referral_engine.service.busy import BusyAnswers
from referral_engine.service.house import Doorway
from referral_engine.service.listener import MllpListener
from referral_engine.transports.reactor import Timer


def listeners_of(
    book: Book, contexts: Sequence[CertificateOptions | None], *, door: Doorway, timer: Timer, clock: Clock
) -> list[MllpListener]:
    """Every listener of the book, in its order; `contexts` are what each presents over TLS, None for plain ones."""
    busy = BusyAnswers(clock, book.engine.identity)
    descriptors_max = descriptor_limit()

    def made(settings: Listener, context: CertificateOptions | None) -> MllpListener:
        def partner_of(peer: str, certificates: tuple[str, ...]) -> Partner:
            return partner_of_connection(book, listener=settings.name, peer=peer, certificates=certificates)

        return MllpListener(
            settings,
            door=door,
            clock=timer,
            tls=context,
            partner_of=partner_of,
            busy=busy,
            descriptors_max=descriptors_max,
        )

    return [made(settings, context) for settings, context in zip(book.engine.listeners, contexts, strict=True)]


def descriptor_limit() -> int:
    """How many descriptors this process may have; 0 for no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if soft == resource.RLIM_INFINITY else soft
