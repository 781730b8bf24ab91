"""The unit file says what the engine relies on, and systemd, where it is installed, accepts it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import PACKAGE, ROOT, text_of

UNIT = ROOT / "systemd" / "referral-engine.service"
EXPOSURE_MAX = 15  # tenths, of `systemd-analyze security`; 0 is a sealed box, 100 an open door


def settings(text: str) -> dict[str, dict[str, list[str]]]:
    """Section, key, and every value the key was given, in order; raises ValueError for a line systemd would not know."""
    sections: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] | None = None
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith(("#", ";")):
            continue
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section = sections.setdefault(header.group(1), {})
        elif section is not None and (setting := re.fullmatch(r"(\w+)=(.*)", line)):
            section.setdefault(setting.group(1), []).append(setting.group(2).strip())
        else:
            message = f"neither section, setting nor remark: {line}"
            raise ValueError(message)
    return sections


SERVICE = settings(text_of(UNIT))["Service"]


def test_the_unit_has_its_three_sections_and_no_other() -> None:
    assert list(settings(text_of(UNIT))) == ["Unit", "Service", "Install"]
    assert settings(text_of(UNIT))["Install"] == {"WantedBy": ["multi-user.target"]}


def test_no_setting_is_given_twice_but_those_that_add_up() -> None:
    twice = {key for section in settings(text_of(UNIT)).values() for key, values in section.items() if len(values) > 1}

    assert twice <= {"SystemCallFilter", "LoadCredential"}


def test_a_line_that_systemd_would_not_know_is_found() -> None:
    with pytest.raises(ValueError, match="Restart on-failure"):
        settings("[Service]\nRestart on-failure\n")


def test_the_engine_says_when_it_is_ready_and_that_it_is_alive() -> None:
    assert SERVICE["Type"] == ["notify"]
    assert SERVICE["NotifyAccess"] == ["main"]
    assert SERVICE["WatchdogSec"] == ["30"]


def test_it_is_restarted_unless_a_person_must_look_first() -> None:
    assert SERVICE["Restart"] == ["on-failure"]
    assert SERVICE["RestartPreventExitStatus"] == ["74 78"]


def test_it_starts_the_program_we_install_with_the_configuration_we_install() -> None:
    assert SERVICE["ExecStart"] == [
        "/opt/referral-engine/bin/referral-engine run --conf /etc/referral-engine/engine.toml"
    ]


def test_edited_files_are_taken_up_by_the_command_that_says_what_is_wrong_with_them() -> None:
    conf = SERVICE["ExecStart"][0].split(" run ")[1]

    assert SERVICE["ExecReload"] == [f"/opt/referral-engine/bin/referral-engine reload {conf}"]
    assert SERVICE["OOMPolicy"] == ["continue"]  # the reader of new files may die for lack of memory, and nobody else


@pytest.mark.parametrize("kind", ["State", "Runtime", "Logs", "Configuration"])
def test_every_directory_is_its_own_and_closed_to_others(kind: str) -> None:
    assert SERVICE[f"{kind}Directory"] == ["referral-engine"]
    assert SERVICE[f"{kind}DirectoryMode"][0] in {"0700", "0750"}
    assert SERVICE["UMask"] == ["0077"]


def test_it_runs_as_a_user_that_sysusers_makes() -> None:
    made = text_of(UNIT.with_suffix(".sysusers"))

    assert SERVICE["User"] == SERVICE["Group"] == ["referral-engine"]
    assert re.search(r'(?m)^u referral-engine - ".+" /var/lib/referral-engine -$', made)


def test_the_key_comes_as_a_credential_and_nothing_comes_by_environment() -> None:
    assert SERVICE["LoadCredential"] == ["journal.key:/etc/referral-engine/credentials/journal.key"]
    assert not {key for key in SERVICE if key.startswith(("Environment", "PassEnvironment", "SetCredential"))}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("PrivateUsers", "yes"),
        ("ProtectKernelTunables", "yes"),
        ("ProtectProc", "invisible"),
        ("RestrictNamespaces", "yes"),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
        ("SystemCallArchitectures", "native"),
        ("IPAddressDeny", "any"),
        ("LimitCORE", "0"),
    ],
)
def test_it_can_do_no_more_than_it_must(setting: str, value: str) -> None:
    assert SERVICE[setting] == [value]


def test_memory_that_is_written_may_be_run_because_the_tls_library_needs_it() -> None:
    assert "MemoryDenyWriteExecute" not in SERVICE


def test_the_steps_of_the_installation_name_what_the_unit_names() -> None:
    steps = text_of(ROOT / "systemd" / "README.md")

    for named in ("/opt/referral-engine", "/etc/referral-engine/credentials/journal.key", "requirements.lock"):
        assert named in steps
    assert (ROOT / "requirements.lock").exists()


def test_the_options_of_the_start_command_exist() -> None:
    if not (PACKAGE / "cli" / "main.py").exists():
        pytest.skip("there is no command line yet")
    from tests.house.test_documents import program, unknown_words

    assert unknown_words(SERVICE["ExecStart"][0].split()[1:], program()) == []
    assert unknown_words(SERVICE["ExecReload"][0].split()[1:], program()) == []


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    """Ask systemd; skip where it is not installed, since the tests above hold without it."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed here; the unit was read by the other tests")
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def startable_unit(tmp_path: Path) -> Path:
    """The unit with a program that exists on every machine, and no manual at a place that may not."""
    text = re.sub(r"(?m)^(ExecStart|ExecReload)=\S+", r"\1=/bin/true", text_of(UNIT))
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"(?m)^Documentation=.*\n", "", text), encoding="utf-8")
    return unit


def test_systemd_accepts_the_unit(startable_unit: Path) -> None:
    verified = analyze("verify", "--man=no", str(startable_unit))

    ours = [line for line in verified.stderr.splitlines() if "referral-engine" in line]
    assert not ours
    assert verified.returncode == 0, verified.stderr


def test_systemd_finds_the_unit_well_sealed(startable_unit: Path) -> None:
    if "--offline" not in analyze("--help").stdout:
        pytest.skip("this systemd cannot judge a unit that is not installed (before 250)")

    judged = analyze("security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(startable_unit))

    assert judged.returncode == 0, judged.stdout[-400:] + judged.stderr
