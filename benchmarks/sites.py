"""Made-up sites of many channels: the shipped conf/ with as many specialists' files, of every shape analysts write.

Nothing here is anybody's: NPIs only satisfy the check digit, numbers are of the range kept for fiction.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from referral_engine.base.ident import npi_check_digit
from referral_engine.channels.draft import DraftStep, DraftTest, write_draft
from referral_engine.channels.questions import Answer
from referral_engine.service.files import read_files

ROOT: Final = Path(__file__).resolve().parents[1]
SCHEMA: Final = "../docs/schemas/channel.schema.json"
ORDERS: Final = '"MSH-9" = ["ORM^O01", "OMG^O19"]'

# What [match] asks for, and how many of a hundred channels ask so: most are rows of a directory list.
SHAPES: Final = {"fax": 60, "mllp": 15, "several": 10, "codes": 10, "prefix": 5}

_OTHERS: Final = ("conf/partners/cardiology-heart-group.toml", "conf/partners/imaging-northside.toml")  # of channels
_SPECIALTIES: Final = {"orthopaedics": "REFORTH", "cardiology": "REFCARD"}
_SAMPLE: Final = "orm-o01-orthopaedics.hl7"


def npi(number: int) -> str:
    """The ten digits of a made-up provider."""
    nine = f"1{number + 30_000_000:08}"
    return f"{nine}{npi_check_digit(nine)}"


def code(number: int, member: int = 0) -> str:
    """A service code that only channel `number` takes."""
    return f"REFQ{number:05}{'ABC'[member]}"


def conf() -> dict[str, str]:
    """The shipped files but the channels, by the names that `check` gives them."""
    files = read_files(str(ROOT / "conf" / "engine.toml"))
    named = {str(Path(name).relative_to(ROOT)): text for name, text in files.items()}
    return {name: text for name, text in named.items() if not name.startswith("channels/") and name not in _OTHERS}


def site(channels: int, *, seed: int = 7, shapes: Mapping[str, int] = SHAPES) -> dict[str, str]:
    """The shipped conf/ and so many channels that `check` has nothing against."""
    rng = random.Random(seed)
    kinds = rng.choices(list(shapes), list(shapes.values()), k=channels)
    made = dict(channel(number, kind) for number, kind in enumerate(kinds))
    return {**conf(), **made}


def channel(number: int, kind: str) -> tuple[str, str]:
    """One file's name and text; the number keeps it apart from every other."""
    name = f"{kind}-office-{number:05}"
    text = _fax(name, number) if kind == "fax" else _written(name, number, kind)
    return f"channels/{name}.toml", text


def written(files: Mapping[str, str], folder: Path) -> None:
    """Put a site on the disk, with the samples its tests name."""
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    samples = folder / "sample_messages"
    samples.mkdir(exist_ok=True)
    (samples / _SAMPLE).write_bytes((ROOT / "sample_messages" / _SAMPLE).read_bytes())


def _fax(name: str, number: int) -> str:
    """As `channel import` makes it of one row, with its test."""
    specialty = list(_SPECIALTIES)[number % len(_SPECIALTIES)]
    answers: dict[str, Answer] = {
        "channel.name": name, "channel.title": f"Office {number}", "channel.npi": npi(number),
        "channel.specialty": specialty, "channel.calendar": "chicago-clinic", "channel.network": "in",
        "match.codes": (_SPECIALTIES[specialty],),
        "transport.kind": "fax", "transport.gateway": "rightfax", "transport.number": f"+1217555{number % 10_000:04}",
        "replies.notes": True, "patient.address": f"{number} Example Road, Springfield",
    }  # fmt: skip
    remarks = (f"From directory.csv, row {number + 2}. Telephone: +12175550100.",)
    return write_draft(answers, (_test(_SPECIALTIES[specialty], npi(number), "fax"),), remarks=remarks, schema=SCHEMA)


def _test(prefix: str, provider: str, sends: str) -> DraftTest:
    """An order arrives and leaves."""
    step = DraftStep(
        receive=_SAMPLE,
        at=datetime(2026, 3, 2, 9),  # noqa: DTZ001  # clinic wall time, as the file has it
        overrides={"OBR-4.1": f"{prefix}1", "OBR-28.1": provider},
        expect={"ack": "AA", "sends": (sends,)},
    )
    return DraftTest(name="an order goes out at once", steps=(step,))


def _written(name: str, number: int, kind: str) -> str:
    """As an analyst writes it: over MLLP, with replies, clocks of its own and a hold."""
    return f"""#:schema {SCHEMA}
# Group {number}: over MLLP.

[channel]
name      = "{name}"                      # same as the file name
title     = "Group {number}"
npi       = "{npi(number)}"
specialty = "cardiology"
calendar  = "chicago-clinic"
network   = "in"

[match]                                   # every line must match
{_match(number, kind)}

[hold]
reason       = "pre-authorization"
when         = {{ "IN1-15" = ["HMO", "POS"] }}
released_by  = ["IN1-14.1", "staff"]
remind_after = "2 business days"

[transport]
kind        = "mllp"
host        = "group-{number}.example"
port        = 6661
tls         = {{ ca = "ca.pem", client_cert = "referral-engine.pem" }}
ack_mode    = "original"
ack_timeout = "30 seconds"
retry       = {{ first = "30 seconds", longest = "15 minutes", give_up_after = "24 hours" }}

[message]                                 # how our copy of the order is addressed
receiving_application = "APP{number}"     # MSH-5
receiving_facility    = "FAC{number}"     # MSH-6
drop_segments         = ["ZRF", "NTE"]

[replies]
applications = ["APP{number}"]
facilities   = ["FAC{number}"]
final_when   = {{ "OBR-25" = ["F", "C"] }}

[sla]
delivered = {{ routine = "4 hours", urgent = "1 hour" }}
note-ping = ["1 day", "7 days"]

[patient]
address = "{number} Example Road, Springfield"

[[test]]
name  = "an order goes out"
steps = [
  {{ at = 2026-03-02 09:00:00, receive = "{_SAMPLE}", with = {{ "OBR-4.1" = "{_ordered(number, kind)}", "OBR-28.1" = "{npi(number)}", "IN1-15" = "PPO" }}, expect = {{ ack = "AA", sends = ["ORM^O01"] }} }},
  {{ at = 2026-03-02 09:00:05, reply = "AA", expect = {{ status = "received" }} }},
]
"""  # noqa: E501  # a step of a timetable is one line


def _ordered(number: int, kind: str) -> str:
    """A service that a channel of this kind takes."""
    return "REFCARD" if kind in {"mllp", "several"} else code(number)


def _match(number: int, kind: str) -> str:
    """The lines of [match], of one kind."""
    others = f'{npi(number)}", "{npi(number + 10_000_000)}'
    lines: Mapping[str, Sequence[str]] = {
        "mllp": (ORDERS, '"OBR-4.1" = ["REFCARD", "REFEP"]', f'"OBR-28.1" = "{npi(number)}"'),
        "several": (ORDERS, '"OBR-4.1" = { starts_with = ["REFCARD", "REFEP"] }', f'referred_to = ["{others}"]'),
        "codes": (ORDERS, f'"OBR-4.1" = ["{code(number)}", "{code(number, 1)}", "{code(number, 2)}"]'),
        "prefix": (ORDERS, f'"OBR-4.1" = {{ starts_with = "{code(number)[:-1]}" }}'),
    }
    return "\n".join(lines[kind])
