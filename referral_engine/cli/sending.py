"""`send`: messages from files over MLLP, each ACK shown; for interface analysts at their desk."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from pathlib import Path
from typing import Final

import click
from rich.progress import track

from referral_engine.base.errors import MessageFault, WireError
from referral_engine.cli.shared import FOUND_PROBLEMS, json_option, print_json, visible
from referral_engine.hl7.ack import Ack, read_ack
from referral_engine.hl7.batch import split_batch
from referral_engine.hl7.mllp import Deframer, enframe

CHUNK_BYTES: Final = 65_536
PORT_MAX: Final = 65_535
PROGRESS_FROM: Final = 20  # files; fewer are shown one by one


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--to", "address", required=True, metavar="HOST:PORT", help="Where the listener is.")
@click.option("--tls", is_flag=True, help="Speak TLS.")
@click.option("--ca", type=click.Path(exists=True), help="Whom to trust, PEM; the system's store when not given.")
@click.option("--cert", type=click.Path(exists=True), help="Our client certificate and key in one PEM file.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 3600.0),
    default=30.0,
    show_default=True,
    help="Seconds for each answer.",
)
@json_option
def send(  # one parameter an option
    files: tuple[str, ...], address: str, *, tls: bool, ca: str | None, cert: str | None, timeout: float, as_json: bool
) -> None:
    """Send messages over MLLP and print each answer; exit 1 if any was not AA or CA.

    A file with several messages, or a batch, is sent message by message.

    \b
    Example:
      referral-engine send sample_messages/orm-o01-cardiology-ppo.hl7 --to 127.0.0.1:2575
    """
    host, port = _address(address)
    if (ca or cert) and not tls:
        raise click.UsageError("--ca and --cert are about TLS: add --tls")
    line = _Line(host, port, timeout, _context(ca, cert) if tls else None)
    try:
        line.dial()
    except OSError as error:
        click.echo(f"{address}: {_why(error)}", err=True)
        sys.exit(FOUND_PROBLEMS)
    try:
        answers = _send_all(line, files, as_json=as_json)
    finally:
        line.hang_up()
    if as_json:
        print_json(answers)
    sys.exit(0 if all(one["code"] in ("AA", "CA") for one in answers) else FOUND_PROBLEMS)


def _address(text: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:2575" or "[::1]:2575".  Raises BadParameter."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    try:
        host.encode("idna")
    except UnicodeError:
        host = ""
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) <= PORT_MAX:
        raise click.BadParameter("write HOST:PORT, as in 127.0.0.1:2575", param_hint="--to")
    return host, int(port)


def _context(ca: str | None, cert: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca)
    except (ssl.SSLError, OSError):
        raise click.BadParameter(f"{ca} holds no certificate in PEM", param_hint="--ca") from None
    if cert:
        try:
            context.load_cert_chain(cert)
        except (ssl.SSLError, OSError):
            sentence = f"{cert} does not hold a certificate and its own key, both in PEM"
            raise click.BadParameter(sentence, param_hint="--cert") from None
    return context


def _why(error: OSError) -> str:
    """Why there is no connection, and what to look at."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message}): name its authority with --ca"
        case ssl.SSLError():
            return "the TLS handshake failed: does it speak TLS there, and does it want a certificate (--cert)?"
        case TimeoutError():
            return "no answer in time: is the address right, or a firewall between?"
        case _:
            return f"{error.strerror or error}: is the engine running there?"


class _Line:
    """One connection; dialled again after it broke, so that a late answer is never taken for the next one's."""

    def __init__(self, host: str, port: int, timeout: float, context: ssl.SSLContext | None) -> None:
        self._peer = (host, port)
        self._timeout = timeout
        self._context = context
        self._wire: socket.socket | None = None

    def dial(self) -> None:
        """Connect.  Raises OSError."""
        plain = socket.create_connection(self._peer, timeout=self._timeout)
        try:
            self._wire = self._context.wrap_socket(plain, server_hostname=self._peer[0]) if self._context else plain
        except OSError:
            plain.close()
            raise

    def hang_up(self) -> None:
        """Close."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def exchange(self, message: bytes) -> Ack:
        """One message out, one answer in.  Raises WireError, MessageFault, OSError."""
        framed = enframe(message)
        if self._wire is None:
            self.dial()
        assert self._wire is not None, "it was dialled"
        self._wire.sendall(framed)
        deframer = Deframer()
        while chunk := self._wire.recv(CHUNK_BYTES):
            frames = deframer.feed(chunk)
            if frames:
                return read_ack(frames[0])
            if deframer.error:
                raise deframer.error
        raise ConnectionResetError(0, "the other side closed without an answer")


def _send_all(line: _Line, files: tuple[str, ...], *, as_json: bool) -> list[dict[str, object]]:
    quiet = as_json or len(files) < PROGRESS_FROM
    answers = []
    for file in track(files, "sending", disable=quiet, transient=True):
        for message in _messages(file):
            answer = _send_one(line, message, file)
            answers.append(answer)
            if not as_json and (quiet or answer["code"] not in ("AA", "CA")):
                words = " ".join(filter(None, (str(answer["code"] or "no answer"), visible(str(answer["text"])))))
                click.echo(f"{file}: {words} ({answer['milliseconds']} ms)")
    return answers


def _messages(file: str) -> list[bytes]:
    """The messages of a file, one by one; a file that holds none goes out as it is, if there is anything in it."""
    raw = Path(file).read_bytes()
    if not raw.strip():
        raise click.ClickException(f"{file}: there is nothing in it")
    try:
        return split_batch(raw) or [raw]
    except MessageFault as fault:
        raise click.ClickException(f"{file}: {fault}") from None


def _send_one(line: _Line, message: bytes, file: str) -> dict[str, object]:
    """One message out, one answer in; a broken connection is an answer too."""
    begun = time.perf_counter()
    code, text, broken = "", "", True
    try:
        ack = line.exchange(message)
        code, text, broken = ack.code, ack.text, False
    except WireError as error:
        text = f"not sent, or its answer broke framing: {error}"
    except MessageFault as fault:
        text = f"the answer is no acknowledgment: {fault}"
    except TimeoutError:
        text = "no answer in time: it may or may not have been stored, send it again"
    except ssl.SSLError as error:
        reason = (error.reason or "").replace("_", " ").lower()
        text = f"the other side ended TLS ({reason or 'no reason given'}): does it want another certificate (--cert)?"
    except OSError as error:
        text = f"the connection broke: {error.strerror or error}; it may or may not have been stored, send it again"
    if broken:
        line.hang_up()
    return {"file": file, "code": code, "text": text, "milliseconds": round((time.perf_counter() - begun) * 1000, 1)}
