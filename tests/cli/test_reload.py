"""`reload` and `config history|show|rollback|migrate` as a person at a terminal meets them; the engine is scripted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from referral_engine.cli import migrating, reloading, standing, version_files
from referral_engine.service.reload_shapes import plain_problem
from tests.channels.shipped import shipped_files
from tests.cli.terminal import Said, copied_site, run

PROBLEM = {
    "file": "channels/x.toml", "line": 7, "column": 1, "width": 6, "code": "CH101",
    "sentence": 'unknown key "tittle" in [channel]', "source": "tittle = 1", "help": 'did you mean "title"?',
    "warning": False,
}  # fmt: skip
FAILED = {
    "file": "channels/x.toml", "line": 40, "channel": "x", "name": "an order is ours",
    "steps": [{"number": 2, "line": 43, "at": "2026-03-02T15:00:00Z", "local": "Mon 02 Mar 2026 09:00:00 CST",
               "differences": [{"what": "status", "expected": "held", "got": "sent", "why": "no [hold]"}]}],
}  # fmt: skip
VERSION = {"number": 3, "version": "abc", "since": "", "by": "ana", "action": "reload"}


def ticket(**changes: Any) -> dict[str, Any]:
    """The answer to `reload-look`."""
    usual = {
        "ticket": 1, "done": True, "stage": "done", "steps": 0, "of": 0, "outcome": "active", "configuration": VERSION,
        "sentence": "", "problems": [], "failures": [], "tests": 0, "unplayed": 0,
        "changed": {
            "files": {"added": [], "changed": ["channels/x.toml"], "removed": []},
            "channels": {"added": ["y"], "changed": ["x"], "removed": []},
        },
    }  # fmt: skip
    return usual | changes


class Engine:
    """Answers the commands' questions, and remembers them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {}
        for module in (reloading, migrating):
            monkeypatch.setattr(module, "ask_daemon", self._ask)

    def _ask(self, _conf: str, question: str, words: Any = None) -> Any:
        self.asked.append((question, dict(words or {})))
        answer = self.answers[question]
        if isinstance(answer, list) and question in ("reload-look", "migration", "config-migrate"):
            return answer.pop(0)
        return answer(words) if callable(answer) else answer


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    return Engine(monkeypatch)


def test_a_reload_waits_and_says_what_is_in_force_and_what_changed(engine: Engine) -> None:
    engine.answers = {
        "reload": ticket(done=False, stage="files"),
        "reload-look": [ticket(done=False, stage="tests", steps=2, of=9), ticket(tests=9, unplayed=1)],
    }

    said = run("reload", "--by", "ana")

    assert said.exit_status == 0
    assert said.out.splitlines() == [
        "9 tests, 9 passed, 0 failed",
        "1 test not played: the messages they receive are not installed on this machine",
        "configuration 3 (abc) is in force",
        "  files     changed channels/x.toml",
        "  channels  added y; changed x",
    ]
    assert engine.asked[0] == ("reload", {"by": "ana", "reason": "", "force": False})


def test_refused_files_are_told_as_check_and_test_tell_them(engine: Engine) -> None:
    engine.answers = {"reload": ticket(outcome="refused", problems=[PROBLEM], failures=[FAILED], tests=2)}

    said = run("reload")

    assert said.exit_status == 1
    assert said.out.splitlines() == [
        'channels/x.toml:7:1: error[CH101]: unknown key "tittle" in [channel]',
        "     7 | tittle = 1",
        "       | ^^^^^^",
        '       = help: did you mean "title"?',
        "",
        "channels/x.toml",
        "  FAIL  an order is ours",
        "        channels/x.toml:43: step 2, Mon 02 Mar 2026 09:00:00 CST",
        "          expected  status  held",
        "          got       status  sent",
        "          why       no [hold]",
        "",
        "2 tests, 1 passed, 1 failed",
        "refused: 1 problem, 1 test failed",
        "configuration 3 (abc) stays in force",
    ]


def test_status_says_in_words_that_a_newer_configuration_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"at": "2026-03-02T15:00:00.5Z", "by": "ana", "problems": 2, "first": "x.toml:7:1: error[CH101]: x",
               "hint": "see check"}  # fmt: skip
    shown = {"ready": True, "configuration": {"number": 3, "refused": refused}}
    monkeypatch.setattr(standing, "ask_daemon", lambda *_: {**shown, "configuration": dict(shown["configuration"])})  # type: ignore[call-overload]  # a dict of a dict

    said = run("status")

    assert said.exit_status == 0
    assert said.out.splitlines() == [
        "ready",
        "REFUSED      a newer configuration, 2026-03-02T15:00:00Z: x.toml:7:1: error[CH101]: x (2 in all; see check)",
        "ready        True",
        "configuration number 3",
    ]
    assert run("status", "--json").json["configuration"]["refused"] == refused


def test_the_problems_json_is_what_a_problem_is_made_of() -> None:
    from referral_engine.base.errors import Problem

    assert plain_problem(Problem(**PROBLEM)) == PROBLEM


def test_json_has_all_of_it(engine: Engine) -> None:
    engine.answers = {"reload": ticket(outcome="unchanged")}

    said = run("reload", "--json")

    assert (said.exit_status, said.json) == (0, ticket(outcome="unchanged"))


@pytest.mark.parametrize(
    "words", [("reload", "--force"), ("config", "rollback", "1", "--reason", " "), ("config", "migrate"),
              ("config", "migrate", "--apply"), ("config", "migrate", "--apply", "--dry-run", "--reason", "x")]
)  # fmt: skip
def test_what_needs_a_reason_or_a_word_is_misuse_without_it(engine: Engine, words: tuple[str, ...]) -> None:
    assert run(*words).exit_status == 2
    assert engine.asked == []


def test_the_history_is_a_table_and_one_version_is_shown_whole_or_as_its_difference(engine: Engine) -> None:
    row = {"number": 2, "at": "2026-03-02T15:00:00.5Z", "config": "abc", "by": "ana", "action": "reload",
           "reason": "a new office", "forced": True}  # fmt: skip
    engine.answers = {
        "versions": [row],
        "version": {**row, "difference": "--- a\n+++ b", "files": {"channels/x.toml": "[channel]\n"}},
    }

    history, whole, diff = run("config", "history"), run("config", "show", "2"), run("config", "show", "2", "--diff")

    assert "2       2026-03-02T15:00:00Z  ana  reload  forced  abc      a new office" in history.out
    assert "==> channels/x.toml <==\n[channel]\n" in whole.out
    assert "configuration 2 (abc), reload by ana, forced: a new office" in whole.out
    assert diff.out.endswith("--- a\n+++ b\n")


# -- the way back


@pytest.fixture
def site(tmp_path: Path, engine: Engine) -> Path:
    """A site whose files on disk are those in force, and an earlier version with one more channel and one less."""
    conf = copied_site(tmp_path)
    files = shipped_files()
    before = {name: text for name, text in files.items() if name != "channels/imaging-northside.toml"}
    before["channels/old-office.toml"] = "[channel]\n"
    engine.answers = {
        "version": {"number": 1, "config": "old", "files": before},
        "config-place": {"engine_file": "conf/engine.toml", "root": str(tmp_path), "files": files, "number": 3},
        "reload": ticket(),
    }
    (tmp_path / "channels" / "orthopaedics-lakeside.toml").chmod(0o640)
    return conf.parent.parent


def contents(site: Path) -> dict[str, str]:
    return {str(path.relative_to(site)): path.read_text() for path in site.rglob("*") if path.is_file()}


def rollback(*words: str) -> Said:
    return run("config", "rollback", "1", "--reason", "it was better", "--by", "ana", *words)


def test_a_rollback_puts_the_files_back_and_takes_them_up(engine: Engine, site: Path) -> None:
    said = rollback()

    assert (said.exit_status, said.err) == (0, "")
    assert (site / "channels/old-office.toml").read_text() == "[channel]\n"
    assert (site / "channels/old-office.toml").stat().st_mode == (site / "conf/engine.toml").stat().st_mode
    assert not (site / "channels/imaging-northside.toml").exists()
    assert engine.asked[-1] == (
        "reload",
        {"by": "ana", "reason": "it was better", "force": False, "action": "rollback", "config": "old"},
    )


def test_a_rollback_that_is_refused_leaves_every_file_as_it_was(engine: Engine, site: Path) -> None:
    before = contents(site)
    engine.answers["reload"] = ticket(outcome="refused", problems=[PROBLEM])

    said = rollback()

    assert (said.exit_status, contents(site)) == (1, before)
    assert "the files on disk are as they were" in said.err
    assert (site / "channels/orthopaedics-lakeside.toml").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("edit", ["changed", "new", "gone", "broken"])
def test_edits_nobody_took_up_stop_a_rollback(engine: Engine, site: Path, edit: str) -> None:
    path = _edited(site, edit)
    before = contents(site) if edit != "broken" else None

    said = rollback()

    assert said.exit_status == 1
    assert f"  {path}\n" in said.err
    assert "these files are not those of configuration 3, which is in force" in said.err
    assert before is None or contents(site) == before
    assert not any(question == "reload" for question, _ in engine.asked)


def _edited(site: Path, edit: str) -> Path:
    path = site / "channels" / "orthopaedics-lakeside.toml"
    if edit == "changed":
        path.write_text(path.read_text() + "# mine\n")
    elif edit == "new":
        path = site / "channels" / "draft.toml"
        path.write_text("# a draft\n")
    elif edit == "gone":
        path.unlink()
    else:
        path.write_bytes(b"\xff\xfe")
    return path


def test_discarded_edits_are_kept_beside_the_files_under_a_name_nobody_reads(engine: Engine, site: Path) -> None:
    path = _edited(site, "changed")
    mine = path.read_text()

    first = rollback("--discard")
    path.write_text(mine)
    second = rollback("--discard")

    copies = sorted(one.name for one in path.parent.glob("orthopaedics-lakeside.toml.before-rollback*"))
    assert [first.exit_status, second.exit_status] == [0, 0]
    assert copies[0] == "orthopaedics-lakeside.toml.before-rollback-3"
    assert (path.parent / copies[0]).read_text() == mine
    assert len(copies) == 2, "a copy is never written over"


def test_a_version_of_another_place_is_not_written_anywhere(engine: Engine, site: Path) -> None:
    before = contents(site)
    engine.answers["version"]["files"] = {"/etc/other/engine.toml": "x"}

    said = rollback()

    assert (said.exit_status, contents(site)) == (1, before)
    assert "configuration 1 was read from another place: /etc/other/engine.toml" in said.err


def test_a_disk_that_refuses_half_way_leaves_every_file_as_it_was(
    engine: Engine, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(site)
    unlink = Path.unlink

    def refuse(path: Path, *words: Any, **more: Any) -> None:
        if path.name == "imaging-northside.toml":
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, *words, **more)

    monkeypatch.setattr(Path, "unlink", refuse)

    said = rollback()

    assert (said.exit_status, contents(site)) == (1, before)
    assert "cannot be written: Permission denied; the files are as they were" in said.err


def test_a_full_disk_leaves_nothing_half_written_behind(
    engine: Engine, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(site)
    sync = version_files.os.fsync

    def refuse(descriptor: int) -> None:
        sync(descriptor)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(version_files.os, "fsync", refuse)

    assert rollback().exit_status == 1
    assert contents(site) == before


@pytest.mark.parametrize("ends", [SystemExit(1), KeyboardInterrupt()], ids=["refused", "ctrl-c"])
def test_a_rollback_that_nobody_took_leaves_every_file_as_it_was(
    engine: Engine, site: Path, ends: BaseException
) -> None:
    before = contents(site)

    def refuse(_words: Any) -> None:
        raise ends

    engine.answers["reload"] = refuse

    said = rollback()

    assert (said.exit_status, contents(site)) == (1, before)
    assert "the files on disk are as they were" in said.err


def test_a_rollback_that_lost_its_engine_says_which_files_are_there_now(engine: Engine, site: Path) -> None:
    def lost(_words: Any) -> None:
        raise SystemExit(1)

    engine.answers |= {"reload": ticket(done=False, stage="files"), "reload-look": lost}

    said = rollback()

    assert said.exit_status == 1
    assert (site / "channels/old-office.toml").exists()
    assert "the files on disk are those of configuration 1" in said.err


def test_two_who_roll_back_at_once_do_not_mix_their_files(engine: Engine, site: Path) -> None:
    second: list[Said] = []

    def meanwhile(_words: Any) -> dict[str, Any]:
        engine.answers["reload"] = ticket()
        second.append(rollback())
        return ticket()

    engine.answers["reload"] = meanwhile

    first = rollback()

    assert (first.exit_status, second[0].exit_status) == (0, 1)
    assert "another rollback is under way; nothing was changed" in second[0].err


def test_a_file_that_is_removed_and_put_back_keeps_its_mode(engine: Engine, site: Path) -> None:
    (site / "channels/imaging-northside.toml").chmod(0o604)
    engine.answers["reload"] = ticket(outcome="refused", problems=[PROBLEM])

    rollback()

    assert (site / "channels/imaging-northside.toml").stat().st_mode & 0o777 == 0o604


def test_files_that_the_engine_could_not_read_any_more_are_not_written(
    engine: Engine, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (site / "conf/engine.toml", *site.glob("channels/*.toml")):
        path.chmod(0o600)  # the engine's own; an analyst of its group may write the folder
    before = contents(site)

    def refuse(*_words: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(version_files.os, "fchown", refuse)

    said = rollback()

    assert (said.exit_status, contents(site)) == (1, before)
    assert "cannot be written: Operation not permitted; the files are as they were" in said.err


# -- running clocks


def moving(referral: str, **clock: Any) -> dict[str, Any]:
    usual = {"kind": "schedule", "generation": 1, "due_before": "2026-03-10T15:00:00Z",
             "due_after": "2026-03-05T15:00:00Z", "fires_at_once": True}  # fmt: skip
    return {
        "referral": referral,
        "channel": "x",
        "config": "a",
        "configuration": 1,
        "stays": "",
        "clocks": [usual | clock],
    }


def test_a_dry_run_tells_every_clock_that_would_move_portion_by_portion(engine: Engine) -> None:
    engine.answers = {"migration": [
        {"referrals": [moving("R1")], "cursor": "R1", "more": True},
        {"referrals": [moving("R2", due_after=None, fires_at_once=False)], "cursor": "R2", "more": False},
    ]}  # fmt: skip

    said = run("config", "migrate", "--dry-run", "--channel", "x")

    assert [words for _, words in engine.asked] == [{"channel": "x", "after": ""}, {"channel": "x", "after": "R1"}]
    assert "R1        x        1     schedule  2026-03-10T15:00:00Z  2026-03-05T15:00:00Z  fires at once" in said.out
    sentence = "2 referrals would go over to the clocks in force: 2 clocks would move, 1 of them fire at once"
    assert said.out.endswith(f"{sentence}\n")


def test_an_apply_goes_on_until_all_have_moved_or_somebody_refuses(engine: Engine) -> None:
    def part(**words: Any) -> dict[str, Any]:
        return {"refused": "", "count": 200, "more": True, "cursor": "R", **words}

    engine.answers = {"config-migrate": [part(), part(count=1, more=False), part(refused="say why")]}

    done = run("config", "migrate", "--apply", "--reason", "ten days")
    refused = run("config", "migrate", "--apply", "--reason", "ten days")

    assert done.out == "201 referrals now run on the clocks in force\n"
    assert (refused.exit_status, refused.err) == (1, "referral-engine: say why\n")


def test_the_bare_form_of_config_still_shows_what_is_in_force() -> None:
    named, whole = run("config", "orthopaedics-lakeside"), run("config", "--json")

    assert "channel.title" in named.out
    assert whole.json[0].keys() == {"key", "value", "origin"}
