"""Every code of `check` and what it means, one paragraph each; a code never changes its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CODES: Final[Mapping[str, str]] = {
    # --- cannot be read
    "CH001": "The file is not TOML at this place. Texts, codes and times stand in quotes; numbers and dates do not.",
    "CH002": "A key or a table is written twice. TOML would have to guess which one counts, so it refuses.",
    "CH003": "The file is larger, or nested deeper, than a channel file can be. It is probably not one.",
    "CH004": "The file is none of conf/engine.toml, conf/preauth.toml, conf/feeds/NAME.toml and channels/NAME.toml.",
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
    # --- values disagree in one file
    "CH301": "A channel or a feed has the same name as its file, so that one leads to the other.",
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
    # --- files disagree
    "CH401": "Two enabled channels can take the same order. Exactly one may, because file order never decides.",
    "CH402": "The calendar is not defined in conf/engine.toml.",
    "CH403": "The gateway is not defined in conf/engine.toml.",
    "CH405": "Two files have one name.",
    "CH406": "The queue is not among those of [queues] in conf/engine.toml, so nobody looks at it.",
    "CH407": "One message header could come from two parties, so the sender would be a guess.",
    "CH408": "The pilot names a channel that does not exist.",
    # --- warnings
    "CHW01": "The channel has no [[test]]. One order and its answer show that [match] means what was meant.",
    "CHW02": "Patients' names would cross a network without encryption.",
    "CHW03": "Any sender at all may speak for this party.",
    "CHW04": "No feed's [specialties] leads to this specialty, so duplicates and pre-authorization cannot find it.",
}
