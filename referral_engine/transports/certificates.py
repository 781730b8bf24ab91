"""What a TLS peer showed in, the exact names it may be known by out; and a failed handshake in, the word for it out."""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID
from OpenSSL.SSL import Error

# What OpenSSL says, and the counter's word.  Plain text in place of a hello looks like a record of no known version.
_FAULTS: Final = (
    ("wrong version number", "plain-text-on-tls"),
    ("http request", "plain-text-on-tls"),
    ("https proxy request", "plain-text-on-tls"),
    ("packet length too long", "plain-text-on-tls"),
    ("peer did not return a certificate", "tls-no-certificate"),
    ("certificate verify failed", "tls-certificate-refused"),
    ("unsupported protocol", "tls-version"),
    ("no shared cipher", "tls-cipher"),
    ("alert", "tls-refused-by-peer"),  # it does not trust us
)


def identities(certificate: x509.Certificate) -> tuple[str, ...]:
    """The exact names of a certificate that was checked: "DNS:...", "URI:...", "IP:...", then "CN:...".

    DNS names in small letters. Source: RFC 5280 4.2.1.6 (subjectAltName), 4.1.2.6 (subject).
    """
    found: list[str] = []
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        pass
    else:
        found += [f"DNS:{name.lower()}" for name in names.get_values_for_type(x509.DNSName)]
        found += [f"URI:{name}" for name in names.get_values_for_type(x509.UniformResourceIdentifier)]
        found += [f"IP:{address}" for address in names.get_values_for_type(x509.IPAddress)]
    found += [f"CN:{name.value!s}" for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return tuple(found)


def handshake_fault(error: BaseException | None) -> str:
    """The counter's word for a handshake that failed; "" when the peer just left, as health checkers do."""
    if not isinstance(error, Error):
        return ""
    said = " ".join(str(part) for entry in error.args[:1] for line in _lines(entry) for part in _lines(line))
    for words, fault in _FAULTS:
        if words in said:
            return fault
    return "tls-handshake"


def _lines(entry: object) -> tuple[object, ...] | list[object]:
    return entry if isinstance(entry, tuple | list) else (entry,)
