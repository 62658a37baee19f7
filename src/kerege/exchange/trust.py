"""Whether a signer may be believed: the signature's facts held against the global configuration.

Puts `certs` and `ocsp` together the way X-Road's servers check a message: the signing certificate chains to an approved
authority, is for signing, belongs to the member named as sender, and an OCSP answer in the signature says it was good and is
fresh. A `Trust` is made once per configuration; what it has checked it remembers until that check's own time limit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509

from kerege.exchange import certs, ocsp
from kerege.exchange.errors import ExchangeError, RevocationUnknown, SignerWrong
from kerege.exchange.globalconf import ApprovedAuthority, SharedParameters
from kerege.exchange.hashchain import Digest, HashChain
from kerege.exchange.ids import MemberId
from kerege.exchange.xades_verify import SignatureFacts, verify

_MOST_REMEMBERED = 4096


@dataclass
class Trust:
    """The trust decisions one global configuration supports."""

    shared: SharedParameters
    _signers: dict[tuple[bytes, tuple[bytes, ...]], tuple[MemberId, datetime, datetime]] = field(default_factory=dict)
    _auth: dict[tuple[bytes, bytes], tuple[datetime, datetime]] = field(default_factory=dict)

    @property
    def freshness(self) -> timedelta:
        return timedelta(seconds=self.shared.ocsp_freshness_seconds)

    def issuer_of(
        self,
        certificate: x509.Certificate,
        role: str,
        now: datetime,
        extra: tuple[x509.Certificate, ...] = (),
    ) -> tuple[ApprovedAuthority, x509.Certificate]:
        return certs.chain_to_authority(certificate, extra, self.shared.authorities, role, now)

    def check_signature(
        self,
        xml: bytes,
        message: bytes | Digest,
        attachments: tuple[bytes | Digest, ...],
        chain: HashChain | None,
        expected: MemberId,
        now: datetime,
    ) -> SignatureFacts:
        """Check a message's signature in full: that it holds, and that `expected` made it. Raises the check that failed."""
        facts = verify(xml, message, attachments, chain)
        found = self.signer(facts, now)
        # a certificate profile that names only the member code leaves the class open
        if found != expected and not (
            not found.member_class and (found.instance, found.member_code) == (expected.instance, expected.member_code)
        ):
            raise SignerWrong(expected=expected, found=found)
        return facts

    def signer(self, facts: SignatureFacts, now: datetime) -> MemberId:
        """The member that signed, when its certificate is good at `now`. Raises CertificateInvalid or RevocationUnknown."""
        key = (certs.der(facts.certificate), facts.ocsp_responses)
        known = self._signers.get(key)
        if known is not None and known[1] <= now <= known[2]:
            return known[0]
        authority, issuer = self.issuer_of(facts.certificate, "signing", now, facts.extra_certificates)
        certs.check_use(facts.certificate, "signing")
        member = certs.signer_of(facts.certificate, authority, self.shared.instance)
        until = self._any_good(facts.ocsp_responses, facts.certificate, authority, issuer, now)
        if len(self._signers) >= _MOST_REMEMBERED:
            self._signers.clear()
        self._signers[key] = (member, now, min(until, facts.certificate.not_valid_after_utc))
        return member

    def check_auth(self, certificate: x509.Certificate, responses: tuple[bytes, ...], now: datetime) -> None:
        """Check an authentication certificate with the OCSP answers at hand."""
        key = (certs.der(certificate), b"".join(responses))
        known = self._auth.get(key)
        if known is not None and known[0] <= now <= known[1]:
            return
        authority, issuer = self.issuer_of(certificate, "authentication", now)
        certs.check_use(certificate, "authentication")
        until = self._any_good(responses, certificate, authority, issuer, now)
        if len(self._auth) >= _MOST_REMEMBERED:
            self._auth.clear()
        self._auth[key] = (now, min(until, certificate.not_valid_after_utc))

    def check_own_ocsp(self, certificate: x509.Certificate, role: str, response: bytes, now: datetime) -> datetime:
        """Check an answer about one of the node's own certificates; until when it may be used."""
        authority, issuer = self.issuer_of(certificate, role, now)
        return self._any_good((response,), certificate, authority, issuer, now)

    def _any_good(
        self,
        responses: tuple[bytes, ...],
        certificate: x509.Certificate,
        authority: ApprovedAuthority,
        issuer: x509.Certificate,
        now: datetime,
    ) -> datetime:
        listed = [r.certificate for r in authority.responders_of(issuer) if r.certificate is not None]
        problem: ExchangeError = RevocationUnknown(
            subject=certs.subject(certificate), reason="no OCSP answer came with it"
        )
        for response in responses:
            try:
                return ocsp.check(response, certificate, issuer, listed, now, self.freshness)
            except RevocationUnknown as refused:
                if "another certificate" not in refused.text or len(responses) == 1:
                    problem = refused
        raise problem
