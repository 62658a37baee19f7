"""What can go wrong in the ledger, each with a next step."""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class LedgerError(KeregeError):
    """Base of the room's errors, only for `except`."""


class IndexOutOfRange(LedgerError):
    code = "ledger.index_out_of_range"
    message = "The ledger {folder} holds {size:# record}; {asked} lies outside."
    hint = "Ask for records 0 up to, not including, {size}."


class RecordInvalid(LedgerError):
    code = "ledger.record_invalid"
    message = "A record of kind {kind} cannot be written: {reason}."
    hint = (
        "Give a non-empty kind, an aware UTC time and a body of strings, integers, booleans, null, lists and objects."
    )


class LogDamaged(LedgerError):
    code = "ledger.log_damaged"
    message = "The ledger {folder} is damaged at record {index}: {reason}."
    hint = "Nothing was changed. Run `kerege ledger verify {folder}`, then restore the folder from a copy a witness agrees with."


class RolledBack(LedgerError):
    code = "ledger.rolled_back"
    message = (
        "The ledger {folder} no longer extends its own checkpoint of size {signed}: {reason}. "
        "It was rolled back or rewritten."
    )
    hint = "Do not sign. Restore the newest copy, and compare with the witnesses' checkpoints."


class NoteInvalid(LedgerError):
    code = "ledger.note_invalid"
    message = "This is not an acceptable signed checkpoint: {reason}."
    hint = "Fetch the checkpoint again from the log and check that the verifier key is the log's own."


class KeyInvalid(LedgerError):
    code = "ledger.key_invalid"
    message = "The ledger key {name} cannot be used: {reason}."
    hint = "A verifier key reads <name>+<8 hex digits>+<base64>; a name has no spaces and no plus sign."


class WitnessRefused(LedgerError):
    code = "ledger.witness_refused"
    message = "The witness {witness} does not counter-sign size {size} of {origin}: {reason}."
    hint = "Send a checkpoint that extends size {seen}, with the consistency proof from {seen} to {size}."
