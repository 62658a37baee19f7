"""Checking: whatever text comes in, a verdict comes out. Works offline with a trust list and status lists at hand.

States
- valid     signed by a trusted issuer for this type, unchanged, in its dates, and a fresh status list says it is not revoked
- revoked   all that, but its issuer has revoked it
- unknown   all that, but whether it is revoked could not be established; never to be taken for valid
- refused   anything else; then nothing the text claims is passed on, as nobody stands behind it
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from kerege.credentials import jws, paper, sdjwt
from kerege.credentials.errors import CredentialRefused
from kerege.credentials.reasons import REASONS
from kerege.credentials.status import StatusSource, check_status, read_ref
from kerege.credentials.trust import TrustedIssuer, TrustList
from kerege.ground.clock import iso, require_utc
from kerege.ground.text import Text

DOCUMENT_MAX: Final = 262_144  # characters; an SD-JWT VC with its chain has some thousand
State = Literal["valid", "revoked", "unknown", "refused"]
_SD_JWT: Final = re.compile(r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*~")
_JWT: Final = re.compile(r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*$")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known about a document. `status_at` is when the issuer signed the status list that was used."""

    state: State
    reasons: tuple[str, ...] = ()
    format: Literal["sd-jwt-vc", "paper"] | None = None
    type: str | None = None
    issuer: str | None = None
    issuer_name: Text | None = None
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    status_at: datetime | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert all(code in REASONS for code in self.reasons), self.reasons

    @property
    def texts(self) -> tuple[Text, ...]:
        """The reasons in three languages."""
        return tuple(REASONS[code] for code in self.reasons)

    def as_dict(self) -> dict[str, Any]:
        """For JSON answers."""
        dates = {"issued_at": self.issued_at, "expires_at": self.expires_at, "status_at": self.status_at}
        return {
            "state": self.state,
            "reasons": list(self.reasons),
            "format": self.format,
            "type": self.type,
            "issuer": self.issuer,
            "issuer_name": None if self.issuer_name is None else self.issuer_name.as_dict(),
            **{name: None if at is None else iso(at) for name, at in dates.items()},
            "claims": dict(self.claims),
        }


def verify(
    document: str | bytes,
    trust: TrustList,
    status_source: StatusSource | None,
    now: datetime,
    *,
    audience: str | None = None,
    nonce: str | None = None,
) -> Verdict:
    """Check a document: the text of a QR code, or an SD-JWT VC; as text or as the bytes of a file. Never raises on bad input.

    status_source    gives the status list published at a URI; None when there is none at hand
    audience, nonce  when given, the holder must prove possession to this audience with this nonce; when not given, a document
                     that carries such a proof is refused, as it was shown to someone else
    """
    require_utc(now)
    if len(document) > DOCUMENT_MAX:
        return Verdict("refused", ("credentials.too_large",))
    try:
        text = (document if isinstance(document, str) else document.decode("utf-8")).strip()
    except UnicodeDecodeError:
        return Verdict("refused", ("credentials.format_unknown",))
    try:
        if text.startswith(paper.PREFIX):
            return _verify_paper(text, trust, status_source, now, wants_proof=audience is not None)
        if _SD_JWT.match(text) or _JWT.match(text):
            return _verify_sd_jwt(text, trust, status_source, now, audience, nonce)
    except CredentialRefused as refused:
        return Verdict("refused", (refused.reason,))
    return Verdict("refused", ("credentials.format_unknown",))


def _verify_paper(
    text: str, trust: TrustList, source: StatusSource | None, now: datetime, wants_proof: bool
) -> Verdict:
    payload, issuer = paper.open_paper(text, trust, now)
    if wants_proof:  # paper cannot prove who holds it
        raise CredentialRefused("credentials.holder_proof_missing")
    type_, claims = payload.get("type"), payload.get("claims")
    if not isinstance(claims, dict) or not _is_plain(claims):
        raise CredentialRefused("credentials.malformed")
    dates = {"exp": payload.get(paper.EXP), "iat": payload.get(paper.IAT)}
    return _judge("paper", type_, issuer, dates, claims, payload.get(paper.STATUS), (trust, source, now))


def _is_plain(value: object) -> bool:
    """Whether `value` is what JSON can say too; CBOR could bring dates, fractions, byte strings."""
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_plain(item) for name, item in value.items())
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, str | int)


def _verify_sd_jwt(
    text: str, trust: TrustList, source: StatusSource | None, now: datetime, audience: str | None, nonce: str | None
) -> Verdict:
    if "~" not in text:  # a bare JWT: say what it is wrong for (algorithm, type) before that it is not an SD-JWT
        jws.header_of(text, sdjwt.TYP)
    parts = sdjwt.split(text)
    payload, issuer = jws.open_issued(parts.jwt, sdjwt.TYP, trust, now)
    revealed = sdjwt.reveal(payload, parts.disclosures)
    if audience is not None:
        sdjwt.check_key_binding(parts, payload, audience, nonce or "", now)
    elif parts.key_binding is not None:
        raise CredentialRefused("credentials.holder_proof_unexpected")
    claims = {name: value for name, value in revealed.items() if name not in sdjwt.REGISTERED}
    dates = {name: payload.get(name) for name in ("exp", "nbf", "iat")}
    return _judge("sd-jwt-vc", payload.get("vct"), issuer, dates, claims, payload.get("status"), (trust, source, now))


def _judge(
    format_: Literal["sd-jwt-vc", "paper"],
    type_: object,
    issuer: TrustedIssuer,
    dates: Mapping[str, object],
    claims: Mapping[str, Any],
    status: object,
    surroundings: tuple[TrustList, StatusSource | None, datetime],
) -> Verdict:
    """The verdict on a document whose signature holds: may this issuer issue it, its dates, its status."""
    trust, source, now = surroundings
    if not isinstance(type_, str):
        raise CredentialRefused("credentials.malformed")
    if not issuer.may_issue(type_):
        raise CredentialRefused("credentials.issuer_not_allowed")
    seconds = {name: jws.whole_seconds(value) for name, value in dates.items()}
    exp, iat = seconds["exp"], seconds["iat"]
    if exp is None or iat is None:
        raise CredentialRefused("credentials.malformed")
    ref = read_ref(status)
    facts: dict[str, Any] = {
        "format": format_,
        "type": type_,
        "issuer": issuer.id,
        "issuer_name": issuer.name,
        "issued_at": datetime.fromtimestamp(iat, UTC),
        "expires_at": datetime.fromtimestamp(exp, UTC),
    }
    if now.timestamp() >= exp:  # whose document it was and since when stays known; what it said does not count any more
        return Verdict("refused", ("credentials.expired",), **facts)
    if max(iat, seconds.get("nbf") or 0) > (now + jws.SKEW).timestamp():
        return Verdict("refused", ("credentials.not_yet_valid",), **facts)
    if ref is None:
        return Verdict("valid", ("credentials.no_status",), **facts, claims=claims)
    found = check_status(ref, issuer.id, source, trust, now)
    reasons = () if found.reason is None else (found.reason,)
    shown = claims if found.state != "refused" else {}
    return Verdict(found.state, reasons, **facts, status_at=found.checked_at, claims=shown)
