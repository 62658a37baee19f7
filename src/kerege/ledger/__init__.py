"""The ledger: an append-only Merkle log (RFC 6962) of everything that binds, which outsiders can check.

Face of the room:

- `Ledger.open(folder)` appends, reads and proves (`ledger.log`)
- `merkle` has the hashes, proofs and their verifiers, pure
- `checkpoint` signs and verifies tree heads (C2SP signed notes; `open_key` keeps the key), `witness` counter-signs them for another administration
- `commitment` keeps personal content out of the tree: `commit`, `Openings`
- `open_signing` opens an installation's ledger with its key; `newest_head` and `verifier_key` are for publishing
- `audit` recomputes a whole folder and names the first bad record (`ledger.verify`)

An engine: plain Python and files. Who may read a record, and what is worth recording, is for the rooms above.
"""

from kerege.ledger.checkpoint import Checkpoint, SigningKey, VerifierKey, verify_checkpoint
from kerege.ledger.commitment import Openings, commit, new_salt, opens
from kerege.ledger.installation import newest_head, open_signing, verifier_key
from kerege.ledger.keys import open_key
from kerege.ledger.log import Entry, Ledger
from kerege.ledger.verify import Audit, Finding, audit
from kerege.ledger.witness import Witness

__all__ = [
    "Audit",
    "Checkpoint",
    "Entry",
    "Finding",
    "Ledger",
    "Openings",
    "SigningKey",
    "VerifierKey",
    "Witness",
    "audit",
    "commit",
    "new_salt",
    "newest_head",
    "open_key",
    "open_signing",
    "opens",
    "verifier_key",
    "verify_checkpoint",
]
