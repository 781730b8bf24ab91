"""What stands on the disk where a file should be: each oddity is one clear sentence, and nobody waits for it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from referral_engine.base.errors import ConfigError
from referral_engine.service import files
from referral_engine.service.files import channels_folder, folder_beside, passed_over, read_files, socket_name


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small configuration around the working directory; gives the engine's file."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "conf/engine.toml",
        "conf/feeds/ehr.toml",
        "channels/heart.toml",
        "channels/_defaults/cardiology.toml",
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(f"# {name}\n")
    return "conf/engine.toml"


def told(conf: str) -> list[str]:
    """Each problem: file, code, sentence."""
    with pytest.raises(ConfigError) as caught:
        read_files(conf)
    return [f"{one.file} {one.code} {one.sentence}" for one in caught.value.problems]


def test_the_defaults_of_a_specialty_are_read_with_the_channels(conf: str) -> None:
    assert "channels/_defaults/cardiology.toml" in read_files(conf)


def test_what_is_no_plain_file_is_refused_and_never_waited_for(conf: str) -> None:
    os.mkfifo("channels/pipe.toml")
    Path("channels/folder.toml").mkdir()
    Path("channels/null.toml").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as ours:
        ours.bind("channels/socket.toml")

        assert told(conf) == [
            "channels/folder.toml FILE9 is a directory, not a file",
            "channels/null.toml FILE5 is a link that leads out of its folder",
            "channels/pipe.toml FILE9 is a pipe, not a file",
            "channels/socket.toml FILE9 is a socket, not a file",
        ]


def test_a_link_may_lead_to_a_file_of_its_folder_and_nowhere_else(conf: str, tmp_path: Path) -> None:
    Path("secret.toml").write_text("password = 1\n")
    Path("channels/.shared").write_text("# shared\n")
    Path("channels/near.toml").symlink_to(".shared")
    assert read_files(conf)["channels/near.toml"] == "# shared\n"

    Path("channels/far.toml").symlink_to("../secret.toml")
    Path("channels/gone.toml").symlink_to("nowhere.toml")

    assert told(conf) == [
        "channels/far.toml FILE5 is a link that leads out of its folder",
        "channels/gone.toml FILE1 is a link to a file that is not there",
    ]


def test_a_folder_that_is_itself_a_link_is_the_administrators_word(conf: str) -> None:
    Path("elsewhere").mkdir()
    Path("channels").rename("elsewhere/channels")
    Path("channels").symlink_to("elsewhere/channels")

    assert "channels/heart.toml" in read_files(conf)


def test_a_large_file_and_one_of_another_encoding_are_told_together(conf: str) -> None:
    Path("channels/large.toml").write_bytes(b"#" * 10 * 1024 * 1024)
    Path("channels/wide.toml").write_bytes("[channel]\n".encode("utf-16"))

    assert told(conf) == [
        "channels/large.toml FILE2 is larger than 1048576 bytes",
        "channels/wide.toml FILE3 is UTF-16, not UTF-8",
    ]


def test_a_file_nobody_lets_us_read_says_who_must_be_able_to(conf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: object, _flags: int) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.os, "open", refuse)

    with pytest.raises(ConfigError) as caught:
        read_files(conf)

    assert caught.value.problems[0].help == "the engine's own user must be able to read it"


def test_a_file_that_changes_while_it_is_read_is_being_written(conf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = os.fstat

    def and_write(descriptor: int) -> os.stat_result:
        found = stat(descriptor)
        with Path("channels/heart.toml").open("a") as file:
            file.write("[chan")
        return found

    monkeypatch.setattr(files.os, "fstat", and_write)

    assert "channels/heart.toml FILE6 is being written" in told(conf)


def test_an_editors_own_hidden_files_are_left_alone(conf: str) -> None:
    Path("channels/.#heart.toml").symlink_to("somebody@somewhere.1234")

    assert "channels/.#heart.toml" not in read_files(conf)


def test_too_many_files_are_refused_whole_and_never_read_in_part(conf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FILES_MAX", 3)

    assert told(conf) == ["channels FILE8 there are more than 3 files here: this is not a directory of channels"]


def test_channels_lie_in_the_engines_folder_or_beside_it_as_the_service_has_them(conf: str) -> None:
    Path("conf/channels").mkdir()  # as /etc/referral-engine has them
    Path("channels").rename("conf/channels.now")
    Path("conf/channels").rmdir()
    Path("conf/channels.now").rename("conf/channels")

    assert channels_folder(conf) == Path("conf/channels")
    assert "conf/channels/heart.toml" in read_files(conf)
    assert "channels/heart.toml" in read_files_from("conf", "engine.toml")


def read_files_from(folder: str, engine_file: str) -> dict[str, str]:
    """As a service sees them whose working directory is the configuration's."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        return read_files(engine_file)
    finally:
        os.chdir(before)


def test_two_folders_of_channels_are_an_error_for_one_would_be_edited_in_vain(conf: str) -> None:
    Path("conf/channels").mkdir()

    assert told(conf) == [
        "conf/channels FILE7 there are two folders of channels, conf/channels and channels, and only one can be in force"
    ]


def test_the_samples_of_tests_are_looked_for_in_the_same_two_places(conf: str) -> None:
    assert folder_beside(conf, "sample_messages") == Path("sample_messages")
    Path("conf/sample_messages").mkdir()
    assert folder_beside(conf, "sample_messages") == Path("conf/sample_messages")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('[control]\nsocket = "var/other.sock"\n', "var/other.sock"),
        ("[control\n", "var/control.sock"),
        ("[listener]\n", "var/control.sock"),
        ("control = 3\n", "var/control.sock"),
    ],
)
def test_the_engine_that_refused_the_files_is_found_whatever_is_wrong_with_them(
    conf: str, text: str, name: str
) -> None:
    Path(conf).write_text(text)

    assert socket_name(conf) == name


def test_a_file_that_looks_like_one_and_is_not_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "channels" / "_default").mkdir(parents=True)
    (tmp_path / "conf" / "feeds").mkdir(parents=True)
    ours = ("x.toml~", "x.toml.swp", ".#x.toml", "x.toml.bak", "notes.txt", "x.toml")  # nobody believes these in force
    for name in (*ours, "y.toml.txt", "y.TOML", "_default/cardiology.toml"):
        (tmp_path / "channels" / name).write_text("", encoding="utf-8")

    told = passed_over(str(tmp_path / "conf" / "engine.toml"))

    assert [Path(one.file).name for one in told] == ["_default", "y.TOML", "y.toml.txt"]
    assert {(one.code, one.warning) for one in told} == {("FILE10", True)}
