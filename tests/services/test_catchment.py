"""Is an address in a catchment: yes, no, or not known; never a guess from what was lost."""

from __future__ import annotations

import pytest

from kerege.reconcile.link import Entry
from kerege.services.catchment import Catchments, Place, covers

UNIT, OTHER_UNIT = "41711000000000", "41721000000000"


def line(school: str, street: str | None = None, **more: str | None) -> Entry:
    base: dict[str, str | None] = {"school_code": school, "soate": UNIT, "street_key": street, "house_from": None}
    return Entry(base | {"house_to": None, "parity": "all"} | more)


TOWN = Catchments(
    (
        line("S1", "toktogul", parity="odd"),
        line("S2", "toktogul", parity="even"),
        line("S1", "manas", house_from="1", house_to="40"),
        line("S2", "manas", house_from="41"),
        line("S3", soate=OTHER_UNIT),
    )
)


@pytest.mark.parametrize(
    ("school", "street", "house", "expected"),
    [
        ("S1", "toktogul", "7", True),
        ("S1", "toktogul", "8", False),
        ("S1", "toktogul", "7А", True),
        ("S1", "manas", "40", True),
        ("S1", "manas", "41", False),
        ("S2", "manas", "41/2", True),
        ("S1", "toktogul", None, None),
        ("S1", None, "7", None),
        ("S1", "chui", "7", None),
        ("S1", "toktogula", "8", None),
        ("S9", "toktogul", "8", None),
    ],
)
def test_lines_by_street_side_and_range(
    school: str, street: str | None, house: str | None, expected: bool | None
) -> None:
    assert TOWN.contains(school, Place(UNIT, street, house)) is expected


def test_a_line_without_a_street_is_the_whole_unit_where_no_line_names_one() -> None:
    assert TOWN.contains("S3", Place(OTHER_UNIT, "manas", "5")) is True
    assert TOWN.contains("S1", Place(OTHER_UNIT, "manas", "5")) is False


def test_an_address_that_lies_in_no_catchment_at_all_is_not_outside_but_unknown() -> None:
    assert TOWN.contains("S1", Place("41799000000000", "manas", "5")) is None
    assert TOWN.contains("S1", Place(None, "manas", "5")) is None


def test_lines_whose_streets_were_lost_put_nobody_in_and_nobody_out() -> None:
    lost = Catchments((line("S1"), line("S2"), line("S2", "manas")))
    assert lost.contains("S1", Place(UNIT, "manas", "5")) is None
    assert Catchments((line("S1"), line("S1"))).contains("S1", Place(UNIT, "manas", "5")) is None
    ranged = Catchments((line("S1", house_from="1", house_to="40"), line("S2", house_from="41")))
    assert ranged.contains("S1", Place(UNIT, "manas", "5")) is None


def test_a_line_whose_street_is_written_but_has_no_key_is_not_the_whole_unit() -> None:
    lost = Catchments((line("S1", street="???"), line("S2", "manas")))
    assert lost.contains("S1", Place(UNIT, "toktogul", "5")) is None
    assert lost.contains("S2", Place(UNIT, "toktogul", "5")) is None
    assert Catchments((line("S1", street="???"),)).contains("S1", Place(UNIT, "toktogul", "5")) is None


def test_two_schools_may_share_a_whole_unit() -> None:
    shared = Catchments((line("S1"), line("S2")))
    assert shared.contains("S1", Place(UNIT, "manas", "5")) is True
    assert shared.contains("S2", Place(UNIT, "manas", "5")) is True


def test_a_line_of_the_school_in_an_unknown_unit_keeps_the_answer_open() -> None:
    partly = Catchments((line("S1", soate=None), line("S2", "manas")))
    assert partly.contains("S1", Place(UNIT, "manas", "5")) is None


def test_nobody_is_outside_a_list_that_came_incomplete() -> None:
    incomplete = Catchments(TOWN.lines, incomplete=True)
    assert incomplete.contains("S1", Place(UNIT, "toktogul", "8")) is None
    assert incomplete.contains("S1", Place(UNIT, "toktogul", "7")) is True


@pytest.mark.parametrize("field", ["house_from", "parity", "street_key"])
def test_a_part_of_a_line_that_could_not_be_read_makes_it_unknown(field: str) -> None:
    unread = Entry(line("S1", "manas").values, frozenset({(field, "semantics.number_unreadable")}))
    assert covers(unread, Place(UNIT, "manas", "5")) is None


def test_a_parity_nobody_knows_is_unknown_only_where_the_range_does_not_settle_it() -> None:
    odd = line("S1", "manas", house_from="1", house_to="9", parity="чёт")
    assert covers(odd, Place(UNIT, "manas", "5")) is None
    assert covers(odd, Place(UNIT, "manas", "11")) is False
