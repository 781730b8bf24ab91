"""A scratch site: a directory and ports in, configuration files out; nothing of the user's own site is read."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from referral_engine.torture.proxy import HOST
from referral_engine.torture.wire import Chance

PORTS: Final = (20_000, 32_000)  # below those the kernel gives to outgoing connections
TRIES_MAX: Final = 200
SPOOL: Final = "var/spool/fax"

_RETRY: Final = (
    'retry = { first = "1 second", longest = "2 seconds", give_up_after = "24 hours" }\nack_timeout = "2 seconds"'
)
_ENGINE: Final = """
[identity]
application = "REFERRAL_ENGINE"
facility = "SPRINGFIELD"
node = "TT"
[listener]
bind = "127.0.0.1"
port = {listener}
connections_max = 512
per_peer_max = 512
[web]
port = 0
[ehr]
host = "127.0.0.1"
port = {ehr}
{retry}
[journal]
path = "var/journal.db"
key_file = "var/journal.key"
{journal}
[calendar.default]
timezone = "America/Chicago"
[gateway.rightfax]
kind = "spool"
directory = "{spool}"
"""
_EHR: Final = """
[feed]
name = "ehr"
title = "Made-up EHR"
party = "ehr"
applications = ["EHR"]
facilities = ["SPRINGFIELD"]
timezone = "America/Chicago"
patient_authority = "SPRINGFIELD"
referred_to = ["OBR-28.1"]
[referral_when]
"OBR-4.1" = { starts_with = "REF" }
[specialties]
REFCARD = "cardiology"
REFMRI = "imaging"
REFORTH = "orthopaedics"
[sms_consent]
"CON-2.1" = "SMS"
"CON-11.1" = "A"
"""
_OFFICE: Final = """
[channel]
name = "{name}"
title = "Made-up office"
npi = "{npi}"
specialty = "{specialty}"
calendar = "default"
network = "in"
[match]
"MSH-9" = ["ORM^O01", "OMG^O19"]
"OBR-28.1" = "{npi}"
[transport]
{transport}
"""
_REPLIES: Final = """
[message]
receiving_application = "{application}"
receiving_facility = "{facility}"
version = "2.5.1"
[replies]
applications = ["{application}"]
facilities = ["{facility}"]
received = "ack"
confirms = false
appointments = true
notes = true
"""
_FAX: Final = """
kind = "fax"
gateway = "rightfax"
number = "+12175550142"
cover = "referral-cover"
attach = ["order", "demographics", "insurance", "notes"]
pages_max = 25
retry = { first = "1 second", longest = "2 seconds", give_up_after = "4 hours" }
[replies]
received = "fax report"
confirms = false
appointments = false
notes = true
"""


def free_port(chance: Chance) -> int:
    """A loopback port nobody listens on, and that no outgoing connection is given.  Raises OSError when none is."""
    for _ in range(TRIES_MAX):
        port = chance.randrange(*PORTS)
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise OSError("no free port")


def lay_out(root: Path, *, listener: int, ports: Mapping[str, int], journal: str = "") -> Path:
    """Write the files of a site with three offices and an EHR; the engine's own file.

    ports: of "ehr", "heart" and "imaging". journal: more lines of [journal].
    """
    engine = _ENGINE.format(listener=listener, ehr=ports["ehr"], retry=_RETRY, spool=SPOOL, journal=journal)
    files = {"conf/engine.toml": engine, "conf/feeds/ehr.toml": _EHR, "conf/preauth.toml": ""}
    for name, npi, specialty, application, facility in (
        ("heart", "1234567893", "cardiology", "CENTRICITY", "HEARTGRP"),
        ("imaging", "1666666668", "imaging", "RIS", "NORTHSIDE"),
    ):
        wire = f'kind = "mllp"\nhost = "127.0.0.1"\nport = {ports[name]}\n{_RETRY}'
        text = _OFFICE.format(name=name, npi=npi, specialty=specialty, transport=wire)
        files[f"channels/{name}.toml"] = text + _REPLIES.format(application=application, facility=facility)
    files["channels/lakeside.toml"] = _OFFICE.format(
        name="lakeside", npi="1987654328", specialty="orthopaedics", transport=_FAX
    )
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root / "conf" / "engine.toml"
