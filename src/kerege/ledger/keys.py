"""A log's or witness's signing key in a file.

One line, the form Go's `sumdb/note` writes: `PRIVATE+KEY+<name>+<key id>+<base64(type || seed)>`, mode 0600. Beside it stands
`<file>.pub` with the verifier key, for handing out.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kerege.ledger.checkpoint import PLAIN, SigningKey
from kerege.ledger.errors import KeyInvalid

_HEAD: Final = "PRIVATE+KEY+"


def open_key(path: Path, name: str) -> SigningKey:
    """The key in `path`, made when there is none. Refuses a key of another name, or one that others may read."""
    if not path.exists():
        _create(path, name)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise KeyInvalid(name=name, reason=f"{path} may be read by others; it should have mode 0600")
    key = _parse(path.read_text(encoding="utf-8").strip(), path)
    if key.name != name:
        raise KeyInvalid(name=name, reason=f"{path} is the key of {key.name}")
    public = public_file(path)
    if not public.exists():  # a crash between the two files
        public.write_text(key.verifier.text + "\n", encoding="utf-8")
    return key


def public_file(path: Path) -> Path:
    """Where the verifier key of the key in `path` stands."""
    return path.with_name(f"{path.name}.pub")


def _create(path: Path, name: str) -> None:
    key = SigningKey.generate(name)
    seed = base64.b64encode(bytes([PLAIN]) + key.private.private_bytes_raw()).decode()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{_HEAD}{name}+{key.verifier.key_id(PLAIN).hex()}+{seed}\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(beside, path)  # unlike a rename, this never replaces a key another process made meanwhile
    except FileExistsError:
        return
    finally:
        beside.unlink()
    public_file(path).write_text(key.verifier.text + "\n", encoding="utf-8")


def _parse(text: str, path: Path) -> SigningKey:
    parts = text.removeprefix(_HEAD).split("+", 2)
    try:
        name, key_id, material = parts
        raw = base64.b64decode(material, validate=True)
        if not text.startswith(_HEAD) or len(raw) != 33 or raw[0] != PLAIN:
            raise ValueError
        key = SigningKey(name, Ed25519PrivateKey.from_private_bytes(raw[1:]))
    except (ValueError, binascii.Error):
        raise KeyInvalid(name=path, reason="the file does not hold an Ed25519 signing key") from None
    if key.verifier.key_id(PLAIN).hex() != key_id:
        raise KeyInvalid(name=path, reason="its key id does not belong to its name and key")
    return key
