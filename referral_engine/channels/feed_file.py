"""conf/feeds/<name>.toml to a Feed: one sender's dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeVar, get_args

from referral_engine.channels import words
from referral_engine.channels.conditions import read_feed_path, read_matcher
from referral_engine.channels.feed import Feed, OrderAction, ReportState, SlotMeaning
from referral_engine.channels.matcher import Matcher
from referral_engine.channels.naming import complain_of_file_name
from referral_engine.channels.shape import Page, Table

T = TypeVar("T")

_PARTIES: Final[Mapping[str, Literal["ehr", "scanner"]]] = {"ehr": "ehr", "scanner": "scanner"}
_ACTIONS: Final[Mapping[str, OrderAction]] = {word: word for word in get_args(OrderAction)}
_SLOTS: Final[Mapping[str, SlotMeaning]] = {word: word for word in get_args(SlotMeaning)}
_STATES: Final[Mapping[str, ReportState]] = {word: word for word in get_args(ReportState)}


def read_feed(page: Page) -> Feed | None:
    """One sender; None when the file does not say its name."""
    top = page.top
    head = top.needed("feed")
    name = head.need("name", words.name, "")
    base = Feed(name=name)
    feed = Feed(
        name=name,
        title=head.take("title", words.some_text, name),
        party=head.take("party", words.word(_PARTIES), "ehr"),
        applications=head.several("applications", words.some_text, ()),
        facilities=head.several("facilities", words.some_text, ()),
        addresses=head.several("addresses", words.network, ()),
        partner=head.take("partner", words.name, ""),
        zone=head.take("timezone", words.zone, base.zone),
        charset=head.take("charset", words.charset, base.charset),
        referral_when=_matcher(top, "referral_when"),
        referred_to=head.several("referred_to", read_feed_path, base.referred_to),
        specialties=_specialties(top.defaulted("specialties")),
        patient_authority=head.take("patient_authority", words.text, ""),
        language=head.take("language", read_feed_path, base.language),
        portal=_matcher(top, "portal"),
        sms_consent=_matcher(top, "sms_consent"),
        controls=_meanings(top.defaulted("controls"), base.controls, _ACTIONS),
        slot_words=_meanings(top.defaulted("appointment_words"), base.slot_words, _SLOTS),
        result_states=_meanings(top.defaulted("result_states"), base.result_states, _STATES),
        document_states=_meanings(top.defaulted("document_states"), base.document_states, _STATES),
        file=page.source.file,
    )
    head.close()
    top.known.append("partner")  # `read_own_partner` reads it
    top.close()
    complain_of_file_name(head, name, "feed")
    return feed if name else None


def _matcher(top: Table, key: str) -> Matcher | None:
    """A table of conditions that may use what only senders' files may use."""
    table = top.table(key)
    if table is None:
        return None
    if not table.tree:
        top.complain(key, "CH214", f"[{key}] is empty, so everything would match", "leave the table out, or add a line")
    return read_matcher(table, in_feed=True)


def _meanings(table: Table, base: Mapping[str, T], meanings: Mapping[str, T]) -> Mapping[str, T]:
    """This sender's codes laid over the usual ones, in capitals."""
    own = {key.strip().upper(): (key, table.take(key, words.word(meanings), None)) for key in table.tree}
    return {**base, **{code: meaning for code, (_, meaning) in own.items() if meaning is not None}}


def _specialties(table: Table) -> Mapping[str, str]:
    """Prefix of an order code to the specialty it asks for."""
    return {key: table.take(key, words.name, "") for key in table.tree}
