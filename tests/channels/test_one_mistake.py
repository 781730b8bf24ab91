"""One slip of the hand in a shipped file is one message, at its line, with the word that was meant; nothing raises."""

from __future__ import annotations

import random
import time
from datetime import date

import pytest

from referral_engine.base.errors import Problem
from referral_engine.channels.book import check_files
from referral_engine.channels.lint import SHOWN_LETTERS_MAX, annotation, render_problem
from referral_engine.channels.shape import UNFIT_ELEMENTS_MAX, nearest
from tests.channels.shipped import SAMPLES, shipped_files
from tests.torture.budget import seconds

TODAY = date(2026, 3, 1)
ROUNDS = 60
LENT = {"channels/_defaults/cardiology.toml": '[hold]\nremind_after = "1 business day"\n'}

HEART, LAKESIDE = "channels/cardiology-heart-group.toml", "channels/orthopaedics-lakeside.toml"
NORTHSIDE, ENGINE = "channels/imaging-northside.toml", "conf/engine.toml"
SLIPS = [  # file, what is written, what is written instead, what is told, the help
    (ENGINE, "[calendar.chicago-clinic]", "[calnedar.chicago-clinic]", "unknown table [calnedar]", "[calendar]"),
    (ENGINE, "[gateway.rightfax]", "[gaetway.rightfax]", "unknown table [gaetway]", "[gateway]"),
    (ENGINE, "\n[ehr]", "\n[her]", "unknown table [her]", "[ehr]"),
    (ENGINE, "{ mon = ", "{ omn = ", 'unknown key "omn" in calendar.chicago-clinic.open', '"mon"'),
    ("conf/feeds/ehr.toml", "[specialties]", "[specailties]", "unknown table [specailties]", "[specialties]"),
    ("conf/feeds/ehr.toml", "\nname ", "\nnmae ", 'unknown key "nmae" in [feed]', '"name"'),
    ("conf/feeds/epic.toml", '"OBR-4.1"', '"ORB-4.1"', 'there is no segment "ORB"', '"OBR-4.1"'),
    ("conf/feeds/scanner.toml", "[feed]", "[fed]", "unknown table [fed]", "[feed]"),
    ("conf/partners/ehr.toml", "[partner]", "[patrner]", "unknown table [patrner]", "[partner]"),
    ("conf/partners/ehr.toml", "[partner.nak]", "[partner.ank]", 'unknown key "ank" in [partner]', '"nak"'),
    (HEART, "[channel]", "[chnanel]", "unknown table [chnanel]", "[channel]"),
    (HEART, "\nnpi ", "\npni ", 'unknown key "pni" in [channel]', '"npi"'),
    (HEART, "\nspecialty ", "\nspeicalty ", 'unknown key "speicalty" in [channel]', '"specialty"'),
    (HEART, "\nreferred_to =", "\nrefered_to =", '"refered_to" is not a place in a message', '"referred_to"'),
    (HEART, "\n[hold]", "\n[hlod]", "unknown table [hlod]", "[hold]"),
    (NORTHSIDE, "[transport]", "[trasnport]", "unknown table [trasnport]", "[transport]"),
    (NORTHSIDE, "note-request ", "note-erquest ", 'unknown key "note-erquest" in [sla]', '"note-request"'),
    (NORTHSIDE, '"MSH-9" ', '"MHS-9" ', 'there is no segment "MHS"', '"MSH-9"'),
    (LAKESIDE, "[transport]", "[trasnport]", "unknown table [trasnport]", "[transport]"),
]  # fmt: skip


def told(changed: dict[str, str]) -> tuple[Problem, ...]:
    return check_files({**shipped_files(), **LENT, **changed}, SAMPLES, today=TODAY)


@pytest.mark.parametrize(("file", "old", "new", "sentence", "meant"), SLIPS, ids=lambda value: value.strip())
def test_a_slip_is_one_message_at_its_line_with_the_word_that_was_meant(
    file: str, old: str, new: str, sentence: str, meant: str
) -> None:
    text = shipped_files()[file]
    at = text.index(old)
    line = text[:at].count("\n") + 1 + new.startswith("\n")

    (problem,) = told({file: text[:at] + new + text[at + len(old) :]})

    assert (problem.file, problem.line, problem.sentence) == (file, line, sentence)
    assert problem.help == f"did you mean {meant}?"


def test_a_misspelt_step_of_a_test_does_not_also_miss_what_it_is() -> None:
    text = shipped_files()[HEART].replace('receive = "orm-o01-cardiology-hmo.hl7", with', 'reecive = "x.hl7", with')

    (problem,) = told({HEART: text})

    assert problem.help == 'did you mean "receive"?'


def test_a_copy_that_an_editor_made_is_told_once() -> None:
    (problem,) = told({"channels/imaging-northside (copy).toml": shipped_files()[NORTHSIDE]})

    assert (problem.code, problem.file) == ("CH301", "channels/imaging-northside (copy).toml")


def test_a_whole_type_and_its_parts_are_one_place_to_the_overlap() -> None:
    text = shipped_files()[NORTHSIDE].replace('"MSH-9"    = ["ORM^O01", "OMG^O19"]', '"MSH-9.1" = "REF"')
    other = text.replace('name      = "imaging-northside"', 'name = "imaging-two"').replace('"REF"', '"OMG"', 1)
    whole = shipped_files()[NORTHSIDE].replace('name      = "imaging-northside"', 'name = "imaging-two"')

    assert not [one for one in told({NORTHSIDE: text, "channels/imaging-two.toml": whole}) if one.code == "CH401"]
    assert not [one for one in told({NORTHSIDE: text, "channels/imaging-two.toml": other}) if one.code == "CH401"]
    both = text.replace('"REF"', '"ORM"', 1)
    assert [one for one in told({NORTHSIDE: both, "channels/imaging-two.toml": whole}) if one.code == "CH401"]


@pytest.mark.parametrize(("said", "meant"), [("pni", "npi"), ("cak", "ack"), ("xyz", ""), ("npii", "npi")])
def test_two_letters_that_changed_places_are_near(said: str, meant: str) -> None:
    assert nearest(said, ("npi", "ack", "ehr")) == meant


def test_a_column_pasted_into_a_list_does_not_fill_the_terminal() -> None:
    pasted = ", ".join(['"a"'] * 10_000)
    text = f'[partner]\nname = "scanner"\naddresses = [{pasted}]\n'

    said = [one for one in told({"conf/partners/scanner.toml": text}) if one.code == "CH210"]

    assert len(said) == UNFIT_ELEMENTS_MAX
    assert max(map(len, render_problem(said[-1]).split("\n"))) < SHOWN_LETTERS_MAX + 20


def test_what_stands_in_a_file_cannot_move_a_terminals_cursor() -> None:
    (problem,) = told({NORTHSIDE: shipped_files()[NORTHSIDE] + 'x = "\x1b[2J\u202e"\n'})

    assert "\x1b" not in render_problem(problem)
    assert "\u202e" not in render_problem(problem)


ODD = (
    "1e400", "nan", "99999999999999999999", "1979-05-27", "08:00:00", '"\\u0000"', '"²"', '"+1²175550142"', "[[1]]", "{}",
    '""', "[]", '"99999999999999 days"', '{ matches = "(" }', "{ range = [inf, nan] }", "{ named = [1] }", "-0.0",
    '{ range = ["0000", "9999"] }', "[" * 30 + "]" * 30, "{ a = { b = { c = 1 } } }", '"\\U0010FFFF"', "[{}]",
)  # fmt: skip
LETTERS = "\0\ufeff\u2028\r\x85\"'[]{}=.#\\\x1b\t,é😀"


def _spoilt(chance: random.Random, text: str) -> str:
    """A text with one thing wrong that a person, an editor or a broken disk does."""
    lines = text.split("\n")
    at = chance.randrange(len(lines))
    letter = chance.randrange(len(lines[at]) + 1)
    match chance.randrange(8):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, chance.choice(lines))
        case 2 | 3 | 4 if "=" in lines[at]:
            lines[at] = f"{lines[at].split('=')[0]}= {chance.choice(ODD)}"
        case 5:
            lines.insert(at, f"{chance.choice(ODD)} = {chance.choice(ODD)}")
        case 6:
            return text[: chance.randrange(len(text))]
        case _:
            lines[at] = lines[at][:letter] + chance.choice(LETTERS) + lines[at][letter:]
    return "\n".join(lines) if chance.random() < 0.9 else "\r\n".join(lines)


def _spoil_one(chance: random.Random) -> None:
    files = {**shipped_files(), **LENT}
    name = chance.choice(sorted(files))
    beside = {one: text for one, text in files.items() if one in {ENGINE, "conf/feeds/ehr.toml"}}
    text = _spoilt(chance, files[name])
    for problem in check_files({**beside, name: text}, SAMPLES, today=TODAY):
        assert problem.sentence
        assert 0 <= problem.line <= len(text.split("\n")) + 1 or problem.file != name
        assert render_problem(problem)
        assert annotation(problem)


def test_whatever_becomes_of_a_file_check_says_it_and_never_raises() -> None:
    for seed in range(ROUNDS):
        print("seed", seed)
        _spoil_one(random.Random(seed))


@pytest.mark.torture
def test_whatever_becomes_of_a_file_for_a_long_time() -> None:
    end = time.monotonic() + seconds(1 / 20)
    seed = ROUNDS
    while time.monotonic() < end:
        seed += 1
        print("seed", seed)
        _spoil_one(random.Random(seed))


def test_a_misspelt_specialty_is_told_while_the_rest_of_the_file_is_still_missing() -> None:
    begun = '[channel]\nname = "new"\nnpi = "1555555550"\nspecialty = "cardiolgy"\n'

    said = {one.code: one.help for one in told({"channels/new.toml": begun})}

    assert said["CHW04"] == 'did you mean "cardiology"?'
