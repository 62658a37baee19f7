"""The education register's own area codes, mapped to SOATE: suggested from names and parents, accepted only where sure.

The area list comes over the node like everything else; the suggestion engine compares it with the country's gazetteer; what it
accepts goes into the installation's overlay as an SSSOM mapping set, and what it does not is left open: an address in such an area
is later *not comparable*, and a person looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kerege.semantics.crosswalks.sssom import LEXICAL, Crosswalk, Policy, Row, write_sssom
from kerege.semantics.normalise.gazetteer import Gazetteer
from kerege.semantics.suggest.codes import CodeRow, Suggestion
from kerege.semantics.suggest.places import suggest_places

AREA_CROSSWALK: Final = "kg:education-area--soate"


@dataclass(frozen=True, slots=True)
class AreaMatch:
    """What the engine said of the agency's area list: `suggestions` in the list's own order."""

    suggestions: tuple[Suggestion, ...]
    accepted: int
    unsure: int
    none: int


def match_areas(areas: Sequence[Mapping[str, str | None]], gazetteer: Gazetteer) -> AreaMatch:
    """Suggest a SOATE unit for each area record (`code`, `name`, `parent_code`)."""
    known = {area["code"] for area in areas}
    source = [
        CodeRow(
            str(area["code"]),
            str(area["name"] or ""),
            parent=parent if (parent := area.get("parent_code")) in known else None,
        )
        for area in areas
    ]
    suggestions = tuple(suggest_places(source, gazetteer))
    count = {kind: sum(s.decision == kind for s in suggestions) for kind in ("accept", "unsure", "none")}
    return AreaMatch(suggestions, count["accept"], count["unsure"], count["none"])


def write_overlay(match: AreaMatch, areas: Sequence[Mapping[str, str | None]], folder: Path) -> Path:
    """The accepted suggestions as `<overlay>/education-area--soate.sssom.tsv`; a code not in it is flagged, never guessed."""
    labels = {str(area["code"]): str(area["name"] or "") for area in areas}
    rows = tuple(
        Row(
            subject=s.source_code,
            object=s.best,
            justification=LEXICAL,
            subject_label=labels[s.source_code],
            confidence=s.candidates[0].score,
            comment=s.reason,
        )
        for s in match.suggestions
        if s.decision == "accept"
    )
    crosswalk = Crosswalk(
        AREA_CROSSWALK,
        rows,
        subject_source="kg:education-area",
        object_source="kg:soate",
        policy=Policy("null-and-flag"),
        title="Areas of the education register to SOATE, suggested from names and parents",
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "education-area--soate.sssom.tsv"
    aside = path.with_suffix(".new")
    aside.write_bytes(write_sssom(crosswalk, subject_prefix="kga", object_prefix="soate"))
    aside.replace(path)
    return path
