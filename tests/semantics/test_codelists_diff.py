"""What two versions of a code list differ in."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from hypothesis import given, settings

from kerege.semantics.codelists.codelist import CodeList, Concept, Note
from kerege.semantics.codelists.diff import diff_codelists, renumbered

from .test_codelists_files import code_lists

OLD = CodeList(
    "t:l",
    (
        Concept("1", {"en": "one", "ru": "Один"}),
        Concept("2", {"en": "two"}, broader="1", valid_from=date(2020, 1, 1)),
        Concept("3", {"en": "three"}, replaced_by=("4",)),
        Concept("5", {"en": "five"}),
    ),
    version="1",
)


def test_every_kind_of_change_is_told_with_before_and_after() -> None:
    new = replace(
        OLD,
        concepts=(
            Concept("1", {"en": "first", "ru": "один"}, (("", "I"),), notes=(Note("note", "en", "n"),)),
            Concept("2", {"en": "two"}, valid_from=date(2021, 1, 1), related=("1",)),
            Concept("4", {"en": "four"}),
        ),
    )
    found = [(c.kind, c.notation, c.before, c.after, c.breaking) for c in diff_codelists(OLD, new)]
    assert found == [
        ("gone", "5", "five", "", True),
        ("replaced", "3", "three", "4", True),
        ("validity", "2", "2020-01-01 to ...", "2021-01-01 to ...", True),
        ("moved", "2", "1", "(top)", True),
        ("relabelled", "1", "en: one", "en: first", False),
        ("relabelled", "1", "ru: Один", "ru: один (spelling)", False),
        ("added", "4", "", "four", False),
        ("alternatives", "1", "", "I", False),
        ("relations", "2", "", "related 1", False),
        ("notes", "1", "0 notes", "1 note", False),
    ]


def test_a_validity_made_longer_breaks_nothing() -> None:
    later = replace(OLD, concepts=(OLD.concepts[0], replace(OLD.concepts[1], valid_from=None), *OLD.concepts[2:]))
    (change,) = diff_codelists(OLD, later)
    assert (change.kind, change.breaking) == ("validity", False)


def test_a_renumbered_list_names_the_version_it_follows() -> None:
    later = renumbered(OLD, "2")
    assert (later.version, later.follows) == ("2", "1")
    assert diff_codelists(OLD, later) == ()


@given(code_lists(), code_lists())
@settings(max_examples=15, deadline=None)
def test_a_list_differs_from_itself_in_nothing_and_from_another_in_what_is_named(one: CodeList, two: CodeList) -> None:
    assert diff_codelists(one, one) == ()
    there, back = diff_codelists(one, two), diff_codelists(two, one)
    added = {c.notation for c in there if c.kind == "added"}
    assert added == {c.notation for c in two} - {c.notation for c in one}
    assert {c.notation for c in back if c.kind in ("gone", "replaced")} == added
