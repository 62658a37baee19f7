"""What each kind of thing has of its own in the life cycle: conditions, content, authors, and what follows from an action.

Everything is named and not imported ("module:function"): the rooms' parts stay strangers to each other until somebody acts. `lifecycle` asks.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from kerege.catalogue.lifecycle.rules import Action, Subject, same_person

# (kind, action) -> a function that takes (subject, now) and returns why not, one reason per line, empty when nothing speaks against it
CONDITIONS: Final[dict[tuple[str, str], str]] = {
    ("dataset", "publish"): "kerege.catalogue.ownership.face:publication_reasons",
    # what is approved is there when it is submitted: an approval of nothing would be one of whatever comes later
    ("codelist", "submit"): "kerege.catalogue.codes.versions:codelist_missing",
    ("crosswalk", "submit"): "kerege.catalogue.codes.versions:crosswalk_missing",
    ("contract", "submit"): "kerege.catalogue.contracts.doings:submission_reasons",
    ("reference", "submit"): "kerege.catalogue.reference.proposals:submission_reasons",
    ("reference", "publish"): "kerege.catalogue.reference.proposals:publication_reasons",
    ("codelist", "publish"): "kerege.catalogue.codes.versions:codelist_reasons",
    ("crosswalk", "publish"): "kerege.catalogue.codes.versions:crosswalk_reasons",
    ("contract", "publish"): "kerege.catalogue.contracts.doings:publication_reasons",
    ("contract", "deprecate"): "kerege.catalogue.contracts.doings:deprecation_reasons",
    ("contract", "reinstate"): "kerege.catalogue.contracts.doings:reinstatement_reasons",
    ("contract", "retire"): "kerege.catalogue.contracts.doings:retirement_reasons",
}

# (kind, action) -> a function that takes (subject, action, what is published with it in one transaction) and returns what the action would break; a
# steward may accept that with a reason, which is written with the action
ACCEPTABLE: Final[dict[tuple[str, str], str]] = {
    ("codelist", "publish"): "kerege.catalogue.codes.consequences:broken_by",
    ("codelist", "deprecate"): "kerege.catalogue.codes.consequences:broken_by",
    ("codelist", "reinstate"): "kerege.catalogue.codes.consequences:broken_by",
    ("codelist", "retire"): "kerege.catalogue.codes.consequences:broken_by",
}

# kind -> a function that takes a subject and whether to hold it until the transaction ends, and returns (digest of what the version says, who
# wrote it), ("", "") for a version that is not there. What a version of another kind says never changes under its number.
CONTENT: Final[dict[str, str]] = {
    "dataset": "kerege.catalogue.lifecycle.entries:content",
    "contract": "kerege.catalogue.contracts.doings:content",
}

# kind -> a function that takes a subject and returns who made the version, and so may not approve it, whoever submitted it; of a kind that is not
# here it is who wrote its content
AUTHORS: Final[dict[str, str]] = {
    "codelist": "kerege.catalogue.codes.versions:codelist_authors",
    "crosswalk": "kerege.catalogue.codes.versions:crosswalk_authors",
    "contract": "kerege.catalogue.contracts.doings:authors",
    "reference": "kerege.catalogue.reference.proposals:authors",
}

# (kind, action) -> a function that takes (subject, by, reason, now) and does what follows from the action, in its transaction
EFFECTS: Final[dict[tuple[str, str], str]] = {
    ("crosswalk", "publish"): "kerege.catalogue.codes.unmapped:settle_published",
    ("crosswalk", "reinstate"): "kerege.catalogue.codes.unmapped:settle_published",
    ("reference", "deprecate"): "kerege.catalogue.reference.proposals:withdrawn",
    ("reference", "reinstate"): "kerege.catalogue.reference.proposals:offered_again",
}


def conditions(subject: Subject, action: Action, now: datetime) -> tuple[str, ...]:
    """Why the kind's own condition forbids `action` now; empty when nothing does."""
    target = CONDITIONS.get((subject.kind, action.value))
    return tuple(_named(target)(subject, now)) if target is not None else ()


def acceptable(subject: Subject, action: Action, together: Collection[Subject]) -> tuple[str, ...]:
    """What `action` would break, which a steward may accept with a reason; empty when it breaks nothing."""
    target = ACCEPTABLE.get((subject.kind, action.value))
    return tuple(_named(target)(subject, action, together)) if target is not None else ()


def content(subject: Subject, hold: bool) -> tuple[str, str]:
    """(digest of what the version says, who wrote it); ("", "") for a kind that never changes under its number."""
    target = CONTENT.get(subject.kind)
    told: tuple[str, str] = _named(target)(subject, hold) if target is not None else ("", "")
    return told


def made_by(subject: Subject, person: str) -> bool:
    """Whether `person` made this version, under whatever spelling of the name."""
    target = AUTHORS.get(subject.kind)
    authors: Sequence[str] = _named(target)(subject) if target is not None else (content(subject, False)[1],)
    return any(author and same_person(person, author) for author in authors)


def follow(subject: Subject, action: Action, by: str, reason: str, now: datetime) -> None:
    """Do what follows from `action`."""
    target = EFFECTS.get((subject.kind, action.value))
    if target is not None:
        _named(target)(subject, by, reason, now)


def _named(target: str) -> Any:
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(module), function)
