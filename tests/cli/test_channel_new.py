"""`channel new`: answers in, a commented, checked, tested channel file out; or nothing at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from referral_engine.channels.book import read_book
from referral_engine.channels.channel import FaxTransport, MllpTransport
from referral_engine.channels.draft import one_line, toml, write_draft
from referral_engine.channels.questions import name_from
from referral_engine.channels.source import Source, read_source
from referral_engine.cli.main import main
from referral_engine.cli.new_files import place_files
from referral_engine.flow.scenario import Expect, Head, Moment, Scenario
from referral_engine.flow.story import Story
from referral_engine.service.files import read_files
from tests.cli.terminal import ROOT, Said, run

NEUROLOGY = """
[channel]
title     = "Prairie Neurology"
npi       = "1500000009"
specialty = "neurology"
[match]
codes = ["REFNEUR", "REFEEG"]
[transport]
kind   = "fax"
number = "(217) 555-0190"
[fallback]
kind = "mllp"
host = "hl7.prairie.example"
port = 6670
tls  = { ca = "prairie-ca.pem" }
"""
# title, name, NPI, specialty, codes, network, calendar
HEART = ("Elm Heart", "", "1500000009", "cardiology", "", "in", "")
# kind, gateway, number; no fallback; sends nothing; notes; no hold; clocks kept; address, parking
BY_FAX = ("", "", "217.555.0190", "", "", "", "", "", "9 Elm Street", "")


ONE_TEST = '[[test]]\nname = "one"\nsteps = [{ receive = "orm-o01-cardiology-ppo.hl7" }]\n'


def site(tmp_path: Path, *, samples: bool = True) -> Path:
    """A small site: the engine, the EHR, pre-authorization, three channels, and the sample orders they take."""
    (tmp_path / "conf" / "feeds").mkdir(parents=True)
    for name in ("engine.toml", "preauth.toml", "feeds/ehr.toml"):
        shutil.copy(ROOT / "conf" / name, tmp_path / "conf" / name)
    (tmp_path / "channels").mkdir()
    for name in ("cardiology-heart-group", "imaging-northside", "orthopaedics-lakeside"):
        text = (ROOT / "channels" / f"{name}.toml").read_text(encoding="utf-8").split("[[test]]")[0]
        (tmp_path / "channels" / f"{name}.toml").write_text(text + ONE_TEST, encoding="utf-8")
    (tmp_path / "sample_messages").mkdir()
    for path in (ROOT / "sample_messages").glob("orm-o01-*-ppo.hl7") if samples else ():
        shutil.copy(path, tmp_path / "sample_messages")
    return tmp_path / "conf" / "engine.toml"


def answered(engine: Path, answers: str, *more: str) -> Said:
    file = engine.parent.parent / "answers.toml"
    file.write_text(answers, encoding="utf-8")
    return run("channel", "new", "--conf", engine, "--answers", file, *more)


def typed(engine: Path, *lines: str) -> Said:
    words = ["channel", "new", "--conf", str(engine)]
    result = CliRunner().invoke(main, words, input="".join(f"{line}\n" for line in lines), catch_exceptions=False)
    return Said(result.exit_code, result.stdout, result.stderr)


def channels(engine: Path) -> set[str]:
    return {path.name for path in (engine.parent.parent / "channels").iterdir()}


def test_a_neurology_office_by_fax_with_an_mllp_fallback_is_written_checked_and_routed(tmp_path: Path) -> None:
    engine = site(tmp_path)
    before = channels(engine)

    said = answered(engine, NEUROLOGY)

    assert said.exit_status == 0, said.err
    assert channels(engine) - before == {"prairie-neurology.toml"}
    assert run("check", "--conf", engine).exit_status == 0
    channel = read_book(read_files(str(engine))).channels["prairie-neurology"]
    assert isinstance(channel.transport, FaxTransport)
    assert channel.transport.number == "+12175550190"
    assert isinstance(channel.fallback, MllpTransport)
    assert channel.fallback.tls is not None
    assert [test.name for test in channel.tests] == [
        "an order for them goes straight out",
        "an order for another specialist is not ours",
    ]
    assert 'no feed gives an order the specialty "neurology"' in said.err
    text = (tmp_path / "channels" / "prairie-neurology.toml").read_text()
    assert text == said.out
    assert text.startswith("# Prairie Neurology: neurology referrals by fax, over MLLP when that fails.\n")


def test_print_shows_the_same_file_and_writes_none(tmp_path: Path) -> None:
    engine = site(tmp_path)
    before = channels(engine)

    shown = answered(engine, NEUROLOGY, "--print")

    assert shown.exit_status == 0
    assert channels(engine) == before
    assert shown.out == answered(engine, NEUROLOGY).out


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    engine = site(tmp_path)
    answered(engine, NEUROLOGY)
    file = tmp_path / "channels" / "prairie-neurology.toml"
    file.write_text(file.read_text() + "# mine\n")
    before = file.read_text()

    said = answered(engine, NEUROLOGY)

    assert said.exit_status == 1
    assert f"{file} is there already, and a file is never overwritten" in said.err
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"1500000009"', '"1500000001"', "the last digit should be 9"),
        ('"(217) 555-0190"', '"555-0190"', '"555-0190" is not a telephone number'),
        ("6670", '"6670"', '"port": expected a whole number, found text in quotes'),
        ('title     = "Prairie Neurology"', "", '"channel.title" is missing'),
        ('npi       = "1500000009"', "", '"channel.npi" is missing'),
        ("[match]", "[mtach]", 'nothing asks for "mtach.codes"; did you mean "match.codes"?'),
        ('"fax"', '"pigeon"', '"pigeon" is not one of "mllp", "fax", "spool"'),
        ('kind = "mllp"', 'kind = "none"', '"fallback.host" is not asked of a channel like this'),
        ("[match]", "[match", "is not TOML"),
        ('tls  = { ca = "prairie-ca.pem" }', "secure = false", "insecure_reason"),
        ('"1500000009"', '"1987654328"', None),
        ('["REFNEUR", "REFEEG"]', "[[1]]", '"match.codes" is neither text'),
    ],
)
def test_answers_that_cannot_be_right_write_nothing_and_say_why(
    tmp_path: Path, old: str, new: str, sentence: str | None
) -> None:
    engine = site(tmp_path)
    before = channels(engine)

    said = answered(engine, NEUROLOGY.replace(old, new, 1))

    if sentence is None:  # the NPI of another channel, for other orders: both may be
        assert said.exit_status == 0
        return
    assert said.exit_status == 1
    assert sentence in said.err
    assert channels(engine) == before


def test_a_channel_that_would_take_the_orders_of_another_is_refused(tmp_path: Path) -> None:
    engine = site(tmp_path)
    answers = NEUROLOGY.replace("1500000009", "1987654328").replace('["REFNEUR", "REFEEG"]', '"REFORTHKNEE"')

    said = answered(engine, answers)

    assert said.exit_status == 1
    assert "can take the same order" in said.err
    assert "nothing is written" in said.err


def test_questions_are_asked_in_turn_and_the_file_is_shown_before_it_is_written(tmp_path: Path) -> None:
    engine = site(tmp_path)

    said = typed(engine, *HEART, *BY_FAX, "yes")

    assert said.exit_status == 0, said.err
    assert "warning" not in said.err
    channel = read_book(read_files(str(engine))).channels["elm-heart"]
    assert (channel.title, channel.npi, channel.patient.address) == ("Elm Heart", "1500000009", "9 Elm Street")
    assert [str(one.test) for one in channel.match.conditions[1:2]] == ["StartsWith(prefixes=('REFCARD', 'REFEP'))"]
    assert said.out == (tmp_path / "channels" / "elm-heart.toml").read_text()


def test_an_answer_that_does_not_fit_is_asked_again_with_the_sentence_of_check(tmp_path: Path) -> None:
    engine = site(tmp_path)
    title, name, _, _, *rest = HEART
    kind, gateway, number, *more = BY_FAX

    said = typed(
        engine, title, "Elm Heart", "orthopaedics-lakeside", name, "123", "1500000008", "1500000009", "Heart!",
        "cardiology", *rest, "mlpp", kind, "leftfax", gateway, "555 0190", number, *more, "yes",
    )  # fmt: skip

    assert said.exit_status == 0, said.err
    for sentence in (
        '"Elm Heart" is not a name',
        "is there already, and a file is never overwritten",
        '"123" is not a valid NPI: it must be ten digits',
        '"1500000008" is not a valid NPI: its check digit does not match (the last digit should be 9)',
        '"Heart!" is not a name',
        '"mlpp" is not one of "mllp", "fax", "spool" (did you mean "mllp"?)',
        'there is no gateway "leftfax"',
        '"555 0190" is not a telephone number',
    ):
        assert sentence in said.err


def test_two_channels_that_take_one_order_are_told_and_only_what_decides_is_asked_again(tmp_path: Path) -> None:
    engine = site(tmp_path)
    title, name, _, specialty, *rest = HEART

    said = typed(engine, title, name, "1234567893", specialty, *rest, *BY_FAX, "1500000009", "", "yes")

    assert said.exit_status == 0, said.err
    assert 'this channel and "cardiology-heart-group" can take the same order' in said.err
    assert read_book(read_files(str(engine))).channels["elm-heart"].npi == "1500000009"


def test_a_plan_that_waits_gets_a_test_that_says_so(tmp_path: Path) -> None:
    engine = site(tmp_path)

    said = answered(engine, NEUROLOGY + '[hold]\nplans = "HMO"\n')

    assert said.exit_status == 0, said.err
    channel = read_book(read_files(str(engine))).channels["prairie-neurology"]
    assert channel.hold is not None
    held = next(test for test in channel.tests if "HMO" in test.name)
    assert held.steps[0].overrides["IN1-15"] == "HMO"
    assert (held.steps[0].expect.status, held.steps[0].expect.sends) == ("held", ())


def test_only_clocks_that_were_changed_are_written(tmp_path: Path) -> None:
    engine = site(tmp_path)

    said = answered(engine, NEUROLOGY + '[sla]\nschedule = { routine = "9 days" }\n')

    assert said.exit_status == 0, said.err
    assert 'schedule = { routine = "9 days", urgent = "3 days" }' in said.out
    assert "note-request" not in said.out


def test_mllp_without_tls_to_another_machine_asks_for_a_reason_and_a_last_day(tmp_path: Path) -> None:
    engine = site(tmp_path)
    plain = 'secure = false\ninsecure_reason = "a VPN until their certificate is there"\ninsecure_until = 2999-12-31\n'

    said = answered(engine, NEUROLOGY.replace('tls  = { ca = "prairie-ca.pem" }\n', plain))

    assert said.exit_status == 0, said.err
    assert "insecure_until     = 2999-12-31" in said.out


def test_giving_up_leaves_nothing(tmp_path: Path) -> None:
    engine = site(tmp_path)
    before = channels(engine)

    aborted = typed(engine, *HEART)  # the input ends as at Ctrl-C
    refused = typed(engine, *HEART, *BY_FAX, "no")

    assert (aborted.exit_status, refused.exit_status) == (1, 1)
    assert "Aborted!" in aborted.err
    assert "nothing is written" in refused.err
    assert channels(engine) == before


def test_a_site_that_is_broken_is_mended_first(tmp_path: Path) -> None:
    engine = site(tmp_path)
    (tmp_path / "channels" / "imaging-northside.toml").write_text("[channel\n")

    assert answered(engine, NEUROLOGY).exit_status == 78


def test_without_samples_the_file_has_no_test_and_check_warns_of_it(tmp_path: Path) -> None:
    engine = site(tmp_path, samples=False)

    said = answered(engine, NEUROLOGY)

    assert said.exit_status == 0, said.err
    assert "CHW01" in said.err


def test_the_wizards_own_tests_are_what_the_engine_does(tmp_path: Path) -> None:
    engine = site(tmp_path)
    answered(engine, NEUROLOGY)
    book = read_book(read_files(str(engine)))
    step = book.channels["prairie-neurology"].tests[0].steps[0]
    story = Story(
        scenario=Scenario(
            scenario=Head(name="new", title="new", start="2026-03-02 08:00"),
            step=(
                Moment(
                    at="2026-03-02 10:00",
                    receive=step.receive,
                    with_=dict(step.overrides),
                    expect=Expect(ack="AA", includes=("specialist order",)),
                ),
            ),
        ),
        book=book,
        samples=lambda name: (tmp_path / "sample_messages" / name).read_bytes(),
    )

    assert [one.differences for one in story.play()] == [()]
    assert [one.line.channel for one in story.ends()] == ["prairie-neurology"]


def test_text_that_would_end_its_quotes_or_its_comment_does_not() -> None:
    nasty = 'A "B"\\\n[transport]\nkind = "mllp" \x00\x7f\u2028'
    text = write_draft({"channel.name": "x", "channel.title": nasty, "channel.specialty": nasty})

    source = read_source("channels/x.toml", text)

    assert isinstance(source, Source)
    assert source.tree["channel"]["title"] == nasty  # type: ignore[index]  # the tree is what TOML makes of it
    assert source.tree["transport"] == {}
    assert text.splitlines()[0].startswith("# A")
    assert toml("\t\x01") == '"\\t\\u0001"'
    assert one_line("a\r\n b\x00c") == "a b c"


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Dr. O'Neill & Söhne, P.C.", "dr-oneill-and-sohne-p-c"),
        ("---", ""),
        ("心臓", ""),
        ("x" * 90, "x" * 60),
    ],
)
def test_a_name_is_made_of_a_title(title: str, name: str) -> None:
    assert name_from(title) == name


def test_files_get_their_names_all_at_once_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text("mine")

    with pytest.raises(FileExistsError):
        place_files(tmp_path, {"a.toml": "1", "b.toml": "2", "c.toml": "3"})

    assert [path.name for path in tmp_path.iterdir()] == ["b.toml"]
    assert (tmp_path / "b.toml").read_text() == "mine"


def test_the_first_line_names_the_schema_where_a_site_has_it(tmp_path: Path) -> None:
    engine = site(tmp_path)
    schemas = tmp_path / "docs" / "schemas"
    schemas.mkdir(parents=True)
    (schemas / "channel.schema.json").write_text("{}")

    said = answered(engine, NEUROLOGY)

    assert said.out.startswith("#:schema ../docs/schemas/channel.schema.json\n# Prairie Neurology")
