"""Credentials: documents a citizen carries, signed by an agency, checked by anyone, offline if need be, and revocable.

Face of the room:

- `Issuer` signs two forms of one document: an SD-JWT VC for a wallet (`credentials.sdjwt`) and a QR for paper (`credentials.paper`)
- `open_issuer`, `create_issuer`, `load_issuer`: a key folder with a certificate authority of its own (`credentials.keys`)
- `StatusList` says what was revoked (`credentials.status`)
- `TrustList` says whose signature counts, and for which types (`credentials.trust`)
- `verify` is the one entry for checking: whatever comes in, a `Verdict` comes out (`credentials.verify`)

An engine: it knows no admissions, no diplomas, no people. Which claims a document has, and when it is issued or revoked, is `services`'.
"""

from kerege.credentials.issuer import Issuer
from kerege.credentials.keys import create_issuer, load_issuer, open_issuer
from kerege.credentials.paper import PaperCredential
from kerege.credentials.sdjwt import present
from kerege.credentials.status import StatusList, StatusRef, StatusSource, status_from_texts
from kerege.credentials.trust import TrustedIssuer, TrustList
from kerege.credentials.verify import Verdict, verify

__all__ = [
    "Issuer",
    "PaperCredential",
    "StatusList",
    "StatusRef",
    "StatusSource",
    "TrustList",
    "TrustedIssuer",
    "Verdict",
    "create_issuer",
    "load_issuer",
    "open_issuer",
    "present",
    "status_from_texts",
    "verify",
]
