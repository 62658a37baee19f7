"""Canonical values in words: codes, dates, places; what nobody knows stays as it is."""

import pytest
from django.utils import translation

from kerege.web import values


@pytest.mark.parametrize(
    ("concept", "field", "value", "shown"),
    [
        ("child.birth", "sex", "2", "female"),
        ("child.birth", "sex", "7", "7"),
        ("child.birth", "birth_date", "2019-09-15", "15 September 2019"),
        ("child.birth", "birth_date", "someday", "someday"),
        ("child.vaccination", "status", "exempt", "medically exempt"),
        ("child.enrolment", "status", "enrolled", "enrolled"),
        ("person.registered_address", "soate", "41711000000000", "Bishkek city"),
        ("person.registered_address", "soate", "99999999999999", "99999999999999"),
        ("child.birth", "patronymic", None, "–"),
        ("child.birth", "surname", "Асанов", "Асанов"),
    ],
)
def test_a_value_is_shown_as_a_person_reads_it(concept, field, value, shown):
    with translation.override("en"):
        assert values.shown(concept, field, value) == shown


def test_a_village_the_gazetteer_does_not_have_is_told_by_the_place_above_it():
    known = values.pack()
    assert known is not None
    district = next(place for place in known.gazetteer if place.parent)
    village = district.soate[:8] + "808030"
    if known.gazetteer.get(village) is not None:
        pytest.skip("not there: this installation has the full list of places")
    with translation.override("ru"):
        shown = values.place(village)
    assert district.name_ru in shown
    assert shown.endswith(f"({village})")
