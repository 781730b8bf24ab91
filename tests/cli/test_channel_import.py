"""`channel import`: a directory list in; a file for each sound row, a sentence for each other one."""

from __future__ import annotations

from pathlib import Path

import pytest

from referral_engine.base.ident import npi_check_digit
from referral_engine.channels.book import Book, read_book
from referral_engine.channels.channel import FaxTransport
from referral_engine.channels.directory_list import Entry, NoList, Refusal, read_directory
from referral_engine.channels.feed import Feed
from referral_engine.channels.telephone import as_e164
from referral_engine.service.files import read_files
from tests.cli.terminal import Said, run
from tests.cli.test_channel_new import channels, site

BOOK = Book(feeds={"ehr": Feed(name="ehr", specialties={"REFCARD": "cardiology", "REFORTH": "orthopaedics"})})
HEAD = "name,npi,specialty,fax,phone,address\n"


def npi(number: int) -> str:
    nine = f"{150000000 + number}"
    return f"{nine}{npi_check_digit(nine)}"


def row(number: int, title: str, specialty: str = "cardiology", fax: str = "217-555-0190") -> str:
    return f'"{title}",{npi(number)},{specialty},{fax},217-555-0100,"{number} Elm Street, Springfield"\n'


def imported(engine: Path, text: str | bytes, *more: str) -> Said:
    file = engine.parent.parent / "list.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return run("channel", "import", file, "--conf", engine, *more)


def read(text: str, **more: str) -> tuple[Entry | Refusal, ...]:
    return read_directory(text.encode(), BOOK, **more)  # type: ignore[arg-type]  # only country is given here


def said(text: str) -> str:
    (one,) = read(HEAD + text)
    return one.sentence if isinstance(one, Refusal) else "taken"


def test_sound_rows_become_channels_and_the_others_are_told_with_their_row(tmp_path: Path) -> None:
    engine = site(tmp_path)
    before = channels(engine)
    bad = f"Bad Check,{npi(3)[:9]}{(int(npi(3)[9]) + 1) % 10},cardiology,217-555-0190,,\n"

    told = imported(engine, HEAD + row(1, "Elm Heart") + bad + row(2, "Oak Bones", "orthopaedics"), "--json")

    assert told.exit_status == 1
    assert channels(engine) - before == {"elm-heart.toml", "oak-bones.toml"}
    assert [(one["row"], one["name"]) for one in told.json["refused"]] == [(3, "Bad Check")]
    assert "its check digit does not match" in told.json["refused"][0]["sentence"]
    assert run("check", "--conf", engine, "--strict").exit_status == 0
    channel = read_book(read_files(str(engine))).channels["elm-heart"]
    assert isinstance(channel.transport, FaxTransport)
    assert (channel.transport.number, channel.npi) == ("+12175550190", npi(1))
    assert channel.patient.address == "1 Elm Street, Springfield"
    assert [step.overrides["OBR-28.1"] for test in channel.tests for step in test.steps] == [npi(1), "1999999901"]
    assert (
        "# From list.csv, row 2. Telephone: 217-555-0100.\n" in (tmp_path / "channels" / "elm-heart.toml").read_text()
    )


def test_a_dry_run_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    engine = site(tmp_path)
    before = channels(engine)

    dry = imported(engine, HEAD + row(1, "Elm Heart"), "--dry-run")

    assert dry.exit_status == 0
    assert f"1 row: 1 channel would be written to {tmp_path / 'channels'}, 0 refused\n" in dry.out
    assert channels(engine) == before


def test_a_row_that_would_take_the_orders_of_another_is_refused_and_frees_those_below_it(tmp_path: Path) -> None:
    engine = site(tmp_path)
    theirs = "Second Heart,1234567893,cardiology,217-555-0190,,\n"  # cardiology-heart-group has that NPI

    told = imported(engine, HEAD + theirs + row(1, "Elm Heart"), "--json").json

    assert [(one["row"], one["sentence"]) for one in told["refused"]] == [
        (2, 'an order for it could also go to the channel "cardiology-heart-group"')
    ]
    assert [Path(name).name for name in told["written"]] == ["elm-heart.toml"]


def test_a_channel_that_exists_is_never_overwritten(tmp_path: Path) -> None:
    engine = site(tmp_path)
    imported(engine, HEAD + row(1, "Elm Heart"))
    file = tmp_path / "channels" / "elm-heart.toml"
    file.write_text(file.read_text() + "# mine\n")

    again = imported(engine, HEAD + row(1, "Elm Heart", fax="217-555-0199") + row(2, "Oak Heart"))

    assert again.exit_status == 1
    assert "is there already, and a file is never overwritten" in again.out
    assert file.read_text().endswith("# mine\n")
    assert (tmp_path / "channels" / "oak-heart.toml").exists()


def test_another_folder_may_be_named(tmp_path: Path) -> None:
    engine = site(tmp_path)
    before = channels(engine)

    assert imported(engine, HEAD + row(1, "Elm Heart"), "--to", str(tmp_path / "new")).exit_status == 0

    assert channels(engine) == before
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["elm-heart.toml"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--gateway", "leftfax"), 'conf/engine.toml has no "leftfax"; there are: rightfax'),
        (("--calendar", "mars"), 'conf/engine.toml has no "mars"'),
        (("--country", "one"), '"one" is not a country code'),
        (("--specialty", "Bones"), '"Bones" is not TEXT=NAME'),
    ],
)
def test_an_option_that_means_nothing_is_misuse(tmp_path: Path, words: tuple[str, str], sentence: str) -> None:
    engine = site(tmp_path)

    told = imported(engine, HEAD + row(1, "Elm Heart"), *words)

    assert told.exit_status == 2
    assert sentence in told.err


def test_a_long_list_is_imported_at_once_and_check_says_nothing(tmp_path: Path) -> None:
    engine = site(tmp_path)

    told = imported(engine, HEAD + "".join(row(number, f"Office {number}") for number in range(80)))

    assert told.exit_status == 0
    assert told.out == f"80 rows: 80 channels written to {tmp_path / 'channels'}, 0 refused\n"
    assert run("check", "--conf", engine, "--strict").exit_status == 0


def test_columns_are_known_in_any_order_by_their_usual_names_and_cells_may_hold_line_ends() -> None:
    text = '\ufeff\r\nFax No.;Practice Name;N.P.I.;Speciality;Tel\r\n+1 (217) 555-0190;"Söhne\r\n& Co";1500000009;CARDIOLOGY;\r\n'

    assert read(text) == (
        Entry(
            row=3, name="sohne-and-co", title="Söhne & Co", npi="1500000009", specialty="cardiology", fax="+12175550190"
        ),
    )


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_sign_between_cells_is_found(sign: str) -> None:
    (one,) = read((HEAD + f"A,{npi(1)},cardiology,217-555-0190\n").replace(",", sign))

    assert isinstance(one, Entry)


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16"])
def test_a_list_is_read_in_the_letters_that_spreadsheets_write(charset: str) -> None:
    (one,) = read_directory((HEAD + row(1, "Söhne")).encode(charset), BOOK)

    assert isinstance(one, Entry)
    assert one.title == "Söhne"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("npi,fax\n", "has no column name, specialty"),
        (HEAD + '"never ends,1500000009,cardiology,1,2,3\nnext\n', "cannot be read after row 1"),
        (HEAD + "x\n" * 4001, "has more than 4000 rows"),
        ("PK\x03\x04\x00\x00", "is no text"),
        ("\x00", "is no text"),
    ],
)
def test_a_file_that_is_no_list_is_refused_whole(text: str, sentence: str) -> None:
    with pytest.raises(NoList, match=sentence):
        read(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("A,,cardiology,217-555-0190", "there is no NPI"),
        ("A,1.50E+09,cardiology,217-555-0190", '"1.50E+09" is not a valid NPI: it must be ten digits'),
        (f"A,{npi(1)},cardiology,", "there is no fax number"),
        (f"A,{npi(1)},cardiology,2175550190 x12", '"2175550190 x12" is not a fax number'),
        (f"A,{npi(1)},,217-555-0190", "there is no specialty"),
        (f"A,{npi(1)},***,217-555-0190", 'the specialty "***" has no letters for a name'),
        (f"A,{npi(1)},Cardiolgy,217-555-0190", '"Cardiolgy" is nearly "cardiology", and not the same'),
        (
            f"A,{npi(1)},Orthopedic Surgery,217-555-0190",
            '"Orthopedic Surgery" is nearly "orthopaedics", and not the same',
        ),
        (f",{npi(1)},cardiology,217-555-0190", "there is no name"),
        (f"***,{npi(1)},cardiology,217-555-0190", '"***" has no letters for a name'),
        (
            f"A,{npi(1)},cardiology,217-555-0190,,,too much",
            "the row has more cells than the header, or one that never ends",
        ),
        (f"A,{npi(1)}", "there is no fax number"),
        (f"A,{npi(1)},neurology,217-555-0190", "taken"),
        (f"A,{npi(1)},cardiology,217-555-0190,,,,,", "taken"),
    ],
)
def test_a_row_that_cannot_be_right_says_why(text: str, sentence: str) -> None:
    assert said(text) == sentence


def test_a_specialty_may_be_said_to_mean_ours() -> None:
    text = f"{HEAD}A,{npi(1)},Orthopedic Surgery,217-555-0190\n"

    (one,) = read_directory(text.encode(), BOOK, meanings={"orthopedic surgery": "orthopaedics"})

    assert isinstance(one, Entry)
    assert one.specialty == "orthopaedics"


def test_of_two_rows_with_one_npi_or_one_name_the_second_is_refused() -> None:
    text = HEAD + row(1, "Elm Heart") + "\n" + row(1, "Oak Heart") + row(2, "ELM  heart")

    first, second, third = read(text)

    assert isinstance(first, Entry)
    assert isinstance(second, Refusal)
    assert isinstance(third, Refusal)
    assert (second.row, second.sentence) == (4, f'the NPI "{npi(1)}" is also in row 2')
    assert (third.row, third.sentence) == (5, 'the name "elm-heart" is also in row 2')


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("(217) 555-0190", "1", "+12175550190"),
        ("1-217-555-0190", "1", "+12175550190"),
        ("+1 217 555 0190", "1", "+12175550190"),
        ("217.555.0190", "1", "+12175550190"),
        ("001 217 555 0190", "1", "+12175550190"),
        ("+44 20 7946 0000", "1", "+442079460000"),
        ("020 7946 0000", "44", "+442079460000"),
        ("117-555-0190", "1", None),
        ("217-155-0190", "1", None),
        ("555-0190", "1", None),
        ("2175550190 ext 3", "1", None),
        ("٢١٧٥٥٥٠١٩٠", "1", None),
        ("+1 117 555 0190", "1", None),
        ("+", "1", None),
        ("", "1", None),
        ("1" * 40, "44", None),
    ],
)
def test_a_number_is_written_in_one_way_or_is_none(text: str, country: str, number: str | None) -> None:
    assert as_e164(text, country) == number
