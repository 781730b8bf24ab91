"""`test`: timetables that go as they say, one that does not, what a program and a build server read, and misuse."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.cli.terminal import ROOT, copied_site, rewrite, run

LAKESIDE = "channels/orthopaedics-lakeside.toml"
LATE = ("at = 2026-03-02 10:12:00", "at = 2026-03-02 10:11:00")  # one minute before the fax is tried again


def site(directory: Path) -> Path:
    """The project's configuration and messages where they may be spoilt; gives conf/engine.toml."""
    shutil.copytree(ROOT / "sample_messages", directory / "sample_messages")
    return copied_site(directory)


def test_in_the_wrong_directory_it_says_where_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    said = run("test")

    assert said.exit_status == 2
    assert f"neither conf/engine.toml nor channels/ in {tmp_path}" in said.err


def test_the_projects_own_timetables_pass() -> None:
    said = run("test", LAKESIDE)

    assert said.exit_status == 0
    lines = said.out.splitlines()
    assert lines[0] == LAKESIDE
    assert lines[1].startswith("  ok    an order is faxed, and every page goes through  ")
    assert lines[1].endswith("  2 steps, 4 minutes")
    assert lines[-1] == "5 tests, 5 passed, 0 failed"


def test_a_step_that_differs_says_where_when_what_and_why(tmp_path: Path) -> None:
    conf = site(tmp_path)
    file = tmp_path / LAKESIDE
    rewrite(file, *LATE)
    line = 1 + next(at for at, text in enumerate(file.read_text().splitlines()) if LATE[1] in text)

    said = run("test", "--conf", conf, file, "-k", "BUSY line")

    assert said.exit_status == 1
    assert said.out.splitlines() == [
        str(file),
        "  FAIL  a busy line is tried again, then a person is asked to call  4 steps, 4 hours",
        f"        {file}:{line}: step 3, Mon 02 Mar 2026 10:11 CST",
        "          expected  sends  fax",
        "          got       sends  (none)",
        "          why       specialist order is tried again Mon 02 Mar 2026 10:12 CST: the line was busy",
        "",
        "1 test, 0 passed, 1 failed",
    ]


def test_json_tells_every_test_step_and_difference(tmp_path: Path) -> None:
    conf = site(tmp_path)
    rewrite(tmp_path / LAKESIDE, *LATE)

    said = run("test", "--conf", conf, tmp_path / LAKESIDE, "--json")

    told = said.json
    assert said.exit_status == 1
    assert (told["passed"], told["failed"]) == (4, 1)
    (wrong,) = [one for one in told["tests"] if not one["passed"]]
    assert wrong["channel"] == "orthopaedics-lakeside"
    step = wrong["steps"][2]
    assert (step["number"], step["at"], step["local"]) == (3, "2026-03-02T16:11:00Z", "Mon 02 Mar 2026 10:11 CST")
    assert step["differences"][0].keys() == {"what", "expected", "got", "why"}


def test_junit_is_xml_whatever_a_test_is_called(tmp_path: Path) -> None:
    conf = site(tmp_path)
    file = tmp_path / LAKESIDE
    rewrite(file, *LATE)
    rewrite(file, "a busy line is tried again, then", r"<a> \"busy\" & \u0001 line,")
    report = tmp_path / "results.xml"

    assert run("test", "--conf", conf, file, "--junit", report).exit_status == 1

    root = ET.parse(report).getroot()  # we wrote it a moment ago
    (suite,) = root
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "5", "1")
    assert (suite.tag, suite.get("name"), suite.get("failures")) == ("testsuite", str(file), "1")
    (case,) = [one for one in suite if len(one)]
    assert case.get("classname") == "orthopaedics-lakeside"
    assert case.get("name") == r'<a> "busy" & \x01 line, a person is asked to call'
    (failure,) = case
    assert failure.get("message") == "step 3: sends: expected fax, got (none)"
    assert "why       specialist order is tried" in (failure.text or "")


def test_a_file_beside_a_channels_holds_more_tests_of_it(tmp_path: Path) -> None:
    conf = site(tmp_path)
    own = tmp_path / "channels" / "ours"
    own.mkdir()
    shutil.copy(ROOT / "sample_messages" / "orm-o01-orthopaedics.hl7", own / "knee.hl7")
    more = tmp_path / "channels" / "orthopaedics-lakeside.test.toml"
    steps = '{ receive = "ours/knee.hl7", expect = { matches = true, sends = ["fax"] } }'
    more.write_text(f'[[test]]\nname = "a knee"\nsteps = [{steps}]\n')

    said = run("test", "--conf", conf, more)
    both = run("test", "--conf", conf, tmp_path / LAKESIDE)

    assert said.exit_status == 0
    assert "  ok    a knee" in said.out
    assert run("check", "--conf", conf, more).out == "1 file checked, no problems\n"
    assert both.out.endswith("6 tests, 6 passed, 0 failed\n")


def test_a_draft_elsewhere_is_tested_in_the_place_of_the_channel_of_its_name(tmp_path: Path) -> None:
    draft = tmp_path / "orthopaedics-lakeside.toml"
    shutil.copy(ROOT / LAKESIDE, draft)
    rewrite(draft, 'kind       = "fax"', 'kind      = "spool"\ndirectory = "var/spool/lakeside"')
    for key in ("gateway    =", "number     =", "cover      =", "attach     =", "pages_max  =", 'received     = "fax'):
        draft.write_text("".join(line for line in draft.read_text().splitlines(keepends=True) if key not in line))

    said = run("test", draft, "-k", "every page")

    assert said.exit_status == 1
    assert f"{draft}:" in said.out
    assert "got       sends  file" in said.out


def test_a_sample_that_is_not_there_and_a_place_that_is_none_are_problems_with_their_line(tmp_path: Path) -> None:
    conf = site(tmp_path)
    file = tmp_path / LAKESIDE
    cardiology = tmp_path / "channels" / "cardiology-heart-group.toml"
    rewrite(file, '"orm-o01-cardiology-ppo.hl7"', '"../conf/engine.toml"')
    rewrite(cardiology, 'with = { "IN1-15"', 'with = { "IN1"')

    said = run("test", "--conf", conf)

    assert said.exit_status == 78
    line = 1 + next(at for at, text in enumerate(file.read_text().splitlines()) if "../conf/engine.toml" in text)
    assert f'{file}:{line}:12: error[CH315]: there is no sample "../conf/engine.toml"' in said.err
    assert '"IN1" is not a place in a message' in said.err
    assert run("check", "--conf", conf).out.endswith("2 errors\n")


def test_a_feed_that_no_file_describes_is_a_problem_of_the_test(tmp_path: Path) -> None:
    conf = site(tmp_path)
    rewrite(tmp_path / "channels" / "cardiology-heart-group.toml", 'feeds = ["epic"]', 'feeds = ["epik"]')

    said = run("test", "--conf", conf, "-k", "Epic")

    assert said.exit_status == 78
    assert 'no file describes the feed "epik"' in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nowhere.toml",), "there is no file nowhere.toml"),
        (("docs/schemas",), "there is no TOML file in docs/schemas"),
        (("-k", "no such words"), 'no test has "no such words" in its name'),
        (("conf/preauth.toml",), "no channel's file: conf/preauth.toml"),
        (("--junit",), "requires an argument"),
    ],
)
def test_misuse_is_a_sentence_and_2(words: tuple[str, ...], sentence: str) -> None:
    said = run("test", *words)

    assert said.exit_status == 2
    assert sentence in said.err


@pytest.mark.torture
def test_two_hundred_timetables_are_played_while_the_analyst_waits(tmp_path: Path) -> None:
    conf = site(tmp_path)
    blocks = (ROOT / LAKESIDE).read_text().split("[[test]]\n")[1:]
    more = [block.replace('name  = "', f'name  = "{number} ') for number in range(49) for block in blocks]
    tests = "".join(f"[[test]]\n{block}" for block in more)
    (tmp_path / "channels" / "orthopaedics-lakeside.test.toml").write_text(tests)

    began = time.perf_counter()
    said = run("test", "--conf", conf, tmp_path / LAKESIDE)

    print(f"200 timetables in {time.perf_counter() - began:.1f} s")
    assert said.out.endswith("200 tests, 200 passed, 0 failed\n")


def test_check_writes_annotations_for_a_build_server(tmp_path: Path) -> None:
    conf = site(tmp_path)
    file = tmp_path / LAKESIDE
    rewrite(file, 'kind       = "fax"', 'kind      = "fix, 100%"')

    said = run("check", "--conf", conf, "--format", "github")

    line = 1 + file.read_text().split("\n").index('kind      = "fix, 100%"')
    assert said.exit_status == 1
    assert said.out.startswith(f"::error file={file},line={line},col=1,title=CH104::")
    assert "fix, 100%25" in said.out
    assert run("check", "--conf", conf, "--format", "json").json[0]["code"] == "CH104"
