"""Files are edited, broken, taken up and put back on an engine with traffic: nothing is lost, refused or half done."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field

import pytest

from tests.e2e.support import Line, Said, Site, an_order, eventually, free_port

LAKESIDE = "channels/orthopaedics-lakeside.toml"
HEART = "channels/cardiology-heart-group.toml"


@dataclass
class Traffic:
    """One sender that keeps its one connection open and sends order after order until it is told to stop."""

    port: int
    codes: list[str] = field(default_factory=list)
    broke: str = ""
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def begin(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        eventually(lambda: self.codes or self.broke, "the first answer")

    def end(self) -> None:
        self._over.set()
        assert self._thread is not None
        self._thread.join(30)

    def _run(self) -> None:
        try:
            with closing(Line(self.port)) as line:
                while not self._over.is_set():
                    self.codes.append(line.exchange(an_order(f"T{len(self.codes)}")))
                    self._over.wait(0.02)
        except OSError as error:
            self.broke = type(error).__name__


def edit(site: Site, name: str, text: str) -> None:
    (site.root / name).write_text(text)


def configuration(site: Site) -> dict[str, object]:
    return dict(site.ask_json("status")["configuration"])


def test_reloads_under_one_open_connection_lose_and_refuse_nothing_and_a_kill_leaves_one_version_whole(
    site: Site,
) -> None:
    site.start()
    lakeside, heart, engine = ((site.root / name).read_text() for name in (LAKESIDE, HEART, "conf/engine.toml"))
    traffic, other = Traffic(site.port), free_port()
    traffic.begin()

    said: list[Said] = []
    assert '"30 seconds"' in heart
    edit(site, HEART, heart.replace('"30 seconds"', '"31 seconds"', 1))  # its lane changes under what is in flight
    said.append(site.ask("reload"))
    edit(site, LAKESIDE, lakeside[:-200])  # half written
    said.append(site.ask("reload"))
    refused = configuration(site)
    (site.root / LAKESIDE).rename(site.root / "lakeside.aside")
    both = engine.replace("[listener]", '[[listener]]\nname = "default"', 1)
    edit(site, "conf/engine.toml", f'{both}\n[[listener]]\nname = "second"\nport = {other}\n')
    said.append(site.ask("reload"))
    second = Line(other)
    over_second = second.exchange(an_order("S1"))
    said.append(site.ask("config", "rollback", "1", "--reason", "as it was", "--discard"))
    os.kill(site.pid, signal.SIGHUP)
    eventually(lambda: "The files are those in force" in site.log, "a reload by signal")
    traffic.end()

    assert [one.exit_status for one in said] == [0, 1, 0, 0], [one.out + one.err for one in said]
    assert (traffic.broke, set(traffic.codes), over_second) == ("", {"AA"}, "AA")
    assert refused["number"] == 2
    assert "orthopaedics-lakeside.toml" in str(refused["refused"])
    now = configuration(site)
    assert (now["number"], now["action"], now["refused"]) == (4, "rollback", None)
    status = site.ask_json("status")
    assert status["journal"]["messages"] == len(traffic.codes) + 1
    assert status["conservation"]["holds"]
    assert (site.root / LAKESIDE).read_text() == lakeside
    with suppress(OSError), closing(second):  # the port nobody asks for any more is closed
        second.exchange(an_order("S2"))
        pytest.fail("the second listener is gone")
    _packets_arrive_once(site, len(traffic.codes))
    _kill_in_a_reload(site, random.SystemRandom().randrange(2**32), round_=1)
    assert "DOE" not in site.log


def _packets_arrive_once(site: Site, count: int) -> None:
    """No packet left twice because its lane changed hands."""
    office = site.partners["cardiology-heart-group"]
    eventually(lambda: len({wire_id for wire_id, _ in list(office.ledger)}) >= count, "every packet")
    assert [wire_id for wire_id, times in Counter(wire_id for wire_id, _ in office.ledger).items() if times > 1] == []


def _kill_in_a_reload(site: Site, seed: int, *, round_: int) -> None:
    """Edit, signal, and kill somewhere between the signal and well after the swap."""
    print(f"seed {seed}, round {round_}")
    before = site.ask_json("config", "history")
    edit(site, LAKESIDE, (site.root / LAKESIDE).read_text() + f"# {round_}\n")

    os.kill(site.pid, signal.SIGHUP)
    time.sleep(random.Random(f"{seed}/{round_}").random() * 1.2)
    site.kill()
    site.start()

    now, rows = configuration(site), site.ask_json("config", "history")
    assert rows[1:] == before
    assert rows[0]["config"] == now["version"] != before[0]["config"]
    assert rows[0]["action"] in ("start", "reload")
    assert site.ask_json("verify")["whole"]


@pytest.mark.torture
def test_kills_in_the_middle_of_many_reloads_leave_one_version_or_the_other(site: Site) -> None:
    seed = random.SystemRandom().randrange(2**32)
    site.start()

    for round_ in range(1, 13):
        assert site.send(an_order(f"K{round_}")) == ["AA"]
        _kill_in_a_reload(site, seed, round_=round_)

    assert all(site.referral_of(f"P-K{round_}") for round_ in range(1, 13))
