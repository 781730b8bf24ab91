"""TLS as it goes wrong in the field: each failed handshake has its own word, and nothing behind it is read."""

from __future__ import annotations

import ssl
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL.SSL import Error
from twisted.internet.threads import deferToThread

from referral_engine.channels.engine import Listener, Tls
from referral_engine.channels.partner import ANYONE, Framing, Limits, Partner
from referral_engine.flow.inputs import Arrived
from referral_engine.transports.certificates import handshake_fault, identities
from tests.edge.live import connected, ended, exchanged, serving, until
from tests.service import certificates
from tests.service.doubles import RecordingStep

MUTUAL = Listener(port=0, tls=Tls(cert="server.pem", ca="ca.pem", require_client_cert=True))
SERVER_ONLY = Listener(port=0, tls=Tls(cert="server.pem"))
SHOWN = ("DNS:localhost", "IP:127.0.0.1", "CN:client")


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates.make(tmp_path_factory.mktemp("pem"))


def _context(pem: Path, certificate: str = "", ca: str = "ca.pem") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pem / ca))
    if certificate:
        context.load_cert_chain(str(pem / certificate))
    return context


def _talk(port: int, context: ssl.SSLContext) -> list[bytes]:
    """One message over TLS, or [] when there is no getting through."""
    with (
        closing(connected(port)) as raw,
        suppress(OSError),  # ssl.SSLError is one
        context.wrap_socket(raw, server_hostname="localhost") as wire,
    ):
        return exchanged(wire, b"1")
    return []


@pytest_twisted.ensureDeferred
async def test_the_identities_of_a_genuine_certificate_travel_with_every_message(pem: Path) -> None:
    step = RecordingStep()
    asked: list[tuple[str, tuple[str, ...]]] = []

    def partner_of(peer: str, certificates: tuple[str, ...]) -> Partner:
        asked.append((peer, certificates))
        return ANYONE

    async with serving(MUTUAL, step=step, pem=pem, partner_of=partner_of) as listener:
        answers = await deferToThread(_talk, listener.port, _context(pem, "client.pem"))

    assert answers == [b"ACK 1"]
    assert asked == [("127.0.0.1", SHOWN)]
    assert [one.certificates for one in step.committed if isinstance(one, Arrived)] == [SHOWN]


@pytest.mark.parametrize(
    ("certificate", "word"),
    [("", "tls-no-certificate"), ("stranger.pem", "tls-certificate-refused"), ("late.pem", "tls-certificate-refused")],
)
@pytest_twisted.ensureDeferred
async def test_who_shows_no_genuine_certificate_is_refused_by_name(pem: Path, certificate: str, word: str) -> None:
    # F-D10
    step = RecordingStep()

    async with serving(MUTUAL, step=step, pem=pem) as listener:
        answers = await deferToThread(_talk, listener.port, _context(pem, certificate))
        await until(lambda: listener.counts.errors)

    assert (answers, step.committed) == ([], [])
    assert listener.counts.errors == {word: 1}
    assert listener.status()["connections"] == 0


@pytest_twisted.ensureDeferred
async def test_a_peer_that_does_not_trust_us_is_named_too(pem: Path) -> None:  # F-D10
    async with serving(SERVER_ONLY, pem=pem) as listener:
        answers = await deferToThread(_talk, listener.port, _context(pem, ca="others.pem"))
        await until(lambda: listener.counts.errors)

    assert (answers, listener.counts.errors) == ([], {"tls-refused-by-peer": 1})


@pytest_twisted.ensureDeferred
async def test_a_downgrade_is_refused(pem: Path) -> None:  # F-D10
    context = _context(pem)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    async with serving(SERVER_ONLY, pem=pem) as listener:
        answers = await deferToThread(_talk, listener.port, context)
        await until(lambda: listener.counts.errors)

    assert (answers, listener.counts.errors) == ([], {"tls-version": 1})


@pytest.mark.parametrize(
    "said", [b"\x0bMSH|^~\\&|A|B|C|D|20260101||ADT^A08|1|P|2.5.1\r\x1c\r", b"GET / HTTP/1.1\r\n\r\n"]
)
@pytest_twisted.ensureDeferred
async def test_plain_text_on_a_tls_port_is_named_and_closed(pem: Path, said: bytes) -> None:  # F-D11
    def work(port: int) -> bytes:
        with closing(connected(port)) as wire:
            wire.sendall(said)
            return ended(wire)

    step = RecordingStep()
    async with serving(SERVER_ONLY, step=step, pem=pem) as listener:
        heard = await deferToThread(work, listener.port)
        await until(lambda: listener.counts.errors)

    assert b"MSH" not in heard
    assert (listener.counts.errors, step.committed) == ({"plain-text-on-tls": 1}, [])


@pytest_twisted.ensureDeferred
async def test_tls_on_a_plain_port_is_named_and_closed(pem: Path) -> None:  # F-D11, H018
    async with serving() as listener:
        answers = await deferToThread(_talk, listener.port, _context(pem))
        await until(lambda: listener.counts.errors)

    assert (answers, listener.counts.errors) == ([], {"not-mllp": 1})


@pytest_twisted.ensureDeferred
async def test_a_health_checker_on_a_tls_port_is_no_error(pem: Path) -> None:  # F-D12
    def work(port: int) -> None:
        for _ in range(5):
            connected(port).close()

    async with serving(SERVER_ONLY, pem=pem) as listener:
        await deferToThread(work, listener.port)
        await until(lambda: listener.counts.silent == 5)

    assert listener.counts.errors == {}


@pytest_twisted.ensureDeferred
async def test_the_cap_of_a_partner_that_its_certificate_names_holds_after_the_handshake(pem: Path) -> None:  # F-D03
    heart = Partner(name="heart", certificates=("CN:client",), limits=Limits(connections_max=1, in_flight_max=1))

    def work(port: int) -> tuple[list[bytes], list[bytes]]:
        with ExitStack() as stack:
            first = stack.enter_context(
                _context(pem, "client.pem").wrap_socket(connected(port), server_hostname="localhost")
            )
            return exchanged(first, b"1", b"2"), _talk(port, _context(pem, "client.pem"))

    def partner_of(_peer: str, shown: tuple[str, ...]) -> Partner:
        return heart if "CN:client" in shown else ANYONE

    async with serving(MUTUAL, pem=pem, partner_of=partner_of) as listener:
        assert await deferToThread(work, listener.port) == ([b"ACK 1", b"ACK 2"], [])
        await until(lambda: listener.counts.refused)

    assert listener.counts.refused == {"per-partner-max": 1}
    assert listener.counts.errors == {}


@pytest_twisted.ensureDeferred
async def test_the_framing_of_a_partner_that_its_certificate_names_holds_after_the_handshake(pem: Path) -> None:
    # H130
    heart = Partner(name="heart", certificates=("CN:client",), framing=Framing(trailer=b"\x1c\x00"))

    def work(port: int) -> bytes:
        context = _context(pem, "client.pem")
        with closing(connected(port)) as raw, context.wrap_socket(raw, server_hostname="localhost") as wire:
            wire.sendall(b"\x0b1\x1c\x00")
            return wire.recv(100)

    async with serving(MUTUAL, pem=pem, partner_of=lambda _peer, shown: heart if shown else ANYONE) as listener:
        assert await deferToThread(work, listener.port) == b"\x0bACK 1\x1c\x00"


def test_every_name_of_a_certificate_is_an_exact_identity() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Gateway 1")])
    names: list[x509.GeneralName] = [
        x509.DNSName("GW.heart.example"),
        x509.UniformResourceIdentifier("urn:oid:2.999.1"),
        x509.IPAddress(ip_address("2001:db8::7")),
    ]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))

    bare = builder.sign(key, hashes.SHA256())
    named = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(key, hashes.SHA256())

    assert identities(bare) == ("CN:Gateway 1",)
    assert identities(named) == ("DNS:gw.heart.example", "URI:urn:oid:2.999.1", "IP:2001:db8::7", "CN:Gateway 1")


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (Error([("SSL routines", "", "wrong version number")]), "plain-text-on-tls"),
        (Error([("SSL routines", "", "something new")]), "tls-handshake"),
        (Error(), "tls-handshake"),
        (ConnectionResetError(), ""),
        (None, ""),
    ],
)
def test_openssl_and_the_kernel_are_told_apart(error: Exception | None, word: str) -> None:
    assert handshake_fault(error) == word
