"""A directory of specialists as a spreadsheet saves it (CSV) in; one entry or one refusal for each of its rows out."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from referral_engine.channels import words
from referral_engine.channels.book import Book
from referral_engine.channels.draft import one_line
from referral_engine.channels.questions import name_from, specialties_of
from referral_engine.channels.shape import Unfit, nearest
from referral_engine.channels.telephone import as_e164

ROWS_MAX: Final = 4_000  # with its channels a site stays below the files that are read at all
BYTES_MAX: Final = 4 * 1024 * 1024  # of the list; a thousand bytes a row are a long address
CELL_LETTERS_MAX: Final = 500  # a title or an address; more is a quotation mark that never ends
DELIMITERS: Final = ",;\t|"

# What people write above a column, in small letters without blanks or signs.
COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    "title": frozenset(
        (
            "name", "title", "practice", "practicename", "office", "officename", "organization", "organisation",
            "organizationname", "organisationname", "provider", "providername", "group", "groupname", "clinic",
            "clinicname", "facility", "facilityname", "specialist", "company",
        )
    ),
    "npi": frozenset(("npi", "npinumber", "npino", "npi10", "groupnpi", "organizationnpi", "providernpi", "billingnpi",
                      "nationalprovideridentifier")),
    "specialty": frozenset(("specialty", "speciality", "specialtyname", "primaryspecialty", "specialties", "taxonomy",
                            "department", "service")),
    "fax": frozenset(("fax", "faxnumber", "faxno", "faxnr", "facsimile", "officefax", "referralfax", "telefax")),
    "phone": frozenset(("phone", "phonenumber", "phoneno", "telephone", "telephonenumber", "tel", "telno",
                        "officephone")),
    "address": frozenset(("address", "address1", "addressline1", "street", "streetaddress", "mailingaddress")),
    "address2": frozenset(("address2", "addressline2", "suite", "unit")),
    "city": frozenset(("city", "town")),
    "state": frozenset(("state", "province", "region", "st")),
    "zip": frozenset(("zip", "zipcode", "postalcode", "postcode")),
}  # fmt: skip
NEEDED: Final = ("title", "npi", "specialty", "fax")
_PLACE: Final = ("address", "address2", "city", "state", "zip")
_SIGNS: Final = re.compile(r"[^a-z0-9]+")
_SPREADSHEET: Final = re.compile(r"\d(?:[.,]\d+)?[eE]\+?\d+")  # 1.23457E+09
_BROKEN: Final = "the row has more cells than the header, or one that never ends"
_BROKEN_HELP: Final = "look for a quotation mark or a separator too many"


class NoList(Exception):
    """The file as a whole is no directory; its text is a sentence for the analyst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One specialist of the list."""

    row: int  # as a spreadsheet counts: the header is row 1 when it stands first
    name: str  # of the channel
    title: str
    npi: str
    specialty: str
    fax: str  # E.164
    phone: str = ""  # as written
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A row that becomes no channel."""

    row: int
    title: str
    sentence: str
    help: str = ""


def read_directory(
    raw: bytes, book: Book, *, country: str = "1", meanings: Mapping[str, str] | None = None
) -> tuple[Entry | Refusal, ...]:
    """Every row that is not empty, in file order.

    raw: UTF-8 with or without a byte order mark, UTF-16 with one, else Windows' Latin letters.
    country: of fax numbers without a country code. meanings: a specialty as the list writes it to ours.
    Raises NoList when it has no header, too many rows, or cannot be taken apart.
    """
    text = _decoded(raw)
    rows = _rows(text)
    at, columns = _header(rows)
    said = {key.casefold(): one for key, one in (meanings or {}).items()}
    known = specialties_of(book)
    found: list[Entry | Refusal] = []
    taken: dict[str, int] = {}  # a name or an NPI to its row
    for number, cells in enumerate(rows[at + 1 :], at + 2):
        if not any(cell.strip() for cell in cells):
            continue
        one = _read_row(number, cells, columns, len(rows[at]), country, said, known)
        if isinstance(one, Entry):
            one = _once(one, taken)
        found.append(one)
    return tuple(found)


def _decoded(raw: bytes) -> str:
    """The text, whatever program saved it."""
    if len(raw) > BYTES_MAX:
        raise NoList(f"is larger than {BYTES_MAX} bytes")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16")
        except UnicodeDecodeError:
            raise NoList("begins as UTF-16 and is not") from None
    if b"\0" in raw:
        raise NoList("is no text: save the list as CSV")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _rows(text: str) -> list[list[str]]:
    """Cells by row, cut at the sign that gives the best header; an empty row stays, so that rows keep their numbers."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise NoList("is empty")
    sign = max(
        DELIMITERS, key=lambda one: (len(_named(next(csv.reader([first], delimiter=one), []))), first.count(one))
    )
    rows: list[list[str]] = []
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=sign, strict=True):
            rows.append(cells)
            if len(rows) > ROWS_MAX + 1:
                raise NoList(f"has more than {ROWS_MAX} rows: cut it into several")
    except csv.Error as error:
        raise NoList(f"cannot be read after row {len(rows)}: {error}") from None
    return rows


def _header(rows: Sequence[Sequence[str]]) -> tuple[int, Mapping[str, int]]:
    """The first row with something in it, and what its columns mean."""
    at = next(number for number, cells in enumerate(rows) if any(cell.strip() for cell in cells))
    columns = _named(rows[at])
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        told = {"title": "name", "npi": "NPI", "specialty": "specialty", "fax": "fax"}
        raise NoList(f"has no column {', '.join(told[name] for name in missing)}: the first row names the columns")
    return at, columns


def _named(cells: Sequence[str]) -> dict[str, int]:
    """Column by meaning; of two with one meaning the first counts."""
    found: dict[str, int] = {}
    for index, cell in enumerate(cells):
        word = _SIGNS.sub("", cell.lower())
        meaning = next((name for name, written in COLUMNS.items() if word in written), "")
        if meaning:
            found.setdefault(meaning, index)
    return found


def _read_row(
    number: int,
    cells: Sequence[str],
    columns: Mapping[str, int],
    width: int,
    country: str,
    meanings: Mapping[str, str],
    known: Sequence[str],
) -> Entry | Refusal:
    """One row; the first thing that is wrong with it."""
    told = {name: one_line(cells[index]) if index < len(cells) else "" for name, index in columns.items()}
    title = told["title"]
    if any(cell.strip() for cell in cells[width:]) or any(len(cell) > CELL_LETTERS_MAX for cell in cells):
        return Refusal(row=number, title=title[:CELL_LETTERS_MAX], sentence=_BROKEN, help=_BROKEN_HELP)
    try:
        npi = _npi(told["npi"])
        fax = _fax(told["fax"], country)
        specialty = _specialty(told["specialty"], meanings, known)
        name = _name(title)
    except Unfit as unfit:
        return Refusal(row=number, title=title, sentence=unfit.sentence, help=unfit.hint)
    return Entry(
        row=number,
        name=name,
        title=title,
        npi=npi,
        specialty=specialty,
        fax=fax,
        phone=told.get("phone", ""),
        address=", ".join(told[part] for part in _PLACE if told.get(part)),
    )


def _name(title: str) -> str:
    """Raises Unfit."""
    name = name_from(title)
    if not name:
        raise Unfit("CH214", f'"{title}" has no letters for a name' if title else "there is no name")
    return name


def _npi(text: str) -> str:
    """Raises Unfit."""
    if not text:
        raise Unfit("CH201", "there is no NPI")
    try:
        return words.npi(text)
    except Unfit as unfit:
        if _SPREADSHEET.fullmatch(text):
            hint = "a spreadsheet rounded it: format the column as text and fill it in again"
            raise Unfit(unfit.code, unfit.sentence, hint) from None
        raise


def _fax(text: str, country: str) -> str:
    """Raises Unfit."""
    if not text:
        raise Unfit("CH207", "there is no fax number")
    number = as_e164(text, country)
    if number is None:
        raise Unfit("CH207", f'"{text}" is not a fax number', 'write it with its country, as in "+12175550142"')
    return words.phone(number)


def _specialty(text: str, meanings: Mapping[str, str], known: Sequence[str]) -> str:
    """Ours, letter for letter or as it was said; one that is nearly ours is not guessed.  Raises Unfit."""
    if not text:
        raise Unfit("CH214", "there is no specialty")
    named = meanings.get(text.casefold()) or name_from(text)
    if not named:
        raise Unfit("CH214", f'the specialty "{text}" has no letters for a name', f'say --specialty "{text}=NAME"')
    if named in known:
        return named
    near = nearest(named, known) or nearest(named.split("-")[0], known)
    if near and text.casefold() not in meanings:
        hint = f'say --specialty "{text}={near}" if it is meant'
        raise Unfit("CHW04", f'"{text}" is nearly "{near}", and not the same', hint)
    return words.name(named)


def _once(entry: Entry, taken: dict[str, int]) -> Entry | Refusal:
    """The entry, unless a row above has its name or its NPI."""
    for what, value in (("NPI", entry.npi), ("name", entry.name)):
        if value in taken:
            sentence = f'the {what} "{value}" is also in row {taken[value]}'
            return Refusal(row=entry.row, title=entry.title, sentence=sentence, help="every specialist is listed once")
    taken[entry.npi] = taken[entry.name] = entry.row
    return entry
