"""Identifiers and canonical bytes: what is signed, logged or compared is first made one way to write.

Canonical JSON follows RFC 8785 for the values Kerege uses (strings, integers, booleans, null, lists, objects; floats are refused,
because money is in tyiyn and durations in whole units).
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"  # no 0/o, 1/i/l, u: read aloud and typed by people


def new_id(prefix: str) -> str:
    """A fresh, unguessable identifier such as `case-7fq2m9k4xw3d` (12 characters, about 58 bits)."""
    return f"{prefix}-" + "".join(secrets.choice(_ALPHABET) for _ in range(12))


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("canonical JSON takes no floats; use an integer in the smallest unit or a string")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError("canonical JSON takes only string keys")
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)


def canonical_json(value: Any) -> bytes:
    """`value` as RFC 8785 bytes: keys sorted by UTF-16 code units, no spaces, UTF-8."""
    _refuse_floats(value)
    return json.dumps(_sorted(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=lambda k: k.encode("utf-16-be"))}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    return value


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, lower-case hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
