"""A name where a code would otherwise stand, in the page's language; what nobody worded keeps its own name, and never an English sentence of ours."""

import re

import pytest
from django.utils import translation

from kerege.ground.text import Text
from kerege.semantics import load_pack
from kerege.web import labels, values, words
from kerege.web.desks import desk_findings

CYRILLIC = re.compile("[\u0400-\u04ff]")
SEEN = "Fields as seen in its answers; it has no description of its own"


@pytest.mark.parametrize(
    ("table", "description", "russian"),
    [
        ("births", "", "Записи о рождении"),
        ("GET /api/v5/institutions", "List of institutions", "Школы: описание сервиса"),
        ("KG/GOV/70000002/population/persons", SEEN, "Люди и адреса (реестр населения): что видно в обмене"),
        ("clinic", "Children of the clinic", "Children of the clinic"),
        ("GET /api/wards", "List of wards", "List of wards"),
        ("clinic", "", "clinic"),
    ],
)
def test_a_dataset_that_a_description_or_a_node_told_of_has_its_name(table, description, russian):
    with translation.override("ru"):
        assert labels.dataset(table, description) == russian


def test_every_crosswalk_and_code_list_of_the_country_has_a_name_in_three_languages():
    pack = values.pack() or load_pack()
    for code in pack.crosswalks:
        said = set()
        for language in ("ky", "ru", "en"):
            with translation.override(language):
                said.add(labels.crosswalk(code))
        assert len(said) == 3, code
        assert code not in said
    for code in pack.codelists:
        for language in ("ky", "ru", "en"):
            with translation.override(language):
                assert values.codelist_name(code) != code
    with translation.override("ky"):
        assert labels.crosswalk("kg:clinic-sex--sex", "Clinic: sex") == "Clinic: sex"
        assert labels.crosswalk("kg:clinic-sex--sex") == "kg:clinic-sex--sex"


def test_every_contract_of_the_country_names_its_owner_and_its_law_in_the_pages_language():
    from kerege.web.desks.catalogue import contracts

    for made in contracts.packed().values():
        for language in ("ky", "ru"):
            with translation.override(language):
                told = [labels.team(made.owner_unit), labels.legal(made.legal_basis), contracts._purpose(made)]
                assert all(CYRILLIC.search(one) for one in told), (made.id, told)
                assert made.owner_unit not in told
                assert made.legal_basis not in told
    with translation.override("ru"):
        assert labels.team("The clinic's own unit") == "The clinic's own unit"
        assert labels.legal("to be confirmed") == "уточняется"
        assert labels.legal("Order 12 of the clinic") == "Order 12 of the clinic"


def test_who_answers_for_a_finding_is_named_by_number_by_whole_code_and_by_register():
    known = {"KG/GOV/70000004": Text(ky="Саламаттык сактоо министрлиги", ru="Министерство здравоохранения", en="Ministry of Health")}  # fmt: skip
    with translation.override("ru"):
        assert desk_findings._owner("70000004", known) == "Министерство здравоохранения"
        assert desk_findings._owner("KG/GOV/70000004", known) == "Министерство здравоохранения"
        assert desk_findings._owner("civil", known) == words.word("register.civil")
        assert desk_findings._owner("", known) == ""
