"""Messages of others, read so that they can be passed on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from referral_engine.hl7.compose import segment
from referral_engine.hl7.encoding import DEFAULT, Delimiters, unescape
from referral_engine.hl7.message import Message
from referral_engine.render.carried import read_carried, read_note, respelled
from tests.render.given import MDM, ORU

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NO_ENDS = ANY_TEXT.map(lambda text: text.replace("\r", "").replace("\n", ""))


@st.composite
def any_delimiters(draw):
    """Five to six different characters that HL7 lets a sender choose."""
    chosen = draw(st.lists(st.sampled_from("|^~\\&$%*!+#@:;,?/<>=_-"), min_size=6, max_size=6, unique=True))
    field, component, repetition, escape, subcomponent, truncation = chosen
    return Delimiters(
        field=field,
        component=component,
        repetition=repetition,
        escape=escape,
        subcomponent=subcomponent,
        truncation=draw(st.sampled_from(["", truncation])),
    )


@given(texts=st.lists(ANY_TEXT, min_size=1, max_size=4), delimiters=any_delimiters())
def test_a_segment_in_any_delimiters_reads_the_same_in_the_usual_ones(texts, delimiters):
    raw = segment("ZZZ", tuple(texts), [text or "x" for text in texts], delimiters=delimiters)

    usual = respelled(raw, delimiters)

    fields = usual.split("|")
    if any(texts):
        read = [unescape(text, DEFAULT) for text in fields[1].split("^")]
        assert read + [""] * (len(texts) - len(read)) == texts
    assert [unescape(text, DEFAULT) for text in fields[2].split("~")] == [text or "x" for text in texts]


@given(text=NO_ENDS, delimiters=any_delimiters())
def test_even_what_no_sender_should_write_means_the_same_after_it(text, delimiters):
    inside = "".join(letter for letter in text + "|^~&#$" if letter not in _separators(delimiters))

    assert unescape(respelled(inside, delimiters), DEFAULT) == unescape(inside, delimiters)


def _separators(delimiters):
    return delimiters.field + delimiters.component + delimiters.repetition + delimiters.subcomponent


@given(cut=st.integers(0, 400), junk=st.binary(max_size=6))
def test_a_damaged_message_is_read_as_far_as_it_goes_or_not_at_all(cut, junk):
    for raw in (ORU, MDM):
        damaged = raw[:cut] + junk + raw[cut:]

        message = read_carried(damaged)

        assert message is None or message.delimiters == DEFAULT


def test_what_is_no_message_is_none():
    for raw in (b"", b"{}", b"MSH", b"MSH|^~", "MSH|^~\\&|".encode("utf-16")):
        assert read_carried(raw) is None
        assert read_note(raw, "ORD-1001") is None


def test_usual_delimiters_with_a_truncation_character_become_the_usual_four():
    source = b"MSH|^~\\&#|L|C|R|R|20260311||ORU^R01|M1|P|2.7\rOBX|1|TX|x||a \\P\\ b# & c||||||F\r"

    message = read_carried(source)

    assert message is not None
    assert message.raw.startswith(b"MSH|^~\\&|")
    assert message.value("OBX-5") == Message.parse(source).value("OBX-5")
