"""Paper: a compact signed document in a QR code, checked offline.

    claims -> CBOR (CWT, RFC 8392) -> COSE_Sign1 ES256 (RFC 9052) -> zlib -> base45 (RFC 9285) -> "KRG1:" + text -> QR

Claims: 1 issuer, 4 expiry, 6 issued at, 65535 status reference, "type", and "claims" with the document's own, named ones. The
protected header has the algorithm, the key's eight-byte name and the type `application/kerege-paper+cwt`, so that no other COSE
message of the same key passes for a document. The key itself is on the trust list: a chain would not fit.

Rules
- What a passer-by may read off a sheet is the least there can be: no personal number, no address.
- One way to write a document: every part must be canonical CBOR, or it is refused; `cbor` looks it over before reading it.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import base45
import cbor2
import segno
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from kerege.credentials import cbor, chain
from kerege.credentials.errors import ClaimRefused, CredentialRefused, PaperTooLarge
from kerege.credentials.status import inflate
from kerege.credentials.trust import TrustedIssuer, TrustList

PREFIX: Final = "KRG1:"
TYP: Final = "application/kerege-paper+cwt"
ISS, EXP, IAT, STATUS = 1, 4, 6, 65535
_ALG, _KID, _TYP, _ES256 = 1, 4, 16, -7
_SIGN1, _CWT = 18, 61
_TEXT_MAX: Final = 1088  # QR version 20-M in alphanumeric mode is 970; 21-M 1035; 22-M 1134
_QR_MAX: Final = 4_296  # what the largest QR code there is holds in alphanumeric mode: nothing longer was scanned
_NEVER_ON_PAPER: Final = re.compile(r"(^|_)(pin|inn|passport|address|street|house|flat|phone|email|soate)($|_)")
_PERSONAL_NUMBER: Final = re.compile(r"(?<!\d)\d{14}(?!\d)")
_MOST_SIGNINGS: Final = 200  # about three in four codes survive copying at once; none in two hundred does not happen


@dataclass(frozen=True, slots=True)
class PaperCredential:
    """The text of a paper credential and its pictures."""

    text: str

    def _code(self) -> segno.QRCode:
        return segno.make_qr(self.text, error="m", boost_error=False)

    @property
    def version(self) -> int:
        """The QR version, 1 to 40: how fine the print must be."""
        return int(self._code().version)

    def svg(self, scale: int = 4, title: str | None = None) -> str:
        """The QR as an SVG element, for a page or a print."""
        out = io.BytesIO()
        self._code().save(out, kind="svg", scale=scale, xmldecl=False, title=title, light="#fff", omitsize=False)
        return out.getvalue().decode()

    def png(self, scale: int = 6) -> bytes:
        """The QR as a PNG picture."""
        out = io.BytesIO()
        self._code().save(out, kind="png", scale=scale)
        return out.getvalue()


def seal(payload: Mapping[Any, Any], key: ec.EllipticCurvePrivateKey, key_id: bytes) -> PaperCredential:
    """Sign `payload` and write it as paper text."""
    protected = cbor2.dumps({_ALG: _ES256, _KID: key_id, _TYP: TYP}, canonical=True)
    body = cbor2.dumps(dict(payload), canonical=True)
    for _ in range(_MOST_SIGNINGS):
        r, s = decode_dss_signature(key.sign(_to_sign(protected, body), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        message = cbor2.CBORTag(_CWT, cbor2.CBORTag(_SIGN1, [protected, {}, body, signature]))
        text = PREFIX + base45.b45encode(zlib.compress(cbor2.dumps(message), 9)).decode()
        if _survives_copying(text):
            break
    if len(text) > _TEXT_MAX:
        raise PaperTooLarge(length=len(text), limit=_TEXT_MAX)
    return PaperCredential(text)


def _survives_copying(text: str) -> bool:
    """Base45 has the space in its alphabet; a page, a form or a mail keeps neither two in a row nor one at the end."""
    return "  " not in text and not text.endswith(" ")


def open_paper(text: str, trust: TrustList, now: datetime) -> tuple[dict[Any, Any], TrustedIssuer]:
    """The payload of a paper credential an issuer on the trust list signed, and that issuer."""
    protected, body, signature = _unwrap(text)
    header = _canonical_map(protected)
    if header.get(_ALG) != _ES256:
        raise CredentialRefused("credentials.alg_refused")
    if header.get(_TYP) != TYP:
        raise CredentialRefused("credentials.type_mismatch")
    key_id = header.get(_KID)
    if set(header) != {_ALG, _KID, _TYP} or not isinstance(key_id, bytes):
        raise CredentialRefused("credentials.malformed")
    found = trust.by_key(key_id)
    if found is None:
        raise CredentialRefused("credentials.issuer_unknown")
    issuer, certificates = found
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        chain.public_key(certificates[0]).verify(
            encode_dss_signature(r, s), _to_sign(protected, body), ec.ECDSA(hashes.SHA256())
        )
    except (InvalidSignature, ValueError):
        raise CredentialRefused("credentials.signature_false") from None
    payload = _canonical_map(body)
    if payload.get(ISS) != issuer.id:
        raise CredentialRefused("credentials.issuer_unknown")
    chain.check_chain(certificates, issuer.anchors, now)
    return payload, issuer


def check_minimal(claims: Mapping[str, Any]) -> None:
    """Raise ClaimRefused when a claim says more than paper should: personal numbers, addresses, contacts."""

    def look(node: Any, path: str) -> None:
        if isinstance(node, Mapping):
            for name, value in node.items():
                if not isinstance(name, str) or _NEVER_ON_PAPER.search(name.lower()):
                    raise ClaimRefused(claim=f"{path}{name}", reason="it does not belong on paper")
                look(value, f"{path}{name}.")
        elif isinstance(node, list | tuple):
            for item in node:
                look(item, path)
        elif isinstance(node, float) or not isinstance(node, str | int | bool | None):
            raise ClaimRefused(claim=path.rstrip("."), reason="only text, whole numbers, yes/no, lists and objects")
        elif isinstance(node, str | int) and _PERSONAL_NUMBER.search(str(node)):
            raise ClaimRefused(claim=path.rstrip("."), reason="it holds a 14-digit number, which may be a personal one")

    look(claims, "")


def _unwrap(text: str) -> tuple[bytes, bytes, bytes]:
    """(protected header, payload, signature) of the COSE_Sign1 in `text`."""
    if not text.startswith(PREFIX):
        raise CredentialRefused("credentials.format_unknown")
    if len(text) > _QR_MAX:
        raise CredentialRefused("credentials.too_large")
    try:
        packed = base45.b45decode(text.removeprefix(PREFIX))
    except (ValueError, UnicodeError):
        raise CredentialRefused("credentials.malformed") from None
    row = cbor.read(inflate(packed, cbor.SIZE_MAX), (_CWT, _SIGN1)).value.value
    if not isinstance(row, list | tuple) or len(row) != 4 or row[1] != {}:
        raise CredentialRefused("credentials.malformed")
    protected, _, body, signature = row
    if not all(isinstance(item, bytes) for item in (protected, body, signature)) or len(signature) != 64:
        raise CredentialRefused("credentials.malformed")
    return protected, body, signature


def _to_sign(protected: bytes, body: bytes) -> bytes:
    """The Sig_structure of RFC 9052, 4.4."""
    return cbor2.dumps(["Signature1", protected, b"", body])


def _canonical_map(raw: bytes) -> dict[Any, Any]:
    found = cbor.read(raw)
    if not isinstance(found, dict):
        raise CredentialRefused("credentials.malformed")
    return found
