"""`check`: every mistake with its exact place, whatever way the file was named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.terminal import ROOT, copied_site, rewrite, run


def test_the_projects_own_files_are_clean() -> None:
    said = run("check")

    assert said.exit_status == 0
    assert said.out == "18 files checked, no problems\n"


def test_a_planted_mistake_is_shown_with_its_line_its_column_and_what_to_do(tmp_path: Path) -> None:
    engine = copied_site(tmp_path)
    broken = tmp_path / "channels" / "imaging-northside.toml"
    rewrite(broken, 'kind        = "mllp"', 'kind        = "mlpp"')
    line = 1 + broken.read_text().split("\n").index('kind        = "mlpp"')

    said = run("check", "--conf", engine)

    assert said.exit_status == 1
    assert f"{broken}:{line}:" in said.out
    assert 'kind        = "mlpp"' in said.out
    assert "^^^^" in said.out
    assert 'did you mean "mllp"?' in said.out
    assert said.out.endswith("18 files checked, 1 error\n")


def test_every_mistake_is_shown_at_once(tmp_path: Path) -> None:
    engine = copied_site(tmp_path)
    rewrite(tmp_path / "channels" / "imaging-northside.toml", '"1 day" }\nnote-ping', '"1 dai" }\nnote-ping')
    rewrite(tmp_path / "channels" / "orthopaedics-lakeside.toml", '"rightfax"', '"leftfax"')
    rewrite(engine, "port            = 2575", "prot            = 2575")

    said = run("check", "--conf", engine)

    assert said.exit_status == 1
    assert "3 errors" in said.out


def test_json_gives_one_object_a_problem(tmp_path: Path) -> None:
    engine = copied_site(tmp_path)
    rewrite(engine, "port            = 2575", "prot            = 2575")

    said = run("check", "--conf", engine, "--json")

    assert said.exit_status == 1
    (problem,) = said.json
    assert problem.keys() == {"file", "line", "column", "code", "sentence", "source", "help", "warning"}
    assert (problem["file"], problem["column"], problem["warning"]) == (str(engine), 1, False)
    assert engine.read_text().split("\n")[problem["line"] - 1].startswith("prot")
    assert run("check", "--json").json == []


def test_a_warning_is_a_problem_only_when_asked_for(tmp_path: Path) -> None:
    channel = (ROOT / "channels" / "imaging-northside.toml").read_text().split("[[test]]")[0]
    draft = tmp_path / "imaging-northside.toml"
    draft.write_text(channel)

    lenient, strict = run("check", draft), run("check", draft, "--strict")

    assert (lenient.exit_status, strict.exit_status) == (0, 1)
    assert "warning[" in lenient.out
    assert lenient.out == strict.out


def test_a_code_is_explained() -> None:
    assert run("check", "--explain", "CH303").exit_status == 0
    assert "release" in run("check", "--explain", "ch303").out
    assert run("check", "--explain", "XX999").exit_status == 1


@pytest.mark.parametrize(
    "name",
    [
        "channels/orthopaedics-lakeside.toml",
        "./channels/orthopaedics-lakeside.toml",
        str(ROOT / "channels" / "orthopaedics-lakeside.toml"),
    ],
)
def test_a_channel_is_looked_at_together_with_what_it_names_however_its_path_is_written(name: str) -> None:
    said = run("check", name)

    assert said.exit_status == 0
    assert said.out == "1 file checked, no problems\n"


def test_a_folder_means_the_files_in_it() -> None:
    assert run("check", "channels/").out == "3 files checked, no problems\n"
    assert run("check", "conf").out == "15 files checked, no problems\n"


def test_a_draft_elsewhere_may_use_our_calendars_and_gateways(tmp_path: Path) -> None:
    draft = tmp_path / "orthopaedics-lakeside.toml"
    draft.write_text((ROOT / "channels" / "orthopaedics-lakeside.toml").read_text())

    assert run("check", draft).exit_status == 0


def test_the_fences_of_a_markdown_file_keep_their_line_numbers(tmp_path: Path) -> None:
    manual = tmp_path / "manual.md"
    manual.write_text('# How to\n\n```toml\n# channels/x.toml: an example\n[channel]\nnmae = "x"\n```\n')

    said = run("check", manual)

    assert said.exit_status == 1
    assert "channels/x.toml:6:1: error[" in said.out
    assert run("check", "README.md").exit_status == 0


def test_a_folder_of_documents_has_the_fences_of_each_checked() -> None:
    said = run("check", ROOT / "docs")

    assert (said.exit_status, "2 files" not in said.out) == (0, True)  # feeds.md has one, channels.md two


def test_a_channel_is_checked_with_the_lines_that_are_lent_to_it(tmp_path: Path) -> None:
    for folder in ("conf", "channels", "sample_messages"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    lent = tmp_path / "channels" / "_defaults" / "cardiology.toml"
    lent.parent.mkdir(exist_ok=True)
    lent.write_text('[sla]\nrebook = "soon"\n')
    conf = tmp_path / "conf" / "engine.toml"

    alone = run("check", "--conf", conf, tmp_path / "channels" / "cardiology-heart-group.toml")
    folder = run("check", "--conf", conf, tmp_path / "channels")

    for said in (alone, folder):
        assert said.exit_status == 1
        assert f"{lent}:2:1: error[CH205]" in said.out
    assert "4 files checked" in folder.out


def test_a_file_that_is_missing_is_misuse(tmp_path: Path) -> None:
    said = run("check", tmp_path / "nothing.toml")

    assert said.exit_status == 2
    assert f"there is no file {tmp_path / 'nothing.toml'}" in said.err
    assert run("check", tmp_path).exit_status == 2


def test_a_file_that_is_not_utf_8_is_said_to_be(tmp_path: Path) -> None:
    draft = tmp_path / "draft.toml"
    draft.write_bytes('title = "Zürich"'.encode("latin-1"))

    said = run("check", draft)

    assert said.exit_status == 78
    assert f"{draft}: error[FILE3]: is not UTF-8" in said.err


def test_a_broken_file_of_the_configuration_is_found_by_check_and_refused_by_all_others(tmp_path: Path) -> None:
    engine = copied_site(tmp_path)
    rewrite(engine, "[listener] ", "[listener ")

    assert run("check", "--conf", engine).exit_status == 1
    for words in (["config"], ["route", "sample_messages/orm-o01-laboratory.hl7"], ["run"], ["demo"]):
        said = run(*words, "--conf", engine)
        assert said.exit_status == 78, words
        assert f"{engine}:" in said.err


def test_a_permission_for_plain_mllp_that_is_over_is_an_error_and_refuses_the_start(tmp_path: Path) -> None:
    engine = copied_site(tmp_path)
    permission = 'insecure_plaintext = true\ninsecure_reason = "a VPN"\ninsecure_until = 2020-01-01\n'
    rewrite(engine, 'bind            = "127.0.0.1"', f'bind = "192.0.2.1"\n{permission}#')

    checked, started = run("check", "--conf", engine), run("run", "--conf", engine)

    assert checked.exit_status == 1
    assert "error[CH317]: plain MLLP was permitted until 2020-01-01" in checked.out
    assert started.exit_status == 78
    assert "error[CH317]" in started.err


def test_a_file_that_is_not_read_is_a_warning_beside_those_that_are(tmp_path: Path) -> None:
    engine = copied_site(tmp_path)
    shutil.copy(tmp_path / "channels" / "imaging-northside.toml", tmp_path / "channels" / "imaging-two.toml.txt")

    said = run("check", "--conf", engine)
    strict = run("check", "--conf", engine, "--strict", "--format", "github")

    assert (said.exit_status, strict.exit_status) == (0, 1)
    assert "imaging-two.toml.txt: warning[FILE10]: is not read: its name does not end in .toml" in said.out
    assert strict.out.startswith("::warning file=")
