"""What a coordinator says of messages under review, and takes back again; any of it may be refused."""

from __future__ import annotations

from random import Random

from referral_engine.flow.inputs import EvidenceUnbound, Input, MergeUndone, ReviewDecided
from referral_engine.journal.reading import Reading
from tests.simulation.made_messages import HEART

DECISIONS = ("bind", "bind", "new", "dismiss", "wrong-patient", "needs-info")
LOOKED_AT = 50


def word_of_a_reviewer(reading: Reading, chance: Random) -> Input | None:
    """One decision about what is there; None when there is nothing to decide, or nobody has the time."""
    drawn = chance.random()
    lines = reading.referrals(limit=LOOKED_AT)
    if drawn < 0.2 and lines and (reviews := reading.reviews(limit=LOOKED_AT)):
        return ReviewDecided(
            task=chance.choice(reviews).task.id,
            decision=chance.choice(DECISIONS),
            by="ana",
            reason="looked at",
            referral=chance.choice(lines).id,
            channel=HEART.channel,
            sure=chance.random() < 0.3,
        )
    if drawn > 0.93 and (messages := [one for one in reading.messages(limit=LOOKED_AT) if one.referral]):
        return EvidenceUnbound(message=chance.choice(messages).sequence, by="ana", reason="a slip")
    if 0.90 < drawn < 0.93 and (merges := reading.merges(limit=LOOKED_AT)):
        return MergeUndone(merge=chance.choice(merges).id, by="ana", reason="two people")
    return None
