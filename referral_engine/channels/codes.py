"""Every code of `check` and what it means, one paragraph each; a code never changes its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CODES: Final[Mapping[str, str]] = {
    # --- cannot be read
    "CH001": "The file is not TOML at this place. Texts, codes and times stand in quotes; numbers and dates do not.",
    "CH002": "A key or a table is written twice. TOML would have to guess which one counts, so it refuses.",
    "CH003": "The file is larger, or nested deeper, than a channel file can be. It is probably not one.",
    "CH004": "The file is neither conf/engine.toml nor conf/preauth.toml, nor a feed, a partner or a channel.",
    "CH005": "There is one conf/engine.toml and one conf/preauth.toml; a second one would compete with it.",
    # --- shape
    "CH101": "Nobody reads this key. A misspelt key would otherwise be ignored in silence.",
    "CH102": "A key that has no sensible default is missing.",
    "CH103": "The value is of the wrong kind: a number where text is meant, text where a table is meant.",
    "CH104": "The value is one of a few words, and this is none of them.",
    "CH105": 'A test in a matcher is text, a list, { starts_with = "..." }, { present = true } or { absent = true }.',
    # --- one value
    "CH201": "An NPI has ten digits, of which the last follows from the others (Luhn over 80840 and the first nine).",
    "CH202": 'This names no place in a message. A place is segment, field, component: "OBR-4.1".',
    "CH203": "A place in a message stands in quotes, because an unquoted dot makes a table in TOML.",
    "CH204": "Matchers read only what says nothing about a person, because their values are printed by `route`.",
    "CH205": "A length of time is a number and a unit: seconds, minutes, hours, days, business hours or business days.",
    "CH206": "The number is outside what can work.",
    "CH207": "A telephone number is written with its country: a plus sign, then only digits.",
    "CH208": 'Hours are written as "08:00-17:00"; the spans of one day follow each other.',
    "CH209": 'A time zone is written with its full name, as in "America/Chicago", so that summer time is known.',
    "CH210": "This is not a host name, an IP address or a safe web address.",
    "CH211": "Certificates, keys and passwords are files in the credentials directory; only their names stand here.",
    "CH212": "A name is made of small letters, digits and hyphens; an instance's of capital letters and digits.",
    "CH213": 'This is not a version ("2.5.1") or a message type ("ORM^O01") of HL7 v2.',
    "CH214": "The value is empty, so the line can mean nothing, or everything.",
    "CH215": "Times in a [[test]] are the clinic's wall time and carry no zone.",
    "CH216": "The character set is not one that can be read.",
    "CH217": "A trailer is the two control characters that end a frame: FS (1C) and one more, usually CR (0D).",
    "CH218": "A certificate's name is its kind and the name itself, whole: DNS:, URI:, IP: or CN:. No wildcards.",
    "CH219": "A size on a disk is a number and a unit: bytes, KiB, MiB, GiB or TiB.",
    # --- values disagree in one file
    "CH301": "A channel, a feed or a partner has the same name as its file, so that one leads to the other.",
    "CH302": "Billing would be told before the desk was reminded once.",
    "CH303": 'Nothing can release the hold: name "staff", or a field that carries an authorization number.',
    "CH304": "[hold] asks for something that [match] excludes, so the hold never applies.",
    "CH305": "Two lengths of time, or two limits, are in the wrong order.",
    "CH306": "The segment is one without which nobody can read the order.",
    "CH307": "[replies] expects an answer that cannot arrive this way.",
    "CH308": "The second way out is the same as the first, so it fails with it.",
    "CH309": "Client certificates can only be checked against a certificate authority.",
    "CH310": "Two listeners have one name, or want one port.",
    "CH311": "The steps of a test go forward in time.",
    "CH312": "Two tests of a channel have one name, so a failure could be either.",
    "CH313": "A step does one thing: receive a message (with changes), or play a reply.",
    "CH314": "Two pre-authorization rules fit one referral and neither is narrower: which one counts would be chance.",
    "CH315": "A test receives a sample that is not in sample_messages/.",
    "CH316": "MLLP without TLS needs a permission with a reason and a last day, unless both ends are this machine.",
    "CH317": "The permission to speak MLLP without TLS is over. The engine does not start with it.",
    "CH318": "A feed has one partner: either it brings a table [partner], or it names one of conf/partners.",
    # --- files disagree
    "CH401": "Two enabled channels can take the same order. Exactly one may, because file order never decides.",
    "CH402": "The calendar is not defined in conf/engine.toml.",
    "CH403": "The gateway is not defined in conf/engine.toml.",
    "CH405": "Two files have one name.",
    "CH406": "The queue is not among those of [queues] in conf/engine.toml, so nobody looks at it.",
    "CH407": "One message header could come from two parties, so the sender would be a guess.",
    "CH408": "The pilot names a channel that does not exist.",
    "CH409": "No file in conf/partners and no feed defines this partner.",
    "CH410": "A message has to satisfy the feed and its partner, and these two exclude each other.",
    "CH411": "The partner has to show a certificate, and no listener it may use asks for one.",
    "CH412": "Every [listener] is for certain partners, and this sender is none of them: it would always be refused.",
    # --- warnings
    "CHW01": "The channel has no [[test]]. One order and its answer show that [match] means what was meant.",
    "CHW03": "Any sender at all may speak for this party.",
    "CHW04": "No feed's [specialties] leads to this specialty, so duplicates and pre-authorization cannot find it.",
    "CHW05": "A permission to speak MLLP without TLS ends within 30 days; then the engine does not start.",
    "CHW06": "The partner restricts nobody, because no feed, channel or listener means it.",
}
