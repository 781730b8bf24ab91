"""`send --tls` against the running daemon: who is trusted on both sides, and what a person is told when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import Said, Site, an_order
from tests.service import certificates

TLS = 'tls = { cert = "server.pem", ca = "ca.pem", require_client_cert = true }'


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running site whose listener wants a client certificate."""
    site = Site(tmp_path_factory.mktemp("tls"))
    try:
        site.lay_out()
        certificates.make(site.root / "conf" / "credentials")
        engine = site.root / "conf" / "engine.toml"
        engine.write_text(engine.read_text().replace("[listener] ", f"[listener]\n{TLS}\n#", 1))
        site.start()
        yield site
    finally:
        site.close()


def send(site: Site, tmp_path: Path, number: str, *words: str) -> Said:
    """Send one order with these words; {pem} is where the certificates are."""
    order = tmp_path / "order.hl7"
    order.write_bytes(an_order(number))
    pem = str(site.root / "conf" / "credentials")
    told = [word.format(pem=pem) for word in words]
    return site.ask("send", str(order), "--to", f"127.0.0.1:{site.port}", "--timeout", "20", *told)


def test_with_a_certificate_of_the_right_authority_it_is_answered(guarded: Site, tmp_path: Path) -> None:
    said = send(guarded, tmp_path, "T1", "--tls", "--ca", "{pem}/ca.pem", "--cert", "{pem}/client.pem")

    assert said.exit_status == 0, said.out + said.err
    assert ": AA" in said.out
    assert guarded.referral_of("P-T1")


@pytest.mark.parametrize("certificate", [(), ("--cert", "{pem}/stranger.pem"), ("--cert", "{pem}/late.pem")])
def test_without_a_trusted_certificate_nothing_is_taken(
    guarded: Site, tmp_path: Path, certificate: tuple[str, ...]
) -> None:
    said = send(guarded, tmp_path, "T2", "--tls", "--ca", "{pem}/ca.pem", *certificate)

    assert said.exit_status == 1
    told = said.out + said.err
    assert "does it want" in told or "the connection broke" in told, "the alert may be overtaken by the reset"
    assert guarded.ask("show", "P-T2").exit_status == 1


def test_an_engine_nobody_vouches_for_is_not_spoken_to(guarded: Site, tmp_path: Path) -> None:
    said = send(guarded, tmp_path, "T3", "--tls", "--ca", "{pem}/others.pem", "--cert", "{pem}/client.pem")

    assert said.exit_status == 1
    assert "its certificate is not trusted" in said.err
    assert "name its authority with --ca" in said.err


def test_plain_bytes_are_not_answered(guarded: Site, tmp_path: Path) -> None:
    said = send(guarded, tmp_path, "T4")

    assert said.exit_status == 1
    assert "no answer" in said.out
    assert guarded.ask("show", "P-T4").exit_status == 1
