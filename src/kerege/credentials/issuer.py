"""The issuing side: one agency's key signs documents in two forms and the status list that revokes them.

What a document says is the caller's; the issuer adds who, when, until when and where its status stands. It refuses to issue past the
end of its own certificate: verifiers check the chain at the time of checking, so such a document would die early and without a reason
people understand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from kerege.credentials import chain, jws, paper, sdjwt
from kerege.credentials.errors import ClaimRefused, CredentialRefused, IssuerKeyInvalid, ValidityRefused
from kerege.credentials.status import StatusRef
from kerege.credentials.trust import TrustedIssuer
from kerege.ground import clock
from kerege.ground.text import Text


@dataclass(frozen=True, slots=True)
class Issuer:
    """`chain` is leaf first and leaves the anchor out; `anchors` are for the trust list; `issuer_id` is the leaf's URI."""

    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...]
    issuer_id: str
    anchors: tuple[x509.Certificate, ...] = ()

    def __post_init__(self) -> None:
        leaf = self.chain[0]
        try:
            matches = chain.public_key(leaf).public_numbers() == self.key.public_key().public_numbers()
        except CredentialRefused:
            raise IssuerKeyInvalid(folder="(in memory)", reason="the certificate's key is not on P-256") from None
        if not matches:
            raise IssuerKeyInvalid(folder="(in memory)", reason="the key is not the certificate's")
        if not chain.speaks_for(leaf, self.issuer_id):
            raise IssuerKeyInvalid(folder="(in memory)", reason="the certificate does not name the issuer's URI")

    def as_trusted(self, name: Text, types: Iterable[str] | None = None) -> TrustedIssuer:
        """This issuer's row of a trust list. `types` None lets it issue any type."""
        allowed = None if types is None else frozenset(types)
        return TrustedIssuer(self.issuer_id, name, self.anchors, (self.chain,), allowed)

    def issue_sd_jwt_vc(
        self,
        vct: str,
        claims: Mapping[str, Any],
        disclosable: Iterable[sdjwt.Path],
        expires: datetime,
        status_index: StatusRef | None,
        holder_jwk: Mapping[str, Any] | None = None,
        *,
        decoys: int = 0,
        now: datetime | None = None,
    ) -> str:
        """An SD-JWT VC of type `vct`, with all its disclosures, for the holder's wallet.

        disclosable   claims the holder may withhold: names, or paths to nested ones
        status_index  from `StatusList.allocate`; None makes a document that cannot be revoked
        holder_jwk    the holder's public key, when showing the document shall need their proof
        """
        dates = self._dates(expires, now)
        payload, disclosures = sdjwt.conceal(claims, disclosable, decoys)
        payload |= {"iss": self.issuer_id, "vct": vct, "_sd_alg": "sha-256", **dates}
        if status_index is not None:
            payload["status"] = {"status_list": {"idx": status_index.index, "uri": status_index.uri}}
        if holder_jwk is not None:
            if "d" in holder_jwk:
                raise ClaimRefused(claim="cnf", reason="the holder's key came with its private part")
            payload["cnf"] = {"jwk": {name: holder_jwk[name] for name in ("kty", "crv", "x", "y")}}
        return "~".join([self.sign_json(sdjwt.TYP, payload), *disclosures, ""])

    def issue_paper(
        self,
        type_: str,
        claims: Mapping[str, Any],
        expires: datetime,
        status_index: StatusRef | None,
        *,
        now: datetime | None = None,
    ) -> paper.PaperCredential:
        """The same document for paper. Raises ClaimRefused for claims a passer-by should not read, PaperTooLarge when it will not print."""
        paper.check_minimal(claims)
        dates = self._dates(expires, now)
        payload: dict[Any, Any] = {
            paper.ISS: self.issuer_id,
            paper.EXP: dates["exp"],
            paper.IAT: dates["iat"],
            "type": type_,
            "claims": dict(claims),
        }
        if status_index is not None:
            payload[paper.STATUS] = {"status_list": {"idx": status_index.index, "uri": status_index.uri}}
        return paper.seal(payload, self.key, chain.key_id(self.chain[0]))

    def sign_json(self, typ: str, payload: Mapping[str, Any]) -> str:
        """A JWS of `payload` with this issuer's chain; `typ` keeps one kind of token from passing for another."""
        header = {"kid": chain.key_id_text(self.chain[0]), "x5c": chain.x5c(self.chain)}
        return jws.sign(typ, payload, self.key, header)

    def _dates(self, expires: datetime, now: datetime | None) -> dict[str, int]:
        at = clock.now() if now is None else clock.require_utc(now)
        clock.require_utc(expires, "expires")
        if expires <= at:
            raise ValidityRefused(expires=clock.iso(expires), reason="that is not after now")
        last = self.chain[0].not_valid_after_utc
        if expires > last:
            raise ValidityRefused(expires=clock.iso(expires), reason=f"the issuer's certificate ends {clock.iso(last)}")
        if at < self.chain[0].not_valid_before_utc:
            raise ValidityRefused(expires=clock.iso(expires), reason="the issuer's certificate is not valid yet")
        return {"iat": int(at.timestamp()), "exp": int(expires.timestamp())}
