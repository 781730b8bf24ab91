"""Text in, text that a font can print out, and whether a letter changed or was lost: never silently."""

from __future__ import annotations

import unicodedata
from collections.abc import Container
from dataclasses import dataclass
from typing import Final

MISSING: Final = "[?]"  # stands where a letter cannot be printed
_SPACES: Final = {"\t": "    ", "\x0b": " ", "\x0c": " ", "\x1c": " "}
_INVISIBLE: Final = ("Cc", "Cf")  # controls and direction marks: nothing is lost on paper
_LIKE: Final = {"ẞ": "SS", "ø": "o", "Ø": "O", "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T", "\u2010": "-", "\u2011": "-"}


@dataclass(slots=True)
class Printer:
    """Turns texts into what a font has letters for, and remembers what that cost.

    letters: code points the font can print.
    """

    letters: Container[int]
    simplified: bool = False  # an accent or a form was dropped
    lost: bool = False  # a letter was replaced by MISSING

    def printable(self, text: str) -> str:
        """The text with every letter the font lacks spelled by its base letters, or MISSING."""
        if text.isascii() and text.isprintable():
            return text
        composed = unicodedata.normalize("NFC", text)
        return "".join([self._letter(letter) for letter in composed])

    def _letter(self, letter: str) -> str:
        """One letter, spelled with what there is."""
        if letter in _SPACES:
            return _SPACES[letter]
        if unicodedata.category(letter) in _INVISIBLE:
            return ""
        if ord(letter) in self.letters:
            return letter
        if unicodedata.category(letter) == "Zs":
            return " "
        spelled = _LIKE.get(letter) or unicodedata.normalize("NFKD", letter)
        spelled = "".join(part for part in spelled if not unicodedata.combining(part))
        if spelled and all(ord(part) in self.letters for part in spelled):
            self.simplified = True
            return spelled
        self.lost = True
        return MISSING
