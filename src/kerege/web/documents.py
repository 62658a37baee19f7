"""Documents issued from cases, as files in the home folder: the text a citizen carries, found by the reference the case notes.

    KEREGE_HOME/documents/<credential reference>.json    {"paper": "KRG1:...", "sd_jwt": "..."}

Written by whoever issues (the demo, later the issuing worker); read here only for the parent whose case it is. Characters of a
reference that do not belong in a file name become `-`, the same on both sides (`file_of`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe

from kerege.credentials import PaperCredential


@dataclass(frozen=True, slots=True)
class IssuedDocument:
    """A document in its two forms; either may be empty."""

    reference: str
    issued_at: datetime
    paper: str
    sd_jwt: str

    def qr(self, title: str) -> SafeString:
        """The QR of the paper form as SVG; drawn by `segno` from the text alone."""
        svg = PaperCredential(self.paper).svg(scale=4, title=title)
        # The picture shall stretch with the page, its quiet zone with it: a fixed size becomes a view box.
        svg = re.sub(
            r'<svg ([^>]*?)width="(\d+)" height="(\d+)"', r'<svg role="img" \1viewBox="0 0 \2 \3"', svg, count=1
        )
        return mark_safe(svg)  # noqa: S308 - drawn by segno from modules; the title is escaped by it


def file_of(reference: str) -> Path:
    """Where the document of this reference lies."""
    return Path(settings.HOME) / "documents" / (re.sub(r"[^A-Za-z0-9_-]", "-", reference)[:150] + ".json")


def find(reference: str, issued_at: datetime) -> IssuedDocument | None:
    """The document; None where its file is not there or not readable as one."""
    try:
        raw = json.loads(file_of(reference).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(raw, dict):
        return None
    paper, sd_jwt = str(raw.get("paper") or ""), str(raw.get("sd_jwt") or "")
    return IssuedDocument(reference, issued_at, paper, sd_jwt) if paper or sd_jwt else None
