"""Signed JSON (JWS compact, ES256 only) with the issuer's certificate chain in its header.

joserfc does the signature; this module decides what is signed and what is trusted. Its default limit of 512 bytes for a header
is raised, because a chain does not fit into it, and that of the payload, for large status lists.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from kerege.credentials import chain
from kerege.credentials.errors import CredentialRefused
from kerege.credentials.trust import TrustedIssuer, TrustList

TOKEN_MAX: Final = 8_000_000
SKEW: Final = timedelta(minutes=5)  # how far clocks of issuer and verifier may differ


class _Registry(jws.JWSRegistry):
    max_header_length = 16_384
    max_payload_length = TOKEN_MAX


_REGISTRY: Final = _Registry(algorithms=["ES256"], strict_check_header=False)


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def un_b64url(text: str) -> bytes:
    """Base64url without padding; refused when anything else is in it."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise CredentialRefused("credentials.malformed") from None
    if b64url(raw) != text:  # padding, or bits beyond the last byte: two texts for one value
        raise CredentialRefused("credentials.malformed")
    return raw


def strict_json(raw: bytes | str) -> Any:
    """JSON in which no object has a name twice: of two values a signer and a reader may see different ones."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name stands twice")
        return found

    try:
        return json.loads(raw, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise CredentialRefused("credentials.malformed") from None


def sign(typ: str, payload: Mapping[str, Any], key: ec.EllipticCurvePrivateKey, header: Mapping[str, Any]) -> str:
    """The compact JWS of `payload` under `key`, with `typ` and the members of `header`."""
    protected = {"alg": "ES256", "typ": typ, **header}
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return jws.serialize_compact(protected, body, ECKey.import_key(key), registry=_REGISTRY)


def header_of(token: str, typ: str) -> dict[str, Any]:
    """The header, of which only algorithm and type are checked yet."""
    if len(token) > TOKEN_MAX:
        raise CredentialRefused("credentials.too_large")
    if token.count(".") != 2:
        raise CredentialRefused("credentials.malformed")
    header = strict_json(un_b64url(token.split(".", 1)[0]))
    if not isinstance(header, dict):
        raise CredentialRefused("credentials.malformed")
    if header.get("alg") != "ES256":
        raise CredentialRefused("credentials.alg_refused")
    if header.get("typ") != typ:
        raise CredentialRefused("credentials.type_mismatch")
    return header


def check_signature(token: str, key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    """The payload, once its signature by `key` holds."""
    try:
        found = jws.deserialize_compact(token, ECKey.import_key(key), registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, KeyError):
        raise CredentialRefused("credentials.signature_false") from None
    payload = strict_json(found.payload)
    if not isinstance(payload, dict):
        raise CredentialRefused("credentials.malformed")
    return payload


def open_issued(token: str, typ: str, trust: TrustList, now: datetime) -> tuple[dict[str, Any], TrustedIssuer]:
    """The payload of a token an issuer on the trust list signed, and that issuer.

    Order matters for what a reader is told: algorithm and type, then the signature under the chain's own key, and only then
    whether that chain is one to trust; a changed document reads as changed, not as one of an unknown issuer.
    """
    certificates = chain.read_x5c(header_of(token, typ).get("x5c"))
    payload = check_signature(token, chain.public_key(certificates[0]))
    issuer = trust.issuer(str(payload.get("iss")))
    if issuer is None:
        raise CredentialRefused("credentials.issuer_unknown")
    if not chain.speaks_for(certificates[0], issuer.id):
        raise CredentialRefused("credentials.certificate_refused")
    chain.check_chain(certificates, issuer.anchors, now)
    return payload, issuer


def whole_seconds(value: object) -> int | None:
    """A NumericDate in whole seconds, or None when there is none; anything else is refused."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 40:
        raise CredentialRefused("credentials.malformed")
    return value
