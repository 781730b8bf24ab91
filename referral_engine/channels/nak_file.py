"""[.. nak] tables: what a peer's AE and AR ask of us."""

from __future__ import annotations

from typing import Final, get_args

from referral_engine.channels import words
from referral_engine.channels.naks import NakAction, NakMeaning
from referral_engine.channels.partner import Partner
from referral_engine.channels.shape import Table

_ACTIONS: Final[dict[str, NakAction]] = {action: action for action in get_args(NakAction)}


def read_nak(table: Table, base: NakMeaning) -> NakMeaning:
    """{ error, reject, transient }; what is left out is as in `base`."""
    nak = NakMeaning(
        error=table.take("error", words.word(_ACTIONS), base.error),
        reject=table.take("reject", words.word(_ACTIONS), base.reject),
        transient_codes=frozenset(table.several("transient", words.some_text, tuple(sorted(base.transient_codes)))),
    )
    table.close()
    return nak


def read_nak_of(table: Table, partner: Partner) -> NakMeaning:
    """The [.. nak] of a way out to a partner, laid over what the partner's own file says."""
    own = table.defaulted("nak")
    own.origin = partner.file or own.origin
    return read_nak(own, partner.nak)
