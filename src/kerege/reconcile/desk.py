"""The clerical desk: what clerks' decisions on a pair of records come to. Pure.

A clerk says same, different or cannot tell, with a reason. Where the definition asks for double review, two must say the same thing, each
without the other's word counting twice; when they disagree a third decides between them. `cannot tell` is an answer too: the records
stay apart, and the pair is not asked again.

What was settled is contested when it cannot be true together with what was settled of other pairs (A is B, B is C, and A is not C): then
another clerk, who sees both, has the last word on it.
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


def standing(words: Sequence[Word], double_review: bool, contested: int = 0) -> str:
    """`open`, `awaiting_second`, `disputed`, or the settled verdict. The first word, or the first two that agree, settle it.

    contested  how many words there were when it was last found to contradict another pair; the next word settles it. 0: it never was
    """
    if not words:
        return OPEN
    if contested:
        return words[-1].verdict if len(words) > contested else DISPUTED
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


def held(words: Sequence[Word], double_review: bool, contests: Sequence[int] = ()) -> str:
    """The verdict that was last settled, contested since or not; empty when none was. `contests`: the words there were at each, in order."""
    if contests:
        return words[-1].verdict if len(words) > contests[0] else standing(words[: contests[0]], double_review)
    now = standing(words, double_review)
    return now if now in VERDICTS else ""


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
