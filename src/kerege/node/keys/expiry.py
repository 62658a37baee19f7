"""When what the node depends on ends: certificates, OCSP answers, the configuration, permits and rights, with what to do about each.

One list for everybody who asks: the command `expiry`, health, and a calendar file (RFC 5545) for people who plan. Answers and
the configuration are renewed by themselves within minutes and hours; they are in the list, where they tell of trouble, and not in the
calendar file, where they would be over before anybody read it. Pure but for `kept`, which reads what the node keeps on disk.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509

from kerege.exchange import certs, ocsp
from kerege.exchange.errors import ExchangeError, RevocationUnknown
from kerege.exchange.ids import SubsystemId
from kerege.exchange.trust import Trust
from kerege.ground.clock import BISHKEK, iso, require_utc
from kerege.node.conf.picture import Picture
from kerege.node.config_types import KeySource, NodeConfig
from kerege.node.keys.pairs import NodeKeys

OK, SOON, EXPIRED = "ok", "soon", "expired"
CERTIFICATE, ANSWER, CONFIGURATION, PERMIT, RIGHT = "certificate", "ocsp answer", "configuration", "permit", "right"
_SOON: Final = {CERTIFICATE: timedelta(days=30), PERMIT: timedelta(days=14), RIGHT: timedelta(days=14)}
_SHORT_LIVED: Final = frozenset({ANSWER, CONFIGURATION})
_UNKNOWN_LIFE: Final = timedelta(minutes=10)
_GENERATION: Final = re.compile(r"\d{14}")

Until = Callable[[x509.Certificate], datetime | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that ends. `what` and `where` say which; `do` says what to do about it; `days_left` is negative afterwards."""

    kind: str
    what: str
    where: str
    expires: datetime
    days_left: int
    state: str
    do: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "what": self.what,
            "where": self.where,
            "expires": iso(self.expires),
            "days_left": self.days_left,
            "state": self.state,
            "do": self.do,
        }


def entry(kind: str, what: str, where: str, expires: datetime, soon: timedelta, do: str, now: datetime) -> Entry:
    """An entry with its state at `now`: it ends after its last second."""
    left = expires - require_utc(now)
    state = EXPIRED if left < timedelta(0) else SOON if left < soon else OK
    return Entry(kind, what, where, expires, left // timedelta(days=1), state, do)


def calendar(
    config: NodeConfig,
    keys: NodeKeys,
    picture: Picture | None,
    answer_until: Until,
    now: datetime,
    others: Iterable[tuple[str, x509.Certificate, str]] = (),
) -> list[Entry]:
    """Everything the node depends on, what ends first coming first.

    answer_until   until when the OCSP answer kept about one of the node's own certificates is good, None when there is none
    others         further certificates, each as (what it is, itself, what to do): internal, of information systems, waiting
    """
    out = _own(config, keys, picture, answer_until, now)
    out += [_certificate(what, "", one, do, now) for what, one, do in others]
    if picture is not None:
        out += _of_configuration(picture, now)
        out += _of_rules(picture, frozenset(config.clients), now)
    return sorted(out, key=lambda one: (one.expires, one.what))


def _certificate(what: str, where: str, certificate: x509.Certificate, do: str, now: datetime) -> Entry:
    return entry(CERTIFICATE, what, where, certificate.not_valid_after_utc, _SOON[CERTIFICATE], do, now)


def _where(source: KeySource) -> str:
    return str(source.pkcs12 or source.certificate or "")


def _own(
    config: NodeConfig, keys: NodeKeys, picture: Picture | None, answer_until: Until, now: datetime
) -> list[Entry]:
    renew = "Order a new one (kerege node order, or by hand), have it registered, put it where keys.auth says."
    named = [("authentication certificate", _where(config.auth), keys.auth.certificate, renew)]
    for member, signer in sorted(keys.signers.items()):
        source = config.sign.get(member)
        do = "Order a new one (kerege node order, or by hand) and put it where keys.sign says."
        named.append((f"signing certificate of {member}", _where(source) if source else "", signer.certificate, do))
    out = []
    for what, where, certificate, do in named:
        out.append(_certificate(what, where, certificate, do, now))
        if picture is None:
            continue
        do = "See that the responders of its authority answer; it is fetched again by itself."
        said = keys.revoked_since(certificate)
        if said:
            what, do = f"{what} ({said.removeprefix('the certificate is ')})", renew
        until, soon = answer_until(certificate), picture.trust.freshness / 4
        # one that is not there is as good as one that ended now
        expires = until if until is not None else now - timedelta(seconds=1)
        out.append(entry(ANSWER, f"OCSP answer about the {what}", str(config.state / "ocsp"), expires, soon, do, now))
    return out


def _of_configuration(picture: Picture, now: datetime) -> list[Entry]:
    instance, directory = picture.shared.instance, picture.directory
    made = _GENERATION.match(directory.generation)
    life = _UNKNOWN_LIFE
    if made is not None:
        life = max(directory.expires - datetime.strptime(made[0], "%Y%m%d%H%M%S").replace(tzinfo=UTC), timedelta(0))
    do = "See that the configuration's source answers; it is fetched again by itself. When it ends, traffic stops."
    out = [entry(CONFIGURATION, f"global configuration of {instance}", "", directory.expires, life / 4, do, now)]
    for partner, fetched in sorted(picture.partners.items()):
        what = f"global configuration of the partner {partner}"
        out.append(entry(CONFIGURATION, what, "", fetched.directory.expires, _UNKNOWN_LIFE / 4, do, now))
    tell = "Ask the operator of the central services: its successor must be in the global configuration before."
    for authority in picture.shared.authorities:
        for one in (authority.top, *authority.intermediates):
            name = f"authority {authority.name} ({certs.subject(one.certificate)})"
            out.append(_certificate(name, "global configuration", one.certificate, tell, now))
            for responder in one.responders:
                if responder.certificate is not None:
                    name = f"OCSP responder {responder.url}"
                    out.append(_certificate(name, "global configuration", responder.certificate, tell, now))
    for stamps in picture.shared.timestamping:
        name = f"time-stamping authority {stamps.name}"
        out.append(_certificate(name, "global configuration", stamps.certificate, tell, now))
    return out


def _of_rules(picture: Picture, clients: frozenset[SubsystemId], now: datetime) -> list[Entry]:
    out = []
    latest = {(permit.client, permit.public_service): permit for permit in picture.rules.permits}
    for permit in latest.values():
        if permit.client in clients and permit.state == "open":
            what = f"permit {permit.id} of {permit.client} for {permit.public_service}"
            do = "Have the public service's gate assessed again; a passed gate gives a new permit."
            out.append(entry(PERMIT, what, "rules", permit.valid_until, _SOON[PERMIT], do, now))
    offering = frozenset(client.client for client in clients)
    for right in picture.rules.rights:
        if right.valid_until is not None and (right.holder in clients or right.service.provider_client in offering):
            what = f"right {right.id} of {right.holder} to call {right.service}"
            do = "Have the data service's owner renew the right."
            out.append(entry(RIGHT, what, "rules", right.valid_until, _SOON[RIGHT], do, now))
    return out


# --- what is kept on disk ---


def kept_revocations(config: NodeConfig, keys: NodeKeys, trust: Trust, now: datetime) -> None:
    """Tell `keys` which of its certificates the answers kept on disk call revoked; each answer is verified anew."""
    named = [
        (keys.auth.certificate, "authentication"),
        *((one.certificate, "signing") for one in keys.signers.values()),
    ]
    for certificate, role in named:
        place = config.state / "ocsp" / f"{certs.der_sha256(certificate)}.revoked"
        try:
            trust.check_own_ocsp(certificate, role, place.read_bytes(), now)
        except RevocationUnknown as refused:
            if ocsp.is_revoked(refused):
                keys.revoked[certs.der(certificate)] = str(refused.params["reason"])
        except (OSError, ExchangeError):
            continue


def kept_until(config: NodeConfig, trust: Trust) -> Until:
    """Until when the answers kept on disk are good, for tools beside the running node. What cannot be read counts as none."""

    def until(certificate: x509.Certificate) -> datetime | None:
        place = config.state / "ocsp" / f"{certs.der_sha256(certificate)}.der"
        try:
            answer = place.read_bytes()
            ends = ocsp.this_update(answer) + trust.freshness
        except (OSError, RevocationUnknown):
            return None
        replaced = ocsp.next_update(answer)
        return ends if replaced is None else min(ends, replaced)

    return until


# --- for people ---


def local(moment: datetime) -> str:
    return moment.astimezone(BISHKEK).strftime("%Y-%m-%d %H:%M%z")


def table(entries: Sequence[Entry]) -> str:
    """One line each, what to do below those that need it."""
    lines = []
    for one in entries:
        left = f"{one.days_left} d" if one.days_left >= 1 else "today" if one.state != EXPIRED else "over"
        lines.append(
            f"{one.state:<8} {local(one.expires)}  {left:>7}  {one.what}" + (f"  [{one.where}]" if one.where else "")
        )
        if one.state != OK:
            lines.append(f"{'':8} {one.do}")
    return "\n".join(lines)


def ics(entries: Sequence[Entry], server: str, now: datetime) -> str:
    """A calendar file: what does not renew itself, each with a reminder two weeks before (RFC 5545)."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Kerege//Expiry calendar//EN", "CALSCALE:GREGORIAN"]
    for one in entries:
        if one.kind in _SHORT_LIVED:
            continue
        name = hashlib.sha256("\n".join((server, one.kind, one.what, iso(one.expires))).encode()).hexdigest()[:32]
        where = f"\n{one.where}" if one.where else ""
        lines += [
            "BEGIN:VEVENT",
            f"UID:{name}@kerege",
            f"DTSTAMP:{_stamp(now)}",
            f"DTSTART:{_stamp(one.expires)}",
            f"SUMMARY:{_escape(f'Ends: {one.what}')}",
            f"DESCRIPTION:{_escape(f'{server}{where}{chr(10)}{one.do}')}",
            "BEGIN:VALARM",
            "ACTION:DISPLAY",
            "TRIGGER:-P14D",
            f"DESCRIPTION:{_escape(f'Ends in two weeks: {one.what}')}",
            "END:VALARM",
            "END:VEVENT",
        ]
    lines.append("END:VCALENDAR")
    return "".join(_fold(line) for line in lines)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _escape(text: str) -> str:
    text = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\r\n", "\n").replace("\n", "\\n")
    return "".join(c for c in text if c.isprintable())


def _fold(line: str) -> str:
    """At most 75 octets a line, no character cut in two; lines that follow begin with a space."""
    out, current = [], b""
    for character in line:
        encoded = character.encode()
        if len(current) + len(encoded) > 75:
            out.append(current)
            current = b" "
        current += encoded
    return b"\r\n".join([*out, current]).decode() + "\r\n"


def summary(entries: Sequence[Entry]) -> Mapping[str, Any]:
    """For health: how many of each state, and those that need somebody."""
    return {
        **{state: sum(one.state == state for one in entries) for state in (OK, SOON, EXPIRED)},
        "entries": [one.as_dict() for one in entries if one.state != OK],
    }
