"""TLS settings and PEM files in, what Twisted needs to listen or to connect out; TLS 1.2 at least, private CAs only."""

from __future__ import annotations

from collections.abc import Callable

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    PrivateCertificate,
    TLSVersion,
    optionsForClientTLS,
    trustRootFromCertificates,
)

from referral_engine.base.errors import ConfigError, Problem
from referral_engine.channels.engine import Tls

ReadsCredential = Callable[[str], bytes]  # a file's name inside the credentials directory to its bytes; OSError

_BEGIN = b"-----BEGIN CERTIFICATE-----"


def server_context(tls: Tls, read: ReadsCredential, owner: str) -> CertificateOptions:
    """What a listener presents and demands; `owner` names it in the problem.  Raises ConfigError."""
    if not tls.cert:
        raise _wrong(owner, "a listener with TLS needs a certificate (tls.cert)")
    if tls.require_client_cert and not tls.ca:
        raise _wrong(owner, "client certificates are demanded, but nobody is named who signs them (tls.ca)")
    try:
        chain = _certificates(read(tls.cert))
        key = KeyPair.load(read(tls.key or tls.cert), crypto.FILETYPE_PEM)
        roots = _certificates(read(tls.ca)) if tls.ca else []
        optional = (
            bool(roots) and not tls.require_client_cert
        )  # a certificate that is shown must be genuine all the same
        options = CertificateOptions(
            privateKey=key.original,
            certificate=chain[0].original,
            extraCertChain=[certificate.original for certificate in chain[1:]],
            raiseMinimumTo=TLSVersion.TLSv1_2,
            **(
                {"verify": True, "caCerts": [root.original for root in roots], "requireCertificate": False}
                if optional
                else {"trustRoot": trustRootFromCertificates(roots) if roots else None}
            ),
        )
        options.getContext()  # a key of another certificate shows here, not at the first connection
    except (OSError, ValueError, crypto.Error, SSL.Error) as error:
        raise _wrong(owner, "its certificate, key or CA cannot be used", error) from None
    return options


def client_context(tls: Tls, host: str, read: ReadsCredential, owner: str) -> IOpenSSLClientConnectionCreator:
    """What we check and present when we connect to `host`.  Raises ConfigError."""
    try:
        roots = _certificates(read(tls.ca)) if tls.ca else []
        ours = None
        if tls.cert:
            key = KeyPair.load(read(tls.key or tls.cert), crypto.FILETYPE_PEM)
            ours = PrivateCertificate.fromCertificateAndKeyPair(_certificates(read(tls.cert))[0], key)
        creator = optionsForClientTLS(
            tls.server_name or host,
            trustRoot=trustRootFromCertificates(roots) if roots else None,
            clientCertificate=ours,
            extraCertificateOptions={"raiseMinimumTo": TLSVersion.TLSv1_2},
        )
    except (OSError, ValueError, crypto.Error, SSL.Error) as error:
        raise _wrong(owner, "its certificate, key or CA cannot be used", error) from None
    return creator


def _certificates(pem: bytes) -> list[Certificate]:
    """Every certificate of a PEM file, in order.  Raises ValueError when there is none."""
    found = [Certificate.load(_BEGIN + part, crypto.FILETYPE_PEM) for part in pem.split(_BEGIN)[1:]]
    if not found:
        raise ValueError("no certificate")
    return found


def _wrong(owner: str, sentence: str, error: Exception | None = None) -> ConfigError:
    """A problem with TLS; of the error only its kind is said."""
    because = "" if error is None else f" ({type(error).__name__})"
    problem = Problem(
        file="conf/engine.toml",
        line=0,
        column=1,
        code="TLS1",
        sentence=f"{owner}: {sentence}{because}",
        help="file names in [tls] tables are looked for in the credentials directory",
    )
    return ConfigError([problem])
