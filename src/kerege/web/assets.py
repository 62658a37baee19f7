"""The hub's own static files, read once: a closed table, so an address can only ever name a file that is in it.

Kept in memory (some tens of kilobytes) with their fingerprints. `?v=<fingerprint>` in an address lets a browser keep the file for a
year; without it the file is checked again by its ETag.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.conf import settings

_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    content_type: str
    fingerprint: str


@lru_cache(maxsize=1)
def table() -> dict[str, Asset]:
    """Every file below `static/` of a known kind, by its path with forward slashes."""
    found: dict[str, Asset] = {}
    for file in sorted(_FOLDER.rglob("*")):
        content_type = _TYPES.get(file.suffix)
        if file.is_file() and content_type:
            body = file.read_bytes()
            found[file.relative_to(_FOLDER).as_posix()] = Asset(
                body, content_type, hashlib.sha256(body).hexdigest()[:16]
            )
    return found


def address(name: str) -> str:
    """`/static/<name>?v=<fingerprint>`; KeyError for a file that is not there."""
    return f"{settings.STATIC_URL}{name}?v={table()[name].fingerprint}"
