"""Where one installation keeps its ledger, and the key its heads are signed with.

    HOME/ledger              the log
    HOME/keys/ledger.key     signs its heads; made once, mode 0600
    HOME/keys/ledger.key.pub the verifier key, for handing out

Who binds something (a publication, a permit, a run) opens with `open_signing` and calls `sign_head` when it is done; who only adds a
record opens without the key, and the next head covers it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kerege.ledger.keys import open_key, public_file
from kerege.ledger.log import Ledger, stored_checkpoints

ORIGIN: Final = "kerege/ledger"


def ledger_folder(home: Path) -> Path:
    return home / "ledger"


def key_file(home: Path) -> Path:
    return home / "keys" / "ledger.key"


def open_signing(home: Path) -> Ledger:
    """The installation's ledger with its key, both made on first use."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_file(home).parent.mkdir(exist_ok=True, mode=0o700)
    return Ledger.open(ledger_folder(home), open_key(key_file(home), ORIGIN))


def newest_head(home: Path) -> str | None:
    """The last head signed, a C2SP signed note; None before the first."""
    return next(reversed(stored_checkpoints(ledger_folder(home))), None)


def verifier_key(home: Path) -> str | None:
    """The key that heads are checked with, as text; None before the first head."""
    try:
        return public_file(key_file(home)).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
