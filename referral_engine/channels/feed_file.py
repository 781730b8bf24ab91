"""conf/feeds/<name>.toml to a Feed: one sender's dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeVar, get_args

from referral_engine.channels import words
from referral_engine.channels.conditions import read_exact_path, read_feed_path, read_matcher
from referral_engine.channels.feed import Feed, Offset, OrderAction, ReportState, SlotMeaning
from referral_engine.channels.matcher import Matcher
from referral_engine.channels.naming import complain_of_file_name
from referral_engine.channels.shape import Page, Reader, Table

T = TypeVar("T")

_PARTIES: Final[Mapping[str, Literal["ehr", "scanner"]]] = {"ehr": "ehr", "scanner": "scanner"}
_OFFSETS: Final[Mapping[str, Offset]] = {word: word for word in get_args(Offset)}
_PATIENT_NUMBERS: Final = {field: field for field in ("PID-3", "PID-2", "PID-4")}  # others are never a record's number
_VISIT_NUMBERS: Final = {field: field for field in ("PV1-19", "PV1-50", "PID-18")}
_UNMATCHED: Final[Mapping[str, Literal["review", "forget"]]] = {"review": "review", "forget": "forget"}
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
        applications=head.several("applications", words.text, ()),  # "" is an MSH-3 that says nothing
        facilities=head.several("facilities", words.some_text, ()),
        addresses=head.several("addresses", words.network, ()),
        partner=head.take("partner", words.name, ""),
        enabled=head.take("enabled", words.flag, base.enabled),
        zone=head.take("timezone", words.zone, base.zone),
        offset=head.take("offset", words.word(_OFFSETS), base.offset),
        charset=head.take("charset", words.charset, base.charset),
        referral_when=_matcher(top, "referral_when"),
        left_alone=_matcher(top, "left_alone"),
        physician_orders=_matcher(top, "physician_orders"),
        in_network=_matcher(top, "in_network"),
        denied_when=_matcher(top, "denied_when"),
        referred_to=head.several("referred_to", read_feed_path, base.referred_to),
        specialties=_specialties(top.defaulted("specialties")),
        patient_authority=head.take("patient_authority", words.text, ""),
        authority_names=_authorities(top.defaulted("authorities")),
        patient_numbers=_places(head, "patient_numbers", words.word(_PATIENT_NUMBERS), base.patient_numbers),
        visit_numbers=head.several("visit_numbers", words.word(_VISIT_NUMBERS), base.visit_numbers),
        starts=_places(head, "starts", read_exact_path, base.starts),
        closing_documents=head.several("closing_documents", words.some_text, base.closing_documents),
        notes_may_attach=head.take("notes_may_attach", words.flag, base.notes_may_attach),
        typed_replies=head.take("typed_replies", words.flag, base.typed_replies),
        unmatched=head.take("unmatched", words.word(_UNMATCHED), base.unmatched),
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
    _complain_of_authorities(top, head, feed)
    return feed if name else None


def _places(head: Table, key: str, read: Reader[str], base: tuple[str, ...]) -> tuple[str, ...]:
    """Places of which the first with a value counts: at least one."""
    places = head.several(key, read, base)
    if head.tree.get(key) == []:
        head.complain(key, "CH214", f'"{key}" is empty, so nothing would ever be found', "leave the line out")
        return base
    return places


def _authorities(table: Table) -> Mapping[str, str]:
    """Another name of an authority, or its OID, to the name that its numbers are kept under."""
    return {key: table.take(key, words.some_text, "") for key in table.tree}


def _complain_of_authorities(top: Table, head: Table, feed: Feed) -> None:
    """A name that stands for another one cannot be the one that numbers are kept under."""
    for key, name in feed.authority_names.items():
        if feed.authority_names.get(name, name) != name:
            sentence = f'"{key}" is called "{name}", which has another name itself'
            place = ("authorities", key)
            top.page.complain(place, "CH319", sentence, f'write "{feed.authority_names[name]}"')
    meant = feed.authority_names.get(feed.patient_authority, feed.patient_authority)
    if meant != feed.patient_authority:
        sentence = f'"{feed.patient_authority}" has another name in [authorities]'
        head.complain("patient_authority", "CH319", sentence, f'write "{meant}"')


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
