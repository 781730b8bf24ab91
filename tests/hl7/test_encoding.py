"""Delimiters, escapes and character sets: nothing is lost, nothing is invented, nothing hostile is slow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.encoding import DEFAULT, LINES_MAX, Delimiters, codec_of, decode, escape, unescape
from referral_engine.hl7.message import Message

ODD = Delimiters(field="|", component="@", repetition="~", escape="\\", subcomponent="&")
HASH = Delimiters.from_msh(b"MSH|^~\\&#|A")
TEXTS = st.text() | st.text(alphabet='|^~\\&#@\r\n\x0b\x1c"XFSTREPHN.br0D', max_size=30)


def test_delimiters_are_read_and_not_assumed() -> None:  # H062
    delimiters = Delimiters.from_msh(b"MSH|@~\\&|A")

    assert delimiters == ODD
    assert delimiters.encoding_characters == "@~\\&"


def test_a_fifth_encoding_character_is_truncation() -> None:  # H063
    assert HASH.truncation == "#"
    assert HASH.encoding_characters == "^~\\&#"


@pytest.mark.parametrize("header", [b"MSH|^~|A", b"MSH|^~\\|A", b"MSH|^~\\&", b"MSH|^~\\&\rPID|", b"FHS|^~&|A"])
def test_missing_encoding_characters_are_the_usual_ones(header: bytes) -> None:
    assert Delimiters.from_msh(header) == DEFAULT


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"MSH",
        b"MSH|",
        b"MSH||",
        b"MSH|^|",
        b"MSH|^~\\&#$|",
        b"MSH|^^\\&|",
        b"MSHA^~\\&A",
        b"MSH|^~x&|",
        b"MSH|^ \\&|",
        b"MSH|^\r~\\&|",
        b"MSH\xa6^~\\&\xa6",
        b"MSH&^~\\&",
        b"MSH\\^~\\",
        b"PID|1",
        b"MSH is a segment",
    ],
)
def test_delimiters_that_cannot_work_ask_for_a_reject(header: bytes) -> None:  # H068
    with pytest.raises(MessageFault) as caught:
        Delimiters.from_msh(header)

    assert caught.value.reject


@pytest.mark.parametrize(
    ("raw", "meaning"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f"),
        (r"one\.br\two\.sp2\three", "one\ntwo\n\nthree"),
        (r"one\.br-\two\.sp+\three", r"one\.br-\two\.sp+\three"),  # a sign without a number is no command
        (r"\H\bold\N\ plain", "bold plain"),
        (r"\.in+4\\.ti-2\indented\.nf\ \.fi\\.ce\x\.sk3\y", "indented \nx   y"),
        (r"\X0D0A\ \X41\ \x41\ ", "\r\n A \\x41\\ "),
        (r"\XC3A9\ \XC3\\XA9\ \XE9\ \X81\ ", "é é é \x81 "),
        (r"C:\Temp\F.txt", r"C:\Temp\F.txt"),
        (r"C:\Temp\F\x", r"C:\Temp|x"),
        (r"\\server\share", r"\\server\share"),
        (r"\Z12\ \C2842\ \M1\ \X4\ \XZZ\ \.zz\ \Q\ ", r"\Z12\ \C2842\ \M1\ \X4\ \XZZ\ \.zz\ \Q\ "),
        ("open\\", "open\\"),
        (r"\P\ ", r"\P\ "),
        (r"\X41\\X42\\F\\X43\ ", "AB|C "),
    ],
)
def test_escapes_mean_what_the_standard_says_and_the_rest_stays_visible(raw: str, meaning: str) -> None:
    assert unescape(raw, DEFAULT) == meaning


def test_the_truncation_escape_means_something_only_where_it_is_declared() -> None:  # H063
    assert unescape(r"a\P\b", HASH) == "a#b"
    assert escape("a#b", HASH) == r"a\P\b"
    assert escape("a#b", DEFAULT) == "a#b"


def test_control_characters_are_escaped_and_a_tab_is_text() -> None:
    assert escape("a\r\n\x0b\x1c\x00\tb", DEFAULT) == "a\\X0D\\\\X0A\\\\X0B\\\\X1C\\\\X00\\\tb"


@given(text=TEXTS, delimiters=st.sampled_from([DEFAULT, ODD, HASH]))
def test_unescape_gives_back_what_escape_was_given(text: str, delimiters: Delimiters) -> None:
    encoded = escape(text, delimiters)

    assert unescape(encoded, delimiters) == text
    assert not set("\r\n\x0b\x1c|").intersection(encoded)
    assert encoded != '""'


@given(text=st.text(alphabet="\\XFE09.brsp-1 ", max_size=60))
def test_unescape_never_fails_and_never_grows_without_bound(text: str) -> None:
    assert len(unescape(text, DEFAULT)) <= len(text) * LINES_MAX


@pytest.mark.parametrize("unit", ["\\", "\\X0D\\", "\\.sp99\\", "\\F", "\\.sp999999999\\", "\\X", "\\X4"])
def test_hostile_escapes_stay_bounded(unit: str) -> None:  # H070
    assert len(unescape(unit * 100_000, DEFAULT)) <= 100_000 * LINES_MAX


PHRASE = "Müller, José – ½"


@pytest.mark.parametrize(
    ("declared", "sent", "codec", "flag"),
    [
        ("UNICODE UTF-8", "utf-8", "utf-8", ""),
        ("UTF-8", "utf-8", "utf-8", ""),
        ("UNICODE", "utf-8", "utf-8", ""),
        ("", "utf-8", "utf-8", ""),
        ("", "cp1252", "cp1252", "MSH-18 is empty and the bytes are not UTF-8: read as windows-1252"),
        ("windows-1252", "cp1252", "cp1252", ""),
        ("8859/1", "cp1252", "cp1252", "MSH-18 says 8859/1, the bytes are windows-1252"),
        ("UNICODE UTF-8", "cp1252", "cp1252", "MSH-18 says UTF-8, the bytes do not"),
        ("ASCII", "cp1252", "cp1252", "MSH-18 says ASCII, the bytes do not"),
        ("ASCII", "utf-8", "utf-8", "MSH-18 says ASCII, the bytes do not"),
        ("KLINGON", "utf-8", "utf-8", "MSH-18 names a character set that is not known here"),
    ],
)
def test_the_character_set_is_found_and_a_contradiction_is_flagged(
    declared: str,
    sent: str,
    codec: str,
    flag: str,
) -> None:  # H065, H066
    assert decode(PHRASE.encode(sent), declared) == (PHRASE, codec, flag)


def test_latin_1_that_is_latin_1_is_not_flagged() -> None:  # H065
    assert decode("José".encode("latin-1"), "8859/1") == ("José", "iso8859-1", "")


def test_a_byte_order_mark_is_believed_first() -> None:
    assert decode(b"\xef\xbb\xbf" + PHRASE.encode(), "8859/1") == (PHRASE, "utf-8", "")
    assert decode(b"\xef\xbb\xbfJos\xe9", "")[:2] == ("José", "cp1252")


def test_the_feeds_own_character_set_comes_before_guessing() -> None:
    assert decode("Łódź".encode("iso8859-2"), "", "8859/2") == ("Łódź", "iso8859-2", "")
    assert decode("Łódź".encode(), "ASCII", "8859/2")[2] == "MSH-18 says ASCII, the bytes do not"


def test_bytes_that_no_character_set_knows_are_kept_one_by_one() -> None:  # H065
    raw = bytes(range(0x80, 0x100))

    text, codec, flag = decode(raw, "UTF-8")

    assert text.encode(codec) == raw
    assert flag


@given(raw=st.binary(max_size=60), declared=st.sampled_from(["", "UTF-8", "8859/1", "ASCII", "8859/15", "nonsense"]))
def test_decoding_never_loses_a_byte_and_never_invents_a_character(raw: bytes, declared: str) -> None:  # H065
    try:
        text, codec, _ = decode(raw, declared)
    except MessageFault:
        return
    assert text.encode(codec) == raw.removeprefix(b"\xef\xbb\xbf")
    assert text.count("?") == raw.count(b"?")


@pytest.mark.parametrize("declared", ["UNICODE UTF-16", "UNICODE UTF-32", "utf-16le"])
def test_wide_character_sets_are_refused_by_name(declared: str) -> None:  # H015
    with pytest.raises(MessageFault) as caught:
        codec_of(declared)

    assert (caught.value.code, caught.value.path, caught.value.reject) == ("103", "MSH-18", True)


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_wide_bytes_are_refused_by_name(codec: str) -> None:  # H015
    with pytest.raises(MessageFault, match="UTF-16 or UTF-32"):
        Message.parse("MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5\r".encode(codec))


def test_shift_jis_trail_bytes_are_no_delimiters() -> None:
    raw = "MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5||||||ISO IR14\rPID|1||7||表^能\r".encode("shift_jis")

    message = Message.parse(raw)

    assert (message.value("PID-5.1"), message.value("PID-5.2")) == ("表", "能")
