"""Certificates for one test: a private CA, a server, a client, and a stranger's CA with its own client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NOW = datetime.now(UTC)


def make(directory: Path) -> Path:
    """ca.pem, server.pem, client.pem, stranger.pem (each with its key) and others.pem, the stranger's CA."""
    directory.mkdir(parents=True, exist_ok=True)
    ca_key, ca = _authority("Hospital CA")
    others_key, others = _authority("Another CA")
    _write(directory / "ca.pem", ca)
    _write(directory / "others.pem", others)
    for name, key, issuer in (
        ("server", ca_key, ca), ("client", ca_key, ca), ("stranger", others_key, others), ("late", ca_key, ca),
    ):  # fmt: skip
        own = ec.generate_private_key(ec.SECP256R1())
        _write(directory / f"{name}.pem", _leaf(name, own, key, issuer, expired=name == "late"), own)
    return directory


def _authority(name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    made = (
        _builder(subject, subject, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, made


def _leaf(
    name: str,
    own: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate,
    *,
    expired: bool,
) -> x509.Certificate:
    builder = _builder(_name(name), issuer.subject, own, expired=expired)
    names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("localhost")])
    return builder.add_extension(names, critical=False).sign(key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, expired: bool = False
) -> x509.CertificateBuilder:
    ends = _NOW - timedelta(days=1) if expired else _NOW + timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW - timedelta(days=2))
        .not_valid_after(ends)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _write(path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | None = None) -> None:
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    if key is not None:
        pem += key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    path.write_bytes(pem)
