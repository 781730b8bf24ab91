"""How a specialist's messages are read: a channel and the feeds in, the feed of what arrives from it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from referral_engine.base.ident import is_oid
from referral_engine.base.values import replace
from referral_engine.channels.channel import Channel
from referral_engine.channels.feed import Feed


def voice_of(channel: Channel, feeds: Mapping[str, Feed], names: Mapping[str, str]) -> Feed:
    """The implicit feed of a specialist in the dialect its file names, else in the usual one.

    Places, words and states are the dialect's, who speaks is the channel's. Whose record numbers are ours is never
    the dialect's: names are those that the ordering side gives its own authority (`oids_of`).
    """
    own = replace(channel.feed(), authority_names=names)
    dialect = feeds.get(channel.replies.dialect)
    if dialect is None:
        return own
    return replace(
        own,
        offset=dialect.offset,
        charset=dialect.charset,
        specialties=dialect.specialties,
        patient_numbers=dialect.patient_numbers,
        visit_numbers=dialect.visit_numbers,
        starts=dialect.starts,
        closing_documents=dialect.closing_documents,
        left_alone=dialect.left_alone,
        typed_replies=dialect.typed_replies,
        unmatched=dialect.unmatched,
        slot_words=dialect.slot_words,
        result_states=dialect.result_states,
        document_states=dialect.document_states,
    )


def oids_of(feeds: Iterable[Feed]) -> Mapping[str, str]:
    """The OIDs that the ordering side has a name for: an OID means the same whoever says it, a name does not."""
    sides = [feed for feed in feeds if feed.enabled and feed.party == "ehr"]
    return {oid: name for feed in sides for oid, name in feed.authority_names.items() if is_oid(oid)}
