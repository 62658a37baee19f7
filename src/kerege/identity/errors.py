"""What can go wrong when people, grants and reads are written down."""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class IdentityError(KeregeError):
    """Any error of this room."""


class KeyExposed(IdentityError):
    code = "identity.key_exposed"
    message = "The pseudonym key {file} may be read by others: its mode is {mode}, expected 0600."
    hint = "If nobody copied it: chmod 600 {file}. Otherwise it must be replaced, and old pseudonyms no longer match."


class KeyDamaged(IdentityError):
    code = "identity.key_damaged"
    message = "The pseudonym key {file} should hold 64 hexadecimal digits; it does not."
    hint = "Put back the copy from the safe. A new key makes every earlier pseudonym unreachable."


class ReadIncomplete(IdentityError):
    code = "identity.read_incomplete"
    message = "A read of personal data (number {position} of the batch) has no valid {field}; nothing of the batch was recorded."
    hint = "Give {field} as {expected}. A read without it must not happen: stop the exchange that made it."


class GrantRefused(IdentityError):
    code = "identity.grant_refused"
    message = "The role {role} was not granted to {person}: {reason}."
    hint = "Another person with the right to grant must do it, for one scope and with an end."


class AccessRefused(IdentityError):
    code = "identity.access_refused"
    message = "{person} may not {action} on {scope}: {reason}."
    hint = "Ask the owner of {scope} for a role that contains {action}."


class NotKnown(IdentityError):
    code = "identity.not_known"
    message = "There is no {kind} {name} here."
    hint = "Register it first, or correct the name."


class HistoryFixed(IdentityError):
    code = "identity.history_fixed"
    message = "Rows of {table} are written once; the {act} was refused."
    hint = "Write a new row that corrects the old one; both stay readable."
