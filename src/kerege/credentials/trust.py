"""Whose signature counts: the trust list.

    {"version": 1, "issuers": [{
        "id": "https://edu.example.kg", "name": {"ky", "ru", "en"},
        "types": ["urn:kg:credential:..."],               absent: any type
        "anchors": [base64 DER, ...],                     certificate authorities of this issuer
        "keys": [{"kid", "x5c": [...], "jwk": {...}, "not_before", "not_after"}]}]}

`anchors` serve SD-JWT VCs, which bring their chain with them. `keys` serve paper, which has room only for a key's name, and the
browser, which cannot read certificates: there `jwk` and the dates are repeated. Reading the list checks that they agree.

How a trust list reaches a verifier unchanged is its publisher's business (the hub serves it; a verifier's device keeps it).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from kerege.credentials import chain
from kerege.credentials.errors import CredentialRefused, TrustListInvalid
from kerege.ground.clock import iso
from kerege.ground.text import Text


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One issuer: `keys` are certificate chains, leaf first. `types` None means any type of credential."""

    id: str
    name: Text
    anchors: tuple[x509.Certificate, ...]
    keys: tuple[tuple[x509.Certificate, ...], ...] = ()
    types: frozenset[str] | None = None

    def may_issue(self, type_: str) -> bool:
        return self.types is None or type_ in self.types


@dataclass(frozen=True, slots=True)
class TrustList:
    """The issuers a verifier trusts."""

    issuers: tuple[TrustedIssuer, ...]

    def __post_init__(self) -> None:
        ids = [issuer.id for issuer in self.issuers]
        if len(set(ids)) != len(ids):
            raise TrustListInvalid(name="(in memory)", reason="an issuer stands in it twice")

    def issuer(self, issuer_id: str) -> TrustedIssuer | None:
        return next((issuer for issuer in self.issuers if issuer.id == issuer_id), None)

    def by_key(self, key_id: bytes) -> tuple[TrustedIssuer, tuple[x509.Certificate, ...]] | None:
        """The issuer and chain of the key that paper names by its eight bytes."""
        for issuer in self.issuers:
            for key in issuer.keys:
                if chain.key_id(key[0]) == key_id:
                    return issuer, key
        return None

    def to_json(self) -> str:
        return json.dumps({"version": 1, "issuers": [_write(i) for i in self.issuers]}, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes, name: str = "(text)") -> TrustList:
        """Read a trust list; `name` is what an error calls it."""
        try:
            raw = json.loads(text)
            if raw["version"] != 1:
                raise TrustListInvalid(name=name, reason="its version is not 1")
            return cls(tuple(_read(issuer, name) for issuer in raw["issuers"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TrustListInvalid(name=name, reason="it does not have the form of a trust list") from error

    @classmethod
    def load(cls, path: Path) -> TrustList:
        try:
            return cls.from_json(path.read_bytes(), str(path))
        except OSError as error:
            raise TrustListInvalid(name=path, reason="the file cannot be read") from error


def public_jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """A P-256 public key as a JWK with the required members only."""
    numbers = key.public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": _coordinate(numbers.x), "y": _coordinate(numbers.y)}


def _coordinate(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()


def _key_row(key: tuple[x509.Certificate, ...]) -> dict[str, Any]:
    leaf = key[0]
    return {
        "kid": chain.key_id_text(leaf),
        "x5c": chain.x5c(key),
        "jwk": public_jwk(chain.public_key(leaf)),
        "not_before": iso(leaf.not_valid_before_utc),
        "not_after": iso(leaf.not_valid_after_utc),
    }


def _write(issuer: TrustedIssuer) -> dict[str, Any]:
    row: dict[str, Any] = {"id": issuer.id, "name": issuer.name.as_dict()}
    if issuer.types is not None:
        row["types"] = sorted(issuer.types)
    return row | {"anchors": chain.x5c(issuer.anchors), "keys": [_key_row(key) for key in issuer.keys]}


def _read(raw: Mapping[str, Any], name: str) -> TrustedIssuer:
    keys = []
    try:
        anchors = tuple(certificate for item in raw["anchors"] for certificate in chain.read_x5c([item]))
        for row in raw["keys"]:
            key = chain.read_x5c(row["x5c"])
            if _key_row(key) != row:
                raise TrustListInvalid(name=name, reason=f"a key of {raw['id']} does not agree with its certificate")
            if not chain.speaks_for(key[0], raw["id"]):
                raise TrustListInvalid(name=name, reason=f"a certificate of {raw['id']} does not name it")
            keys.append(key)
    except CredentialRefused as error:
        raise TrustListInvalid(name=name, reason=f"a certificate of {raw['id']} cannot be read") from error
    types = frozenset(raw["types"]) if "types" in raw else None
    if isinstance(raw.get("types"), str):
        raise TrustListInvalid(name=name, reason=f"the types of {raw['id']} are not a list")
    return TrustedIssuer(str(raw["id"]), Text.of(raw["name"]), anchors, tuple(keys), types)
