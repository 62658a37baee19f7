"""Issuing a decision as a signed document in two forms: an SD-JWT VC for a wallet and a compact QR for paper; and revoking it.

The office keeps everything under one home folder: the issuer's keys and the status list's book (0600, never published), the public trust
list and signed status list, and the issued documents, each in a file named by a random reference that the case notes. The status list
is published before the first document carries an index of it. One process issues at a time (a lock file holds others off).

    keys/credentials/                    issuer's keys
    credentials/status-book.json         which indices are taken
    credentials/public/trust.json        whose signature counts
    credentials/public/status/*.jwt      what was revoked, signed
    documents/<reference>.json           {"paper": ..., "sd_jwt": ...}
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from kerege.credentials import StatusList, StatusRef, TrustList, open_issuer
from kerege.credentials.issuer import Issuer
from kerege.ground.ids import new_id
from kerege.ground.text import Text

STATUS_SIZE: Final = 1 << 17  # places for 131,072 documents; the signed list stays small while few are revoked
STATUS_TTL: Final = timedelta(days=7)
VALID_FOR: Final = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Issued:
    """A document in both forms. `reference` is what the case notes and what revoking takes."""

    reference: str
    sd_jwt: str
    paper: str
    status: StatusRef


class DocumentOffice:
    """Issues and revokes on behalf of one organisation, in one home folder."""

    def __init__(self, home: Path, issuer_id: str, name: Text, now: datetime) -> None:
        self._home = home
        self._public = home / "credentials" / "public"
        (self._public / "status").mkdir(parents=True, exist_ok=True)
        (home / "documents").mkdir(parents=True, exist_ok=True, mode=0o700)
        self._issuer: Issuer = open_issuer(home / "keys" / "credentials", issuer_id, name.en, now)
        trust = TrustList((self._issuer.as_trusted(name),))
        _put(self._public / "trust.json", trust.to_json())
        with self._book() as book:
            self._publish(book, now)

    @contextlib.contextmanager
    def _book(self) -> Iterator[StatusList]:
        """The status list, held for us alone; written back whole when the block ends well."""
        path = self._home / "credentials" / "status-book.json"
        with (path.with_name("status-book.lock")).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            book = StatusList.load(path) if path.exists() else StatusList.new(STATUS_SIZE)
            yield book
            book.save(path)

    def _publish(self, book: StatusList, now: datetime) -> None:
        name = re.sub(r"[^A-Za-z0-9_-]", "-", book.uri)
        _put(self._public / "status" / f"{name}.jwt", book.to_jwt(self._issuer, now, STATUS_TTL))

    def issue(
        self,
        kind: str,
        documents: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]],
        now: datetime,
        valid_for: timedelta = VALID_FOR,
    ) -> dict[str, Issued]:
        """Issue documents of one kind; key -> (claims for the wallet, claims for paper). Returns them by the same keys.

        Every wallet claim may be withheld by the holder. What may stand on paper is `credentials.paper`'s to refuse.
        """
        found: dict[str, Issued] = {}
        with self._book() as book:
            for key, (claims, on_paper) in documents.items():
                status = book.allocate()
                expires = now + valid_for
                sd_jwt = self._issuer.issue_sd_jwt_vc(kind, claims, tuple(claims), expires, status, now=now)
                paper = self._issuer.issue_paper(kind, on_paper, expires, status, now=now).text
                found[key] = Issued(new_id("doc"), sd_jwt, paper, status)
        for issued in found.values():
            text = json.dumps({"paper": issued.paper, "sd_jwt": issued.sd_jwt})
            _put(self._home / "documents" / f"{issued.reference}.json", text, mode=0o600)
        return found

    def revoke(self, status: StatusRef, now: datetime) -> None:
        """Revoke one document and publish the list at once."""
        with self._book() as book:
            book.revoke(status)
            self._publish(book, now)


def _put(path: Path, text: str, mode: int = 0o644) -> None:
    aside = path.with_name(f".{path.name}.new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    aside.replace(path)
