"""The running engine's traffic, page by page, over its control socket; and the configuration that is in force there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import msgspec

from referral_engine.journal.traffic import TrafficPage, together
from referral_engine.service.control_client import ControlError, ask

Answer = Mapping[str, object]


class Engine:
    """The running engine, as far as a replay asks it.  Everything raises ControlError."""

    def __init__(self, socket: str) -> None:
        """`socket`: where it listens."""
        self._socket = socket

    def newest_before(self, instant: int) -> int:
        """The number of the newest message that came before an instant, microseconds UTC."""
        answer = cast("Answer", ask(self._socket, "traffic", {"part": "before", "at": instant}))
        return cast("int", answer["after"])

    def page(self, after: int, until: int = 0) -> TrafficPage:
        """What came after a message, and not after an instant; 0 for no such end."""
        return _page(ask(self._socket, "traffic", {"part": "page", "after": after, "at": until}))

    def pages(self, after: int, until: int = 0) -> Iterator[TrafficPage]:
        """Everything that came after a message, and not after an instant."""
        while True:
            page = self.page(after, until)
            yield page
            if not page.more:
                return
            after = page.after

    def history(self, instant: int, through: int) -> TrafficPage:
        """What came earlier, up to a message, of the referrals that were open at an instant or have been since."""
        pages: list[TrafficPage] = []
        after = 0
        while True:
            words = {"part": "open", "at": instant, "through": through, "after": after}
            pages.append(_page(ask(self._socket, "traffic", words)))
            if not pages[-1].more:
                return together(pages)
            after = pages[-1].after

    def files_in_force(self) -> dict[str, str] | None:
        """The texts of the configuration in force; None when this engine does not keep them."""
        try:
            versions = cast("list[Answer]", ask(self._socket, "versions", {"limit": 1}))
            if not versions:
                return None
            number = versions[0]["number"]
            version = cast("Answer", ask(self._socket, "version", {"version": number}))
        except ControlError as error:
            if "does not know that question" in str(error):
                return None
            raise
        return dict(cast("Mapping[str, str]", version["files"]))


def _page(answer: object) -> TrafficPage:
    try:
        return msgspec.convert(answer, TrafficPage)
    except msgspec.ValidationError as error:
        raise ControlError(f"the engine's traffic cannot be read; it may be of another version ({error})") from None
