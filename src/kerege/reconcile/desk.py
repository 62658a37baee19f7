"""The clerical desk: what clerks' decisions on a pair of records come to. Pure.

A clerk says same, different or cannot tell, with a reason. Where the definition asks for double review, two must say the same thing, each
without the other's word counting twice; when they disagree a third decides between them. `cannot tell` is an answer too: the records
stay apart, and the pair is not asked again.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SAME: Final = "same"
DIFFERENT: Final = "different"
CANNOT_TELL: Final = "cannot_tell"
VERDICTS: Final = (SAME, DIFFERENT, CANNOT_TELL)

OPEN: Final = "open"
SECOND: Final = "awaiting_second"
DISPUTED: Final = "disputed"
STANDINGS: Final = (OPEN, SECOND, DISPUTED, *VERDICTS)


@dataclass(frozen=True, slots=True)
class Word:
    """One clerk's decision."""

    verdict: str
    by: str
    reason: str


def standing(words: Sequence[Word], double_review: bool) -> str:
    """`open`, `awaiting_second`, `disputed`, or the settled verdict. The first word, or the first two that agree, settle it."""
    if not words:
        return OPEN
    if not double_review:
        return words[0].verdict
    counted: Counter[str] = Counter()
    for word in words:
        counted[word.verdict] += 1
        if counted[word.verdict] == 2:
            return word.verdict
    if len(words) >= len(VERDICTS):
        return CANNOT_TELL  # three clerks, three answers: nobody can
    return SECOND if len(words) == 1 else DISPUTED


def one_person(by: str) -> str:
    """Who a clerk is, however the identifier was typed: capitals, blanks and the form of letters make no second person."""
    return "".join(unicodedata.normalize("NFKC", by).casefold().split())


def refusal(words: Sequence[Word], verdict: str, reason: str, by: str) -> str:
    """Why a decision cannot be taken; empty when it can."""
    if verdict not in VERDICTS:
        return f"a verdict is {', '.join(VERDICTS)}"
    if not reason.strip() or len(reason) > 400:
        return "a reason of 1 to 400 characters is needed"
    if not one_person(by):
        return "who decides is needed"
    if any(one_person(word.by) == one_person(by) for word in words):
        return "the same person has decided on it before; a second review needs another one"
    return ""
