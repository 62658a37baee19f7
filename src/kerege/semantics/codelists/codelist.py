"""Code lists: concept schemes after SKOS, with notations, labels in ky, ru and en, broader concepts, validity, notes and replacements.

`CodeList.check` names what is wrong (S9, S13, S14 and S27 of SKOS as far as the model can hold it, duplicate notations, missing labels, loops);
loading refuses only what makes a list unusable. `integrity` asks the same of the graph itself, in SPARQL. Reading and writing: `codelists.skos`
(Turtle, RDF/XML, JSON-LD), `codelists.tables` (CSV, XLSX), `codelists.sdmx`; what two versions differ in: `codelists.diff`.
Which code of one list is which of another is `crosswalk`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from kerege.ground.text import LANGUAGES, Said
from kerege.semantics.codelists.lines import Lines
from kerege.semantics.codelists.lines import Loop as Loop
from kerege.semantics.codelists.lines import loops as loops
from kerege.semantics.normalise.folding import fold, latin_key

BASE: Final = "https://kerege.kg/id/"
MOST_CODES: Final = (
    200_000  # more than any classification in use (ICD-10 has 70,000); a register's column is not a code list
)
MOST_BYTES: Final = 128 * 1024 * 1024
Severity = Literal["error", "warning"]
NoteKind = Literal["note", "definition", "scopeNote", "example", "historyNote", "changeNote", "editorialNote"]
NOTE_KINDS: Final[tuple[NoteKind, ...]] = (
    "note", "definition", "scopeNote", "example", "historyNote", "changeNote", "editorialNote",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Note:
    """A text about a concept, by the kind SKOS gives it; `language` "" where none is said."""

    kind: NoteKind
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Concept:
    """One entry of a code list. `labels` by language; validity is inclusive at both ends.

    broader        the notation above it, in the same list; `also_broader` further ones, where a list has several parents
    related        notations it has to do with without being above or below
    replaced_by    notations that took its place when it ended: one for a change, several for a split
    """

    notation: str
    labels: dict[str, str] = field(default_factory=dict)
    alt_labels: tuple[tuple[str, str], ...] = ()  # (language or "", wording)
    broader: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    notes: tuple[Note, ...] = ()
    also_broader: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    replaced_by: tuple[str, ...] = ()

    def label(self, language: str = "en") -> str:
        """The wording in `language`, else in another language, else the notation itself."""
        return self.labels.get(language) or next((w for w in self.labels.values() if w), self.notation)

    def wordings(self) -> Iterator[str]:
        """Every wording: the labels, then the alternatives."""
        yield from self.labels.values()
        yield from (wording for _, wording in self.alt_labels)

    def above(self) -> Iterator[str]:
        """Every notation directly above."""
        if self.broader is not None:
            yield self.broader
        yield from self.also_broader

    def holds_on(self, day: date) -> bool:
        """Whether the code is in force on `day`."""
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a code list or crosswalk: a stable code, the notation it is about, and a sentence (a `Said`); `iri` where a
    graph has one."""

    code: str
    notation: str
    message: str
    severity: Severity
    iri: str = ""

    def as_dict(self) -> dict[str, str]:
        told = {"code": self.code, "severity": self.severity, "notation": self.notation, "message": self.message}
        return told | ({"iri": self.iri} if self.iri else {})

    def __str__(self) -> str:
        about = f"{self.notation or '(list)'} <{self.iri}>" if self.iri else self.notation
        return f"{self.code} {about}: {self.message}"


@dataclass(frozen=True)
class CodeList:
    """A concept scheme: `id` as written in mappings ("kg:sex"), a title by language, and its concepts in order.

    version      as its keeper numbers it; `follows` the version before
    replaced_by  the id of another list that took this one's place
    publisher, license   who keeps it and under what terms; "" where not said
    source       where it was read from, for messages; no part of the list
    """

    id: str
    concepts: tuple[Concept, ...]
    title: dict[str, str] = field(default_factory=dict)
    version: str = ""
    source: str = field(default="", compare=False)
    follows: str = ""
    replaced_by: str = ""
    valid_from: date | None = None
    valid_to: date | None = None
    publisher: str = ""
    license: str = ""
    description: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        index = {c.notation: c for c in reversed(self.concepts)}  # the first of duplicates wins, and `check` names them
        by_wording: dict[str, set[str]] = {}
        for concept in self.concepts:
            for wording in concept.wordings():
                by_wording.setdefault(fold(wording), set()).add(concept.notation)
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "_wordings", by_wording)

    def __len__(self) -> int:
        return len(self.concepts)

    def __iter__(self) -> Iterator[Concept]:
        return iter(self.concepts)

    def __contains__(self, notation: object) -> bool:
        return notation in self._by_notation

    @property
    def _by_notation(self) -> dict[str, Concept]:
        index: dict[str, Concept] = self.__dict__["_index"]
        return index

    def get(self, notation: str) -> Concept | None:
        """The concept with `notation`, or None."""
        return self._by_notation.get(notation)

    def find(self, wording: str) -> tuple[Concept, ...]:
        """The concepts one of whose wordings is `wording`, compared folded (case, blanks, ky and ru letters)."""
        found: dict[str, set[str]] = self.__dict__["_wordings"]
        return tuple(self._by_notation[n] for n in sorted(found.get(fold(wording), ())))

    def ancestors(self, notation: str) -> tuple[str, ...]:
        """The notations above `notation`, nearest first, by the first parent; a cycle ends the walk."""
        seen: list[str] = []
        concept = self.get(notation)
        while concept is not None and concept.broader is not None and concept.broader not in (notation, *seen):
            seen.append(concept.broader)
            concept = self.get(concept.broader)
        return tuple(seen)

    def narrower(self, notation: str | None) -> tuple[Concept, ...]:
        """The concepts directly below `notation`, in order; of None the top ones."""
        if notation is None:
            return tuple(c for c in self.concepts if c.broader is None and not c.also_broader)
        return tuple(c for c in self.concepts if notation in c.above())

    def on(self, day: date) -> CodeList:
        """The list with the concepts in force on `day` only."""
        return CodeList(
            **{name: getattr(self, name) for name in self.__dataclass_fields__ if name != "concepts"},
            concepts=tuple(c for c in self.concepts if c.holds_on(day)),
        )

    def loops(self) -> tuple[Loop, ...]:
        """The loops in the hierarchy; a clean list has none."""
        above: dict[str, list[str]] = {}
        for concept in self.concepts:
            above.setdefault(concept.notation, []).extend(n for n in concept.above() if n in self)
        return loops(above)

    def check(self, languages: Iterable[str] = LANGUAGES) -> tuple[Finding, ...]:
        """Everything wrong with the list, errors first; an empty tuple means a clean list."""
        found = [
            *self._check_notations(),
            *self._check_labels(tuple(languages)),
            *self._check_hierarchy(),
            *self._check_relations(),
        ]
        return tuple(sorted(found, key=lambda f: f.severity != "error"))

    def _check_notations(self) -> Iterator[Finding]:
        if not self.concepts:
            yield Finding("empty_list", "", Said("empty_list", "the list has no concepts"), "error")
        seen: set[str] = set()
        for concept in self.concepts:
            if not concept.notation.strip():
                said = Said(
                    "notation_missing_of", "a concept labelled {label} has no notation", label=repr(concept.label())
                )
                yield Finding("notation_missing", "", said, "error")
            elif concept.notation in seen:
                said = Said("notation_of_two", "the notation is given to two concepts")
                yield Finding("notation_twice", concept.notation, said, "error")
            seen.add(concept.notation)
            if concept.valid_from and concept.valid_to and concept.valid_to < concept.valid_from:
                said = Said("validity_backwards", "it ends before it begins")
                yield Finding("validity_backwards", concept.notation, said, "error")

    def _check_labels(self, languages: tuple[str, ...]) -> Iterator[Finding]:
        owner: dict[tuple[str, str, str | None], str] = {}
        for concept in self.concepts:
            for language in languages:
                label = concept.labels.get(language, "").strip()
                if not label:
                    said = Said("label_missing", "no label in {language}", language=language)
                    yield Finding("label_missing", concept.notation, said, "warning")
                    continue
                digits = "".join(
                    c for c in label if c.isdigit()
                )  # the key makes doubled ones single: grade 1 is not grade 11
                place = (language, f"{latin_key(label) or label} {digits}", concept.broader)
                other = owner.setdefault(place, concept.notation)
                if other != concept.notation:
                    said = Said("label_twice", "its {more} label is also that of {other}", more=language, other=other)
                    yield Finding("label_twice", concept.notation, said, "warning")
            for language, wording in concept.alt_labels:
                if concept.labels.get(language) == wording:
                    said = Said(
                        "label_both",
                        "{label} is its preferred and an alternative label at once (S13)",
                        label=repr(wording),
                    )
                    yield Finding("label_both_kinds", concept.notation, said, "warning")

    def _check_hierarchy(self) -> Iterator[Finding]:
        for concept in self.concepts:
            for above in concept.above():
                if above not in self:
                    said = Said("broader_unknown", "{other} is not in the list", other=above)
                    yield Finding("broader_unknown", concept.notation, said, "error")
        for loop in self.loops():
            said = round_words(loop.way[: MOST_STEPS + 1], len(loop.way))
            for notation in loop.members:
                yield Finding("cycle", notation, said, "error")

    def _check_relations(self) -> Iterator[Finding]:
        for concept in self.concepts:
            for other in concept.related:
                if other not in self:
                    said = Said("related_unknown", "{other} is not in the list", other=other)
                    yield Finding("related_unknown", concept.notation, said, "error")
            for other in concept.replaced_by:
                if other not in self:
                    said = Said(
                        "replacement_unknown", "it is replaced by {other}, which is not in the list", other=other
                    )
                    yield Finding("replacement_unknown", concept.notation, said, "error")
                if concept.valid_to is None:
                    said = Said("replaced_in_force", "it is replaced by {other} and has no last day", other=other)
                    yield Finding("replaced_in_force", concept.notation, said, "warning")
        tied = {(c.notation, other) for c in self.concepts for other in c.related}
        tied |= {(b, a) for a, b in tied}
        if not tied:
            return
        lines = Lines({c.notation: tuple(c.above()) for c in self._by_notation.values()})
        found = lines.reached(tied)
        for notation, other in sorted(found | {(b, a) for a, b in found}):
            said = Said("related_in_line", "it is related to {other}, which is above or below it (S27)", other=other)
            yield Finding("related_in_line", notation, said, "error")


MOST_STEPS: Final = 100  # of a loop that are named


def round_words(way: Sequence[str], length: int) -> Said:
    """A loop in words, one for all who are in it: the whole `way` round, or the first `MOST_STEPS` of its `length` codes."""
    told = [*way, way[0]] if length <= MOST_STEPS else [*way[:MOST_STEPS], f"... ({length})", way[0]]
    return Said("cycle", "it is above itself: {way}", way=" -> ".join(told))
