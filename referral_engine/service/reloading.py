"""Other files come in force while the engine runs: everything is tried first, then both halves go over, or neither."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from referral_engine.base.clock import Clock, rfc3339
from referral_engine.base.errors import ConfigError, Refused
from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.flow.inputs import ConfigChanged, ConfigRefused
from referral_engine.service.control import Question
from referral_engine.service.door import Door
from referral_engine.service.found import Found, Reached, Wanted, unpack
from referral_engine.service.notify import Notify
from referral_engine.service.reader import NotRead, Reader
from referral_engine.service.readings import NO, word
from referral_engine.service.reload_shapes import InForce, Order, Refusal, Shape, Ticket, changes
from referral_engine.service.running import Move
from referral_engine.service.standing import standing
from referral_engine.transports.reactor import Timer

SIGNAL: Final = "signal"  # who asked, for a SIGHUP
ENGINE: Final = "engine"  # who asked, for a start
TICKETS_MAX: Final = 32  # that may still be asked about; stops a caller in a loop from filling memory
WAITING_MAX: Final = 4  # orders behind the one that is carried out
ANSWER_SECONDS: Final = 0.5  # how long a caller who asks how far it is waits for news
ACTIONS: Final = ("reload", "rollback")

_log = structlog.get_logger()


class Reloading:
    """Carries out one order after the other; `in_force` is what decides now."""

    def __init__(
        self,
        in_force: InForce,
        *,
        door: Door,
        reader: Reader | None,
        prepare: Callable[[Book], Move],
        timer: Timer,
        clock: Clock,
        notify: Notify,
        engine_file: str,
        apart: Callable[[], None] = lambda: None,
    ) -> None:
        """reader: looks at the files beside `engine_file`, None where there are none; prepare: the daemon's half.

        apart: called when the journal's half went over and the daemon's broke: only a start brings them together.
        """
        self.in_force = in_force
        self._door = door
        self._reader = reader
        self._prepare = prepare
        self._timer = timer
        self._clock = clock
        self._notify = notify
        self._engine_file = engine_file
        self._apart = apart
        self._half_way = False
        self._tickets: dict[int, Ticket] = {}
        self._waiting: deque[Ticket] = deque()
        self._under_way: Ticket | None = None
        self._refused: Shape | None = None
        self._stopped = False

    async def start(self) -> None:
        """Let the journal know what the engine starts with, before anything comes in.  Raises JournalError."""
        book, files = self.in_force.book, self.in_force.files
        started = ConfigChanged(config=book.version, files=dict(files), action="start", by=ENGINE)
        receipt = await self._door.submit(started)
        assert not receipt.refused, "the book in force was read from these files"
        self.in_force = replace(self.in_force, number=receipt.version)
        await self._learn()

    async def _learn(self) -> None:
        """Since when the newest version is in force, and by whom, is the journal's to say.  Raises JournalError."""
        (newest,) = cast("list[Mapping[str, Any]]", await self._door.look("versions", limit=1))
        self.in_force = replace(self.in_force, since=newest["at"], by=newest["by"], action=newest["action"])

    def stop(self) -> None:
        """Carry out nothing more; what is being read is left to itself."""
        self._stopped = True

    def hang_up(self) -> None:
        """SIGHUP: take up the files; several at once are one more, for each means the files as they are now."""
        if self._reader is None:
            _log.warning("There are no files to take up again.")
        elif len(self._waiting) < WAITING_MAX and not any(one.order.by == SIGNAL for one in self._waiting):
            self._take(Order(by=SIGNAL))

    def status(self) -> Shape:
        """What `status` shows: what is in force, and what newer one was refused since."""
        return self.in_force.shape() | {"refused": self._refused}

    def questions(self) -> dict[str, Question]:
        """What `reload` and `config rollback` ask."""
        return {"reload": self._ask, "reload-look": self._look, "config-place": self._place}

    # What the commands ask.

    def _ask(self, words: dict[str, object]) -> Shape:
        order = Order(
            by=word(words, "by", ""),
            action=word(words, "action", ACTIONS[0]),
            reason=word(words, "reason", "").strip(),
            force=word(words, "force", NO),
            config=word(words, "config", ""),
        )
        if order.action not in ACTIONS or not order.by:
            raise Refused('a reload is {"by": name, "action": "reload" or "rollback"}')
        if not order.reason and (order.force or order.action != ACTIONS[0]):
            raise Refused("say why: a reason is kept with the version")
        return self._take(order).shape()

    def _look(self, words: dict[str, object]) -> Deferred[Shape]:
        """How far an order is; after a moment, or at once when it is done."""
        ticket = self._tickets.get(word(words, "ticket", 0))
        if ticket is None:
            raise Refused("nobody knows that reload any more")
        told: Deferred[Shape] = Deferred()
        self._timer.callLater(0.0 if ticket.done else ANSWER_SECONDS, lambda: told.callback(ticket.shape()))
        return told

    def _place(self, _words: dict[str, object]) -> Shape:
        """Where the files are that `config rollback` writes."""
        where = {"engine_file": self._engine_file, "root": str(Path.cwd()), "files": dict(self.in_force.files)}
        return where | self.status()

    # One order after the other.

    def _take(self, order: Order) -> Ticket:
        if self._reader is None:
            raise Refused("this engine was not started from files")
        if len(self._waiting) >= WAITING_MAX:
            raise Refused("other reloads are under way; wait until they are done")
        number = max(self._tickets, default=0) + 1
        ticket = self._tickets[number] = Ticket(number=number, order=order)
        self._tickets.pop(number - TICKETS_MAX, None)
        self._waiting.append(ticket)
        self._next()
        return ticket

    def _next(self) -> None:
        if self._under_way is None and self._waiting and not self._stopped:
            ticket = self._under_way = self._waiting.popleft()
            self._notify.reloading(self._timer.seconds())
            Deferred.fromCoroutine(self._carry_out(ticket)).addErrback(self._broke, ticket).addBoth(self._over)

    def _over(self, _result: object) -> None:
        self._under_way = None
        refused = "; a newer configuration was refused" if self._refused else ""
        self._notify.ready(f"configuration {self.in_force.number}{refused}")
        self._next()

    def _broke(self, failure: Failure, ticket: Ticket) -> None:
        """Our own mistake: nothing has changed, unless it happened between the two halves."""
        error = failure.type.__name__ if failure.type is not None else ""
        if self._half_way:
            _log.critical("The daemon could not follow its journal; it starts again.", error=error)
            self._apart()
            return
        _log.error("A reload broke; nothing has changed.", error=error)
        self._refuse(ticket, Refusal(sentence="the engine could not carry it out; its log says where"), "")

    async def _carry_out(self, ticket: Ticket) -> None:
        found = await self._read(ticket)
        if found is None or self._stopped:
            return
        refusal = self._judge(found, ticket.order)
        if refusal is None:
            refusal = await self._go_over(ticket, found, unpack(found.book))
        if refusal is not None:
            self._refuse(ticket, refusal, found.config)

    async def _read(self, ticket: Ticket) -> Found | None:
        """Have the files read, and their tests played."""
        wanted = Wanted(
            engine_file=self._engine_file,
            config=self.in_force.book.version,
            in_force=dict(self.in_force.files),
            standing=standing(self.in_force.book.engine),
            today=self._clock.now().date(),
        )

        def heard(said: Reached) -> None:
            ticket.stage, ticket.steps, ticket.of = said.stage, said.done, said.of

        ticket.stage = "files"
        assert self._reader is not None, "nobody takes an order without one"
        try:
            found = await self._reader.look(wanted, heard)
        except NotRead as error:
            if not self._stopped:  # else its reader ended with the engine, and says nothing about the files
                self._refuse(ticket, Refusal(sentence=str(error)), "")
            return None
        ticket.problems, ticket.failures = found.problems, found.failures
        ticket.tests, ticket.unplayed = found.tests, found.unplayed
        return found

    def _judge(self, found: Found, order: Order) -> Refusal | None:
        """Why these files may not come in force."""
        problems = [one for one in found.problems if not one.warning]
        if problems:
            return Refusal(problems=problems)
        if order.config and found.config != order.config:
            return Refusal(sentence="the files are not the ones that were put back: somebody changed them meanwhile")
        return Refusal(failures=found.failures) if found.failures and not order.force else None

    async def _go_over(self, ticket: Ticket, found: Found, book: Book) -> Refusal | None:
        """Prepare the daemon's half, commit the journal's, then let the daemon's be in force too."""
        ticket.stage = "going over"
        try:
            move = self._prepare(book)
        except ConfigError as error:
            return Refusal(problems=error.problems)
        in_force, order = self.in_force, ticket.order
        new = found.config != in_force.book.version
        if new:
            changed = ConfigChanged(
                config=found.config,
                files=found.files,
                action=order.action,
                by=order.by,
                reason=order.reason,
                forced=bool(found.failures),
            )
            try:
                await self._door.host.prepare(found.book)
                receipt = await self._door.submit(changed)
            except Exception as error:  # noqa: BLE001  # whatever it was, the ports that were bound go back
                move.abandon()
                return Refusal(sentence=f"the journal did not take it ({type(error).__name__})")
            if receipt.refused or self._stopped:
                move.abandon()
                return Refusal(sentence=receipt.refused or "the engine is stopping; the next start takes it up")
            by, action = order.by, order.action
            in_force = InForce(book=book, files=found.files, number=receipt.version, by=by, action=action)
        ticket.changed = changes(self.in_force, book, found.files)
        self.in_force = in_force
        self._half_way = new
        move.carry_out()
        self._half_way = False
        try:
            await self._learn()
        except Exception as error:  # noqa: BLE001  # it is in force: nobody may hear that it was refused
            _log.warning("Since when the configuration is in force could not be read.", error=type(error).__name__)
        self._finish(ticket, new=new)
        return None

    def _finish(self, ticket: Ticket, *, new: bool) -> None:
        self._refused = None
        ticket.stage, ticket.outcome, ticket.version = "done", "active" if new else "unchanged", self.in_force.shape()
        version, number = self.in_force.book.version, self.in_force.number
        if new:
            _log.info("The configuration was taken up.", config=version, version=number, kind=ticket.order.action)
        else:
            _log.info("The files are those in force; certificates were read again.", config=version, version=number)

    def _refuse(self, ticket: Ticket, refusal: Refusal, config: str) -> None:
        """The old configuration goes on; `status`, the log and the audit say that a newer one was refused."""
        by = ticket.order.by
        warnings = [one for one in ticket.problems if one.warning]
        ticket.problems = [*refusal.problems, *warnings]
        ticket.stage, ticket.outcome, ticket.version = "done", "refused", self.in_force.shape()
        ticket.sentence = refusal.sentence
        self._refused = refusal.shape(rfc3339(self._clock.now()), by)
        count = len(refusal.problems) + len(refusal.failures)
        tried = config or "unknown"
        _log.error("A configuration was refused; the old one goes on.", code=refusal.code, count=count, config=tried)
        self._door.submit(ConfigRefused(config=config, by=by, code=refusal.code)).addErrback(lambda _: None)
