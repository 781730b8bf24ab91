"""Made-up people, numbers and messages for the near misses: a seed in, everything else follows from it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Final

FAMILIES: Final = ("Example", "Specimen", "Notional", "Madeup", "Imaginary", "Mockford", "Sample", "Pretend", "Ödman")
GIVENS: Final = {
    "F": ("Amelia", "Clara", "Edith", "Greta", "Ida", "Klara", "Maren", "Nora"),
    "M": ("Bruno", "David", "Felix", "Hugo", "Jonas", "Lars", "Otto", "Pavel"),
}
OURS: Final = "SPRINGFIELD"
HEART: Final = ("CENTRICITY|HEARTGRP", "REFCARD^Referral to cardiology^99SPR", "1234567893")
NORTHSIDE: Final = ("RIS|NORTHSIDE", "REFMRIKNEE^MRI of the knee, referral^99SPR", "1666666668")
SCANNER: Final = ("SCANNER|SPRINGFIELD", "", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody made up."""

    mrn: str
    family: str
    given: str
    born_on: str
    sex: str
    authority: str = OURS
    also: str = ""  # a number of ours beside it that is somebody else's

    @property
    def pid(self) -> str:
        number = f"{self.mrn}^^^{self.authority}^MR" if self.mrn else ""
        number += f"~{self.also}^^^{OURS}^MR" if self.also else ""
        return f"PID|1||{number}||{self.family}^{self.given}^^^^^L||{self.born_on}|{self.sex}"


class Maker:
    """Makes cases of one seed; the number of a case keeps its patients and orders apart from all others."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # made-up patients, no secrets
        self.number = 0

    def next(self) -> None:
        """Go on to the next case."""
        self.number += 1

    # -- people and numbers

    def person(self, offset: int = 0, **said: str) -> Person:
        sex = self.random.choice("FM")
        known = {
            "mrn": self.mrn(offset),
            "family": self.random.choice(FAMILIES),
            "given": self.random.choice(GIVENS[sex]),
            "born_on": f"{self.random.randint(1930, 2015)}{self.random.randint(1, 12):02}{self.random.randint(1, 28):02}",
            "sex": sex,
        }
        return Person(**{**known, **said})

    def mrn(self, offset: int = 0) -> str:
        return f"{70_000_000 + self.number * 20 + offset}"

    def placer(self, offset: int = 0) -> str:
        return f"P{9_000_000 + self.number * 10 + offset}"

    def twin(self, one: Person) -> Person:
        given = self.random.choice([name for name in GIVENS[one.sex] if name != one.given])
        return replace(one, mrn=str(int(one.mrn) + 1), given=given)

    def stranger(self, one: Person) -> Person:
        """Somebody else by name and by birth date."""
        while True:
            other = self.person(7)
            if other.family != one.family and other.given != one.given and other.born_on != one.born_on:
                return other

    def without_number(self, person: Person) -> Person:
        """Half of the time the sender has no number of ours: none at all, its own, or the same digits."""
        word = self.random.random()
        if word < 0.5:
            return person
        if word < 0.7:
            return replace(person, mrn="")
        return (
            replace(person, authority="LAKESIDE")
            if word < 0.85
            else replace(person, mrn=f"HG{person.mrn}", authority="HEARTGRP")
        )

    # -- messages

    def order(
        self, person: Person, placer: str, office: tuple[str, str, str] = HEART, *, day: str = "20260302"
    ) -> bytes:
        _, code, npi = office
        return lines(
            msh("EHR|SPRINGFIELD", "ORM^O01^ORM_O01", f"O{placer}{self.random.randrange(10**6)}"),
            person.pid,
            "IN1|1|PPO100^Sample Preferred|61001|Sample Health Insurance||||G1||||20260101|20271231|A1|PPO",
            f"ORC|NW|{placer}^EHR|||||||{day}090000-0600",
            f"OBR|1|{placer}^EHR||{code}||||||||||||||||||||||||{npi}^Office^^^^^^^NPI^L^^^NPI",
        )

    def evidence(self, person: Person, placer: str = "", office: tuple[str, str, str] = HEART, **named: str) -> bytes:
        """A booking or a note; appointment, document and authority by name."""
        if named.get("note") or (self.random.random() < 0.5 and not named.get("appointment")):
            return self.note(person, placer, office, **named)
        return self.booking(person, placer, office, **named)

    def booking(self, person: Person, placer: str = "", office: tuple[str, str, str] = HEART, **named: str) -> bytes:
        sender, _, npi = office
        number = f"{placer}^{named.get('authority', 'EHR')}" if placer else ""
        appointment = named.get("appointment", f"A{self.number}{self.random.randrange(10**6)}")
        return lines(
            msh(sender, f"SIU^{named.get('trigger', 'S12')}^SIU_S12", f"S{self.number}{self.random.randrange(10**9)}"),
            f"SCH||{appointment}^CENTRICITY|||||||||^^30^20260320103000-0500^20260320110000-0500|||||||||||||||{number}",
            person.pid,
            f"AIP|1|A|{npi}^Office^^^^^^^NPI^L^^^NPI|||20260320103000-0500",
        )

    def note(self, person: Person, placer: str = "", office: tuple[str, str, str] = HEART, **named: str) -> bytes:
        sender, _, npi = office
        number = f"{placer}^{named.get('authority', 'EHR')}" if placer else ""
        document = named.get("document", f"D{self.number}{self.random.randrange(10**6)}")
        author = f"{npi}^Consultant^Cora^^^^MD^^NPI^L^^^NPI" if npi else ""
        dated = named.get("dated", "20260310")
        return lines(
            msh(sender, "MDM^T02^MDM_T02", f"M{self.number}{self.random.randrange(10**9)}"),
            person.pid,
            f"TXA|1|CN|TX|{dated}103000-0500|{author}|{dated}164000-0500||||||{document}^CENTRICITY||{number}|||AU",
            f"OBX|1|TX|11488-4^Consult note^LN|1|Made-up findings {self.number}.||||||{named.get('status', 'F')}",
        )


def msh(sender: str, kind: str, control_id: str) -> str:
    return f"MSH|^~\\&|{sender}|REFERRAL_ENGINE|SPRINGFIELD|20260302090000-0600||{kind}|{control_id}|P|2.5.1|||||USA|UNICODE UTF-8"


def lines(*segments: str) -> bytes:
    return ("\r".join(segments) + "\r").encode()


def swapped(digits: str, random_: random.Random) -> str:
    """The same with two different neighbouring digits in each other's place; one digit changed where all are equal."""
    places = [at for at in range(len(digits) - 1) if digits[at : at + 2].isdigit() and digits[at] != digits[at + 1]]
    if not places:
        return digits[:-1] + ("1" if digits[-1] != "1" else "2")
    one = random_.choice(places)
    return digits[:one] + digits[one + 1] + digits[one] + digits[one + 2 :]
