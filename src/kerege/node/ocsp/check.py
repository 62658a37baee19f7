"""What the node thinks of an OCSP answer it was given, and which authorities between a certificate and its approved top need one."""

from __future__ import annotations

import contextlib
import logging
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from kerege.exchange import certs, ocsp
from kerege.exchange.errors import ExchangeError, RevocationUnknown
from kerege.exchange.trust import Trust
from kerege.ground.errors import KeregeError

_LOG: Final = logging.getLogger("kerege.node.revocation")
_MOST_STEPS: Final = 6  # of a chain of authorities
_SKEW: Final = timedelta(seconds=60)


class ResponderAway(Exception):
    """No responder answered. Only then may an older answer that is still good stand in; an answer that says no is final."""

    def __init__(self, error: RevocationUnknown) -> None:
        super().__init__(error.text)
        self.error = error


def middles(trust: Trust, certificate: x509.Certificate, now: datetime) -> list[x509.Certificate]:
    """The approved intermediates between a certificate and its approved top; none when it chains to nothing."""
    found: list[x509.Certificate] = []
    with contextlib.suppress(ExchangeError):
        authority, issuer = trust.issuer_of(certificate, "authentication", now)
        pool = [one.certificate for one in authority.intermediates]
        while issuer != authority.top.certificate and issuer in pool and len(found) < _MOST_STEPS:
            found.append(issuer)
            pool.remove(issuer)
            _, issuer = trust.issuer_of(issuer, "intermediate", now)
    return found


def check(trust: Trust, certificate: x509.Certificate, role: str, answer: bytes, now: datetime) -> datetime:
    """Until when the answer is good: its freshness, and not after its responder means to say something newer.

    One so damaged that reading it fails in a way nobody foresaw counts as none given.
    """
    try:
        until = trust.check_own_ocsp(certificate, role, answer, now)
        replaced = ocsp.next_update(answer) if trust.verify_next_update else None
    except KeregeError:
        raise
    except Exception as unforeseen:  # noqa: BLE001 - bytes from the network
        _LOG.error("an OCSP answer could not be read: %s", type(unforeseen).__name__, exc_info=unforeseen)
        reason = f"the responder's answer cannot be read ({type(unforeseen).__name__})"
        raise ResponderAway(RevocationUnknown(subject=certs.subject(certificate), reason=reason)) from None
    if replaced is not None and replaced + _SKEW < now:
        raise RevocationUnknown(
            subject=certs.subject(certificate),
            reason=f"it was to be replaced at {replaced:%Y-%m-%d %H:%M:%SZ}, and was not",
        )
    return until if replaced is None else min(until, replaced + _SKEW)
