"""The codes of a crosswalk that its file does not name any more and that the catalogue remembers.

A file forgets the candidates of a code when one is accepted; who corrects a slip of the finger means one of them.
"""

from __future__ import annotations

from kerege.catalogue.codes.crosswalks import Known
from kerege.catalogue.models import CodeDecision, CodeSuggestion, SuggestedTarget


def of_log(crosswalk: str) -> Known:
    """The codes and targets that were suggested or decided on before."""
    decided = CodeDecision.objects.filter(crosswalk=crosswalk).values_list("code", "target")
    codes = {code for code, _ in decided} | set(
        CodeSuggestion.objects.filter(crosswalk=crosswalk).values_list("code", flat=True).distinct()
    )
    targets = {target for _, target in decided if target} | set(
        SuggestedTarget.objects.filter(suggestion__crosswalk=crosswalk).values_list("target", flat=True).distinct()
    )
    return Known(frozenset(codes), frozenset(targets))
