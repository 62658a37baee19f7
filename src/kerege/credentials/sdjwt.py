"""SD-JWT (RFC 9901) and SD-JWT VC (draft-ietf-oauth-sd-jwt-vc): a signed document of which the holder shows only what is asked.

Issuing replaces a claim by the digest of a disclosure `[salt, name, value]`; showing hands over some of the disclosures; checking puts
them back (RFC 9901, 7.1) and, when the holder proves possession, checks the key binding token (7.3).

    <issuer-signed JWT>~<disclosure>~<disclosure>~                 as issued, or shown without proof
    <issuer-signed JWT>~<disclosure>~<key binding JWT>             shown to one verifier

Left out on purpose: type metadata fetched from the network, JSON serialization, other hashes than SHA-256.
Signatures and trust are `credentials.jws`'.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from kerege.credentials.errors import ClaimRefused, CredentialRefused
from kerege.credentials.jws import SKEW, b64url, check_signature, header_of, sign, strict_json, un_b64url, whole_seconds
from kerege.ground.clock import require_utc

TYP: Final = "dc+sd-jwt"
KB_TYP: Final = "kb+jwt"
REGISTERED: Final = frozenset({"iss", "nbf", "exp", "iat", "cnf", "vct", "vct#integrity", "status", "_sd_alg"})
_RESERVED: Final = frozenset({"_sd", "..."})
_DEPTH_MAX: Final = 32
_DISCLOSURES_MAX: Final = 500
_KB_AGE: Final = 600  # seconds a holder's proof may be old

Path = str | tuple[str | int, ...]
"""Which claim may be withheld: a top-level name, or the way to a nested one: ("address", "street"), ("schools", 0)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """An SD-JWT taken apart."""

    jwt: str
    disclosures: tuple[str, ...]
    key_binding: str | None

    @property
    def bound(self) -> str:
        """The text a key binding token's `sd_hash` is about."""
        return "~".join([self.jwt, *self.disclosures, ""])


def conceal(
    claims: Mapping[str, Any], disclosable: Iterable[Path], decoys: int = 0
) -> tuple[dict[str, Any], list[str]]:
    """`claims` with the disclosable ones replaced by digests, and the disclosures.

    Deeper paths go first, so a disclosed parent may hold digests of its own (recursive disclosure). `decoys` adds that many
    digests of nothing at the top level, to hide how many claims there are.
    """
    _check_names(claims, ())
    try:
        payload: dict[str, Any] = json.loads(json.dumps(dict(claims), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ClaimRefused(claim="(some)", reason=f"its value is not JSON: {type(error).__name__}") from error
    disclosures: list[str] = []
    paths = [path if isinstance(path, tuple) else (path,) for path in disclosable]
    for path in sorted(set(paths), key=len, reverse=True):
        parent: Any = payload
        value: Any = None
        try:
            for step in path[:-1]:
                parent = parent[step]
            value = parent[path[-1]]
        except (KeyError, IndexError, TypeError):
            parent = None
        _sort_digests(value)  # of claims already taken out of it
        last = path[-1]
        if isinstance(parent, dict):
            disclosure = _disclosure([_salt(), last, value])
            del parent[last]
            parent.setdefault("_sd", []).append(digest(disclosure))
        elif isinstance(parent, list):
            disclosure = _disclosure([_salt(), value])
            parent[int(last)] = {"...": digest(disclosure)}
        else:
            raise ClaimRefused(claim=".".join(map(str, path)), reason="it is to be disclosable, but it is not there")
        disclosures.append(disclosure)
    if decoys:
        payload.setdefault("_sd", []).extend(digest(_salt()) for _ in range(decoys))
    _sort_digests(payload)
    return payload, disclosures


def reveal(payload: Mapping[str, Any], disclosures: Sequence[str]) -> dict[str, Any]:
    """`payload` with the claims of `disclosures` put back and every digest removed (RFC 9901, 7.1, step 3)."""
    if payload.get("_sd_alg", "sha-256") != "sha-256" or len(disclosures) > _DISCLOSURES_MAX:
        raise CredentialRefused("credentials.disclosure_refused")
    known = {digest(item): item for item in disclosures}
    if len(known) != len(disclosures):
        raise CredentialRefused("credentials.disclosure_refused")
    seen: set[str] = set()
    result: dict[str, Any] = _reveal(payload, known, seen, 0, top=True)
    if set(known) - seen:  # a disclosure the issuer never signed
        raise CredentialRefused("credentials.disclosure_refused")
    result.pop("_sd_alg", None)
    return result


def split(text: str) -> Parts:
    """Take an SD-JWT apart by its tildes."""
    jwt, *rest = text.strip().split("~")
    if not rest or "" in rest[:-1]:
        raise CredentialRefused("credentials.malformed")
    return Parts(jwt, tuple(rest[:-1]), rest[-1] or None)


def present(
    issued: str,
    names: Iterable[str],
    holder_key: ec.EllipticCurvePrivateKey | None = None,
    audience: str = "",
    nonce: str = "",
    now: datetime | None = None,
) -> str:
    """What a holder shows: the disclosures of `names` (top-level claims; what is nested in them comes along) and, with `holder_key`, a proof.

    audience, nonce   who it is shown to and what they asked to be signed; needed with `holder_key`
    """
    parts = split(issued)
    decoded = {item: strict_json(un_b64url(item)) for item in parts.disclosures}
    wanted = set(names)
    by_digest = {digest(item): item for item in parts.disclosures}
    chosen = [item for item, row in decoded.items() if len(row) == 3 and row[1] in wanted]
    waiting = list(chosen)
    while waiting:  # take along the disclosures a chosen value refers to
        for found in _digests_in(decoded[waiting.pop()][-1]):
            item = by_digest.get(found)
            if item is not None and item not in chosen:
                chosen.append(item)
                waiting.append(item)
    shown = Parts(parts.jwt, tuple(item for item in parts.disclosures if item in chosen), None).bound
    if holder_key is None:
        return shown
    if not audience or not nonce or now is None:
        raise ValueError("a holder's proof needs an audience, a nonce and a time")
    proof = {"iat": int(require_utc(now).timestamp()), "aud": audience, "nonce": nonce, "sd_hash": digest(shown)}
    return shown + sign(KB_TYP, proof, holder_key, {})


def check_key_binding(parts: Parts, payload: Mapping[str, Any], audience: str, nonce: str, now: datetime) -> None:
    """Refuse unless the holder's key, named in the credential, signed for this audience and nonce just now (7.3)."""
    confirmation = payload.get("cnf")
    if parts.key_binding is None or not isinstance(confirmation, dict):
        raise CredentialRefused("credentials.holder_proof_missing")
    try:
        header_of(parts.key_binding, KB_TYP)
        proof = check_signature(parts.key_binding, _holder_key(confirmation.get("jwk")))
        at = whole_seconds(proof.get("iat"))
    except CredentialRefused:
        raise CredentialRefused("credentials.holder_proof_false") from None
    age = None if at is None else now.timestamp() - at
    fresh = age is not None and -SKEW.total_seconds() <= age <= _KB_AGE
    expected = {"aud": audience, "nonce": nonce, "sd_hash": digest(parts.bound)}
    if not fresh or any(proof.get(name) != value for name, value in expected.items()):
        raise CredentialRefused("credentials.holder_proof_false")


def digest(text: str) -> str:
    """The base64url SHA-256 of an ASCII text: of a disclosure, or for `sd_hash`."""
    try:
        return b64url(hashlib.sha256(text.encode("ascii")).digest())
    except UnicodeEncodeError:
        raise CredentialRefused("credentials.malformed") from None


def _reveal(node: Any, known: Mapping[str, str], seen: set[str], depth: int, top: bool = False) -> Any:
    if depth > _DEPTH_MAX:
        raise CredentialRefused("credentials.malformed")
    if isinstance(node, list):
        return _reveal_items(node, known, seen, depth)
    if not isinstance(node, dict) and not isinstance(node, Mapping):
        return node
    result = {k: _reveal(v, known, seen, depth + 1) for k, v in node.items() if k != "_sd"}
    if "..." in node:
        raise CredentialRefused("credentials.disclosure_refused")
    digests = node.get("_sd", [])
    if not isinstance(digests, list):
        raise CredentialRefused("credentials.disclosure_refused")
    for found in digests:
        row = _opened(found, known, seen, 3)
        if row is None:
            continue
        name, value = row[1], row[2]
        if not isinstance(name, str) or name in _RESERVED or name in result or (top and name in REGISTERED):
            raise CredentialRefused("credentials.disclosure_refused")
        result[name] = _reveal(value, known, seen, depth + 1)
    return result


def _reveal_items(items: list[Any], known: Mapping[str, str], seen: set[str], depth: int) -> list[Any]:
    result = []
    for item in items:
        if isinstance(item, dict) and "..." in item:
            if len(item) != 1:
                raise CredentialRefused("credentials.disclosure_refused")
            row = _opened(item["..."], known, seen, 2)
            if row is not None:
                result.append(_reveal(row[1], known, seen, depth + 1))
        else:
            result.append(_reveal(item, known, seen, depth + 1))
    return result


def _opened(found: object, known: Mapping[str, str], seen: set[str], length: int) -> list[Any] | None:
    """The disclosure behind a digest; None when it was withheld. A digest may stand in the document only once."""
    if not isinstance(found, str) or found in seen:
        raise CredentialRefused("credentials.disclosure_refused")
    seen.add(found)
    if found not in known:
        return None
    row = strict_json(un_b64url(known[found]))
    if not isinstance(row, list) or len(row) != length or not isinstance(row[0], str):
        raise CredentialRefused("credentials.disclosure_refused")
    return row


def _digests_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [*value.get("_sd", []), *([value["..."]] if "..." in value else [])]
        return own + [d for item in value.values() for d in _digests_in(item)]
    if isinstance(value, list):
        return [d for item in value for d in _digests_in(item)]
    return []


def _sort_digests(node: Any) -> None:
    """Order digests by their own bytes, which says nothing about the order of the claims."""
    if isinstance(node, dict):
        if "_sd" in node:
            node["_sd"].sort()
        for item in node.values():
            _sort_digests(item)
    elif isinstance(node, list):
        for item in node:
            _sort_digests(item)


def _check_names(node: Any, path: tuple[str, ...]) -> None:
    if isinstance(node, Mapping):
        for name, value in node.items():
            if not isinstance(name, str) or name in _RESERVED or (not path and name in REGISTERED):
                raise ClaimRefused(claim=".".join([*path, str(name)]), reason="the name is registered or reserved")
            _check_names(value, (*path, name))
    elif isinstance(node, list | tuple):
        for item in node:
            _check_names(item, (*path, "[]"))


def _holder_key(jwk: object) -> ec.EllipticCurvePublicKey:
    try:
        if not isinstance(jwk, dict) or "d" in jwk:
            raise ValueError
        key = ECKey.import_key(jwk).public_key
    except (JoseError, ValueError, TypeError, KeyError):
        raise CredentialRefused("credentials.holder_proof_false") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CredentialRefused("credentials.holder_proof_false")
    return key


def _disclosure(row: list[Any]) -> str:
    return b64url(json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())


def _salt() -> str:
    return b64url(secrets.token_bytes(16))
