"""Whether a signer may be believed: the signature's facts held against the global configuration.

Puts `certs` and `ocsp` together the way X-Road's servers check a message: the signing certificate chains to an approved
authority, is for signing, belongs to the member named as sender, and an OCSP answer in the signature says it was good and is
fresh. A `Trust` is made once per configuration; what it has checked it remembers until that check's own time limit.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509.ocsp import load_der_ocsp_response

from kerege.exchange import certs, ocsp
from kerege.exchange.errors import ExchangeError, RevocationUnknown, SignerWrong
from kerege.exchange.globalconf import ApprovedAuthority, SharedParameters
from kerege.exchange.hashchain import SHA512, Batch, Digest, HashChain
from kerege.exchange.ids import MemberId
from kerege.exchange.linkmessages import Group
from kerege.exchange.xades_verify import SignatureFacts, verify, verify_batch

# OCSP answers, certificate and extra certificates, as the very objects; the member, and from when until when that holds
_Recent = tuple[tuple[bytes, ...], x509.Certificate, tuple[x509.Certificate, ...], MemberId, datetime, datetime]
_MOST_REMEMBERED = 4096
_MOST_RECENT = 512
# bytes of OCSP answers: whoever sends them chooses how many beside the one that is needed
_LARGEST_REMEMBERED = 32 * 1024


def _few(responses: tuple[bytes, ...]) -> bool:
    return sum(map(len, responses)) <= _LARGEST_REMEMBERED


@dataclass
class Trust:
    """The trust decisions one global configuration supports."""

    shared: SharedParameters
    verify_next_update: bool = True
    _recent: dict[int, _Recent] = field(default_factory=dict)
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
        self._made_by(facts, expected, now)
        return facts

    def check_batch(self, xml: bytes, batch: Batch, expected: MemberId, now: datetime) -> SignatureFacts:
        """The same for all messages of a batch, a tree grown from the messages themselves."""
        facts = verify_batch(xml, batch)
        self._made_by(facts, expected, now)
        return facts

    def check_group(self, group: Group, expected: MemberId, now: datetime) -> SignatureFacts:
        """The same for messages that came over a Kerege link under one signature."""
        if group.chained:
            return self.check_batch(group.signature, group.batch(), expected, now)
        message, attachments = group.messages[0].digests
        parts = tuple(Digest(SHA512, digest) for digest in attachments)
        return self.check_signature(group.signature, Digest(SHA512, message), parts, None, expected, now)

    def _made_by(self, facts: SignatureFacts, expected: MemberId, now: datetime) -> None:
        found = self.signer(facts, now)
        # a certificate profile that names only the member code leaves the class open
        if found != expected and not (
            not found.member_class and (found.instance, found.member_code) == (expected.instance, expected.member_code)
        ):
            raise SignerWrong(expected=expected, found=found)

    def signer(self, facts: SignatureFacts, now: datetime) -> MemberId:
        """The member that signed, when its certificate is good at `now`. Raises CertificateInvalid or RevocationUnknown.

        now   the moment that counts: of a signature with a time-stamp, the stamp's
        """
        # the messages of one batch share their facts, and the batches of one signer what is known of its documents
        answers, certificate, extra = facts.ocsp_responses, facts.certificate, facts.extra_certificates
        recent = self._recent.get(id(answers))
        if (
            recent is not None
            and recent[0] is answers
            and recent[1] is certificate
            and recent[2] is extra
            and recent[4] <= now <= recent[5]
        ):
            return recent[3]
        member, since, until = self._signer(facts, now)
        if not _few(answers):
            return member
        if len(self._recent) >= _MOST_RECENT:
            self._recent.clear()
        self._recent[id(answers)] = (answers, certificate, extra, member, since, until)
        return member

    def _signer(self, facts: SignatureFacts, now: datetime) -> tuple[MemberId, datetime, datetime]:
        key = (certs.der(facts.certificate), facts.ocsp_responses)
        known = self._signers.get(key)
        if known is not None and known[1] <= now <= known[2]:
            return known
        authority, issuer = self.issuer_of(facts.certificate, "signing", now, facts.extra_certificates)
        certs.check_use(facts.certificate, "signing")
        member = certs.signer_of(facts.certificate, authority, self.shared.instance)
        until = self._any_good(facts.ocsp_responses, facts.certificate, authority, issuer, now)
        until = min(until, self._way_up(facts, authority, issuer, now), facts.certificate.not_valid_after_utc)
        found = member, now, until
        if _few(facts.ocsp_responses):
            if len(self._signers) >= _MOST_REMEMBERED:
                self._signers.clear()
            self._signers[key] = found
        return found

    def _way_up(
        self, facts: SignatureFacts, authority: ApprovedAuthority, issuer: x509.Certificate, now: datetime
    ) -> datetime:
        """Until when the authorities that only the signature brought are good: each needs an answer about itself, as X-Road asks."""
        listed = [authority.top.certificate, *(one.certificate for one in authority.intermediates)]
        until, current, seen = datetime.max.replace(tzinfo=UTC), issuer, {issuer}
        while current not in listed:
            above = next(
                (c for c in (*listed, *facts.extra_certificates) if c not in seen and certs.issued_by(current, c)), None
            )
            if above is None:  # cannot be: `issuer_of` has found a way
                raise RevocationUnknown(subject=certs.subject(current), reason="its issuer is not known")
            good = self._any_good(facts.ocsp_responses, current, authority, above, now)
            until = min(until, good, current.not_valid_after_utc)
            current = above
            seen.add(above)
        return until

    def check_auth(self, certificate: x509.Certificate, responses: tuple[bytes, ...], now: datetime) -> None:
        """Check an authentication certificate with the OCSP answers at hand."""
        key = (certs.der(certificate), hashlib.sha256(b"".join(responses)).digest())  # of as many as there are
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
                until = ocsp.check(response, certificate, issuer, listed, now, self.freshness)
                return min(until, self._next_update(response, certificate, now))
            except RevocationUnknown as refused:
                if "another certificate" not in refused.text or len(responses) == 1:
                    problem = refused
        raise problem

    def _next_update(self, response: bytes, certificate: x509.Certificate, now: datetime) -> datetime:
        """When an answer that is accepted otherwise is due to be replaced. Raises RevocationUnknown when that is over.

        Looked at unless the configuration's optional part says not to (`verifyNextUpdate`).
        """
        never = datetime.max.replace(tzinfo=UTC)
        if not self.verify_next_update:
            return never
        singles = load_der_ocsp_response(response).responses
        single = next((one for one in singles if one.serial_number == certificate.serial_number), None)
        due = None if single is None else single.next_update_utc
        if due is not None and due < now:
            raise RevocationUnknown(
                subject=certs.subject(certificate), reason=f"it was to be replaced by {due:%Y-%m-%d %H:%M:%SZ}"
            )
        return due or never
