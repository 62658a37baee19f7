"""Looking into somebody's case leaves a trace that this person can see: the one place where the hub records reads.

Who is meant is a keyed pseudonym: the child's, from the number in the case's own evidence, and where the registers gave none, the
applicant's, under which the case is kept. The trace is written before the page is shown; if it cannot be written, nothing is. Nobody reads for an
organisation that their account does not name.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from django.conf import settings

from kerege.identity import doings
from kerege.identity.pseudonyms import open_key
from kerege.identity.reads import Read
from kerege.ledger.log import Ledger
from kerege.reconcile.errors import ReaderUnknown
from kerege.services.queries import CaseStory
from kerege.web.signin import Person

STORY: Final = "hub/case-story"
_LEGAL_BASIS: Final = "admission-order"


def ledger_folder() -> Path:
    return Path(settings.HOME) / "ledger"


def subject(story: CaseStory) -> str:
    """The pseudonym of the child a case is about; of the applicant where no register gave the child's number."""
    for line in story.evidence:
        if line.field == "pin" and line.concept == "child.birth" and line.value:
            return open_key(Path(settings.HOME)).of(line.value)
    return story.holder


def record(story: CaseStory, officer: Person, now: datetime) -> None:
    """Write down that `officer` opened this case. Raises ReaderUnknown when it is not known for which subsystem; nothing is to be shown then."""
    if officer.member.count("/") != 3 or not all(officer.member.split("/")):
        raise ReaderUnknown(person=officer.id, member=officer.member or "none is named")
    read = Read(
        member=officer.member,
        reader=officer.id,
        about=subject(story),
        purpose=story.public_service,
        legal_basis=_LEGAL_BASIS,
        data_service=STORY,
        message_id="",
        at=now,
        channel="desk",
    )
    with Ledger.open(ledger_folder()) as ledger:
        doings.record_reads([read], ledger, now)
