"""What checking a document needs, as the issuers published it: the trust list and the signed status lists, files in the home folder.

    KEREGE_HOME/credentials/public/trust.json        whose signature counts (`credentials.trust`)
    KEREGE_HOME/credentials/public/status/*.jwt      which documents were revoked, signed by their issuers

The hub checks nothing of its own accord here: a forged or stale list is `credentials.check_status`'s to refuse. The same files are
served to browsers, so that a document can be checked without leaving the device.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from django.conf import settings

from kerege.credentials import TrustList, Verdict, status_from_texts, verify


def folder() -> Path:
    return Path(settings.HOME) / "credentials" / "public"


def trust_list() -> TrustList | None:
    """The trust list; None where the installation has none. Raises TrustListInvalid for a broken one."""
    file = folder() / "trust.json"
    return TrustList.load(file) if file.is_file() else None


def status_lists() -> list[str]:
    """The status lists at hand, as text."""
    return [file.read_text(encoding="ascii", errors="replace") for file in sorted((folder() / "status").glob("*.jwt"))]


def check(document: str, now: datetime) -> Verdict | None:
    """The verdict on a document; None when there is no trust list to check against."""
    trust = trust_list()
    if trust is None:
        return None
    return verify(document, trust, status_from_texts(status_lists()), now)
