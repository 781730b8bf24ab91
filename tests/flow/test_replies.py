"""A specialist's interface answers our sending by ORR or RRI: what it refuses there is shown, what it takes is taken."""

from __future__ import annotations

import pytest

from referral_engine.flow.inputs import Claim, Settled
from referral_engine.loop.events import Outcome
from tests.flow.stage import HEART, ORDER, arrived, engine, sample, tasks, tracks


def answer(kind: str, *lines: str) -> bytes:
    return "\r".join([f"MSH|^~\\&|CENTRICITY|HEARTGRP|E|S|20260302||{kind}|H1|P|2.5.1", *lines, ""]).encode()


TOOK = "MSA|AA|RE1"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answer("ORR^O02", TOOK, "ORC|UA|P-1001^EHR"), "does not accept the order (ORC-1 UA)"),
        (answer("ORG^O20^ORG_O20", TOOK, "ORC|ua|P-1001^EHR"), "does not accept the order (ORC-1 UA)"),
        (answer("RRI^I12", TOOK, "RF1|R|R|MED|||R-1^EHR"), "rejects the referral (RF1-1 R)"),
        (answer("ORR^O02", TOOK, "ORC|OK|P-1001^EHR"), ""),
        (answer("ORR^O02", TOOK), ""),
        (answer("ACK^O01", TOOK, "ORC|UA|P-1001^EHR"), ""),
        (answer("ACK^O01", TOOK, "NTE|1||ORR"), ""),
        (b"ORR rubbish", ""),
        (b"", ""),
    ],
)
def test_what_a_typed_answer_refuses_is_a_task_and_the_packet_has_arrived_all_the_same(
    reply: bytes, words: str
) -> None:
    stage = engine()
    stage.step.run([arrived(sample(ORDER))])
    (row,) = stage.step.run([Claim(lane=HEART, limit=1)])[0].effects

    stage.step.run([Settled(effect=row.id, token=row.token, outcome=Outcome.DELIVERED, reply=reply)])

    assert tracks(stage)["dispatch"] == "received"
    assert [one.kind for one in tasks(stage)] == (["anomaly"] if words else [])
    assert all(words in one.reason for one in tasks(stage))
