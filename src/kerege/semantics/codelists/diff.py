"""What two versions of a code list differ in, code by code: for a steward who compares, and for `impact`, which asks what breaks.

A pure function of two lists. `breaking` says which changes can make a value that was right wrong: a code gone, its validity cut, its meaning moved
(a label changed beyond spelling is for people to judge and stands as `relabelled`). A code that went and named its successor is `replaced`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, Literal

from kerege.ground.text import counted
from kerege.semantics.codelists.codelist import CodeList, Concept
from kerege.semantics.normalise.folding import fold

ChangeKind = Literal[
    "added", "gone", "replaced", "relabelled", "alternatives", "moved", "validity", "notes", "relations"
]
KINDS: Final[tuple[ChangeKind, ...]] = (
    "gone", "replaced", "validity", "moved", "relabelled", "added", "alternatives", "relations", "notes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CodeChange:
    """One difference: what kind, of which code, before and after in words; `breaking` when values that were right may now be wrong."""

    kind: ChangeKind
    notation: str
    before: str
    after: str
    breaking: bool

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "notation": self.notation, "before": self.before, "after": self.after, "breaking": self.breaking,
        }  # fmt: skip


def diff_codelists(old: CodeList, new: CodeList) -> tuple[CodeChange, ...]:
    """Every difference between two versions, by kind (`KINDS`, the gravest first) and notation; none for equal lists.

    The order of codes and the list's own title are no difference. Applying nothing: the verdict is for the caller.
    """
    changes = [_gone(concept, new) for concept in old if concept.notation not in new]
    changes += [CodeChange("added", c.notation, "", c.label(), breaking=False) for c in new if c.notation not in old]
    for concept in old:
        later = new.get(concept.notation)
        if later is not None and later != concept:
            changes += _changed(concept, later)
    return tuple(sorted(dict.fromkeys(changes), key=lambda c: (KINDS.index(c.kind), c.notation, c.before)))


def _gone(concept: Concept, new: CodeList) -> CodeChange:
    there = [n for n in concept.replaced_by if n in new]
    if there:
        return CodeChange("replaced", concept.notation, concept.label(), ", ".join(there), breaking=True)
    return CodeChange("gone", concept.notation, concept.label(), "", breaking=True)


def _changed(old: Concept, new: Concept) -> list[CodeChange]:
    out = []
    for language in sorted({*old.labels, *new.labels}):
        before, after = old.labels.get(language, ""), new.labels.get(language, "")
        if before != after:
            spelled = " (spelling)" if before and fold(before) == fold(after) else ""
            said = f"{language}: {after}{spelled}" if after else f"{language}: (none)"
            out.append(CodeChange("relabelled", old.notation, f"{language}: {before}" if before else "", said, False))
    if set(old.above()) != set(new.above()):
        before, after = ", ".join(old.above()) or "(top)", ", ".join(new.above()) or "(top)"
        out.append(CodeChange("moved", old.notation, before, after, breaking=True))
    if (old.valid_from, old.valid_to) != (new.valid_from, new.valid_to):
        out.append(CodeChange("validity", old.notation, _days(old), _days(new), breaking=not _covers(new, old)))
    if old.alt_labels != new.alt_labels:
        out.append(CodeChange("alternatives", old.notation, _listed(old), _listed(new), breaking=False))
    if old.notes != new.notes:
        out.append(
            CodeChange(
                "notes", old.notation, counted(len(old.notes), "note"), counted(len(new.notes), "note"), breaking=False
            )
        )
    if (set(old.related), set(old.replaced_by)) != (set(new.related), set(new.replaced_by)):
        out.append(CodeChange("relations", old.notation, _ties(old), _ties(new), breaking=False))
    return out


def _days(concept: Concept) -> str:
    return f"{concept.valid_from or '...'} to {concept.valid_to or '...'}"


def _covers(wide: Concept, narrow: Concept) -> bool:
    first = (wide.valid_from or date.min) <= (narrow.valid_from or date.min)
    return first and (wide.valid_to or date.max) >= (narrow.valid_to or date.max)


def _listed(concept: Concept) -> str:
    return ", ".join(wording for _, wording in concept.alt_labels)


def _ties(concept: Concept) -> str:
    parts = (("related", concept.related), ("replaced by", concept.replaced_by))
    return "; ".join(f"{name} {', '.join(others)}" for name, others in parts if others)


def renumbered(codelist: CodeList, version: str) -> CodeList:
    """The list as the next version `version` of itself."""
    return replace(codelist, version=version, follows=codelist.version)
