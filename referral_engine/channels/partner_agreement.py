"""What files say about partners: those nobody defines, those nobody names, certificates nobody asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from referral_engine.base.errors import Problem
from referral_engine.channels.channel import Channel
from referral_engine.channels.engine import Engine
from referral_engine.channels.feed import Feed
from referral_engine.channels.partner import Partner
from referral_engine.channels.scan import Place
from referral_engine.channels.shape import Page, nearest, problem_at

Naming = tuple[Page, Place, str]  # where a partner is named, and its name


def partner_disagreements(
    engine: Engine,
    senders: Sequence[tuple[Page, Feed | Channel]],
    partners: Sequence[tuple[Page, Partner]],
    engine_page: Page,
) -> Iterator[Problem]:
    """Every problem of partners that no file has on its own."""
    known = tuple(partner.name for _, partner in partners)
    naming = [*_named_by_engine(engine, engine_page), *_named_by_senders(senders)]
    for page, place, name in naming:
        if name not in known:
            near = nearest(name, known)
            hint = f'did you mean "{near}"?' if near else f"write conf/partners/{name}.toml"
            yield problem_at(page.source, place, "CH409", f'there is no partner "{name}"', hint)
    named = {name for _, _, name in naming} | {sender.partner or sender.name for _, sender in senders}
    for page, partner in partners:
        if senders and partner.name not in named and not page.troubled & {"partner", "feed"}:
            sentence = f'no feed, channel or listener means the partner "{partner.name}"'
            hint = f'write partner = "{partner.name}" into a feed or a channel'
            yield problem_at(page.source, ("partner", "name"), "CHW06", sentence, hint, warning=True)
        if partner.certificates and engine_page.source.lines and not _asked(engine, partner):
            sentence = "no listener asks callers for a certificate, so this partner would always be refused"
            hint = 'give a [listener] tls = { cert = "...", ca = "..." }'
            yield problem_at(page.source, ("partner", "certificates"), "CH411", sentence, hint)


def _asked(engine: Engine, partner: Partner) -> bool:
    """Whether some port that the partner may use takes certificates."""
    return any(
        one.tls is not None and one.tls.ca and (not one.partners or partner.name in one.partners)
        for one in engine.listeners
    )


def _named_by_engine(engine: Engine, page: Page) -> Iterator[Naming]:
    """[ehr] partner and [listener] partners."""
    if engine.ehr.partner:
        yield page, ("ehr", "partner"), engine.ehr.partner
    several = isinstance(page.source.tree.get("listener"), list)
    for number, listener in enumerate(engine.listeners):
        for index, name in enumerate(listener.partners):
            yield page, ("listener", *((number,) if several else ()), "partners", index), name


def _named_by_senders(senders: Sequence[tuple[Page, Feed | Channel]]) -> Iterator[Naming]:
    """[feed] partner and [channel] partner."""
    for page, sender in senders:
        if sender.partner:
            yield page, ("channel" if isinstance(sender, Channel) else "feed", "partner"), sender.partner
