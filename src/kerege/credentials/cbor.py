"""CBOR from strangers: the deterministic subset paper uses, looked over byte by byte before anything is built from it.

Whole numbers, byte and text strings, arrays, maps, true, false, null, and the tags the reader names, at the very start only. A
library that follows tags on its own (shared values, 28 and 29, among them) lets a hundred bytes stand for 2^100 values; so no byte
reaches one before `read` has walked them all: no other tag, no indefinite length, bounded size, depth and number of items.
`verify.js` reads the same subset.
"""

from __future__ import annotations

from typing import Any, Final

import cbor2

from kerege.credentials.errors import CredentialRefused

SIZE_MAX: Final = 16_384
DEPTH_MAX: Final = 16
ITEMS_MAX: Final = 4_096
_NUMBER, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG = range(7)
_WHOLE_MAX: Final = (1 << 53) - 1  # what every reader, a browser too, holds exactly
_SIMPLE: Final = (20, 21, 22)  # false, true, null


def read(raw: bytes, tags: tuple[int, ...] = ()) -> Any:
    """The one value in `raw`, which must be written canonically: nothing after it, no name twice, no longer form.

    tags   the tags that must stand around it, the outermost first; there may be no other
    """
    if len(raw) > SIZE_MAX:
        raise CredentialRefused("credentials.too_large")
    _walk(raw, tags)
    try:
        found = cbor2.loads(raw)
        same = cbor2.dumps(found, canonical=True) == raw
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, EOFError, ArithmeticError):
        same = False
    if not same:
        raise CredentialRefused("credentials.malformed")
    return found


def _walk(raw: bytes, tags: tuple[int, ...]) -> None:
    """Refuse `raw` unless it is one item of the subset. Builds nothing; its time is that of the bytes."""
    at = 0
    for tag in tags:
        kind, value, at = _head(raw, at)
        if (kind, value) != (_TAG, tag):
            raise CredentialRefused("credentials.malformed")
    waiting = [1]  # how many items are still to come, by depth
    items = 0
    while waiting:
        if not waiting[-1]:
            waiting.pop()
            continue
        waiting[-1] -= 1
        items += 1
        kind, value, at = _head(raw, at)
        if kind in (_BYTES, _TEXT):
            at += value
        elif kind in (_ARRAY, _MAP):
            waiting.append(value * (1 + (kind == _MAP)))
        elif kind == _TAG or (kind > _TAG and value not in _SIMPLE):
            raise CredentialRefused("credentials.malformed")
        if items > ITEMS_MAX or len(waiting) > DEPTH_MAX + 1:
            raise CredentialRefused("credentials.malformed")
    if at != len(raw):
        raise CredentialRefused("credentials.malformed")


def _head(raw: bytes, at: int) -> tuple[int, int, int]:
    """(major type, number, where it ends) of the item at `at`."""
    first = raw[at] if at < len(raw) else 0xFF
    kind, info, at = first >> 5, first & 31, at + 1
    if info < 24:
        return kind, info, at
    width = 1 << (info - 24)
    if (
        info > 27 or kind > _TAG or at + width > len(raw)
    ):  # reserved or indefinite; floats and other simple values; cut short
        raise CredentialRefused("credentials.malformed")
    value = int.from_bytes(raw[at : at + width], "big")
    if value > _WHOLE_MAX:
        raise CredentialRefused("credentials.malformed")
    return kind, value, at + width
