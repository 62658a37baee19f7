"""The fields' figures over a generated small country, counted again from the agencies' own rows by other means."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kerege.reconcile.compare import (
    CLASSES,
    CODE_GAP,
    EQUAL,
    FORMATTING,
    HARMONISED,
    MISSING,
    NOT_COMPARABLE,
    same_letters,
)
from kerege.reconcile.fields import of_country
from kerege.semantics.mappings.translate import translate
from kerege.semantics.normalise import names
from kerege.services import definitions
from kerege.services.admission import Application
from kerege.services.data_first import DataFirst
from kerege.services.run import RunResult, compare_fields, field_counters, process_all

DEFINITION = definitions.of("grade1-admission", "kg")
COMPARED = of_country("kg")
Rows = dict[tuple[str, str], dict[str, Any]]

# register -> its table, the column that numbers its records, and the columns of the fields that have a column of their own
TABLES = {
    "civil": ("civil.births", "ActNo", {"surname": "Fam", "given_name": "Imya", "patronymic": "Otch",
              "birth_date": "DataRozhd", "sex": "Pol", "pin": "Pin", "region": "Oblast"}),
    "population": ("population.persons", "pin", {"surname": "lastName", "given_name": "firstName",
                   "patronymic": "middleName", "birth_date": "dob", "sex": "gender", "pin": "pin", "locality": "soate"}),
    "emis": ("education.institution_students", "student_id", {"surname": "last_name", "given_name": "first_name",
             "patronymic": "middle_name", "birth_date": "date_of_birth", "sex": "gender_id", "pin": "identity_number",
             "locality": "area_administrative_code"}),
    "health": ("health.certificates", "N_SPR", {"birth_date": "DATA_R", "sex": "POL", "pin": "PIN", "region": "OBLAST"}),
}  # fmt: skip


@pytest.fixture(scope="module", params=[1, 4])
def here(
    request: pytest.FixtureRequest, soate_file: Path, small_country: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunResult, Rows]:
    """A compared run, and the rows of the registers by register and number."""
    world = small_country.make_world(request.param)
    pack = small_country.pack_for(world, tmp_path_factory.mktemp("overlay"))
    client = small_country.MemoryCountry(world, lambda mapping, body, kind: translate(pack, mapping, body, kind))
    forms = [Application.of(form.id, form.raw) for form in world.applications]
    run = process_all(forms, DataFirst(client, DEFINITION, small_country.reader(pack)), DEFINITION, workers=4)
    rows = {
        (register, str(record.row[number])): dict(record.row)
        for register, (table, number, _) in TABLES.items()
        for record in world.registers[table]
    }
    return compare_fields(run, COMPARED), rows


def written(row: dict[str, Any], register: str, field: str) -> str:
    return str(row[TABLES[register][2][field]] or "").strip().casefold()


def test_every_linked_record_is_there_as_the_register_wrote_it(here: tuple[RunResult, Rows]) -> None:
    run, rows = here
    seen: Counter[str] = Counter()
    for item in run.processed:
        for register, view in item.views.items():
            assert view.raw is not None
            if register == "application":
                continue
            seen[register] += 1
            row = rows[register, view.record_id]
            for field in TABLES[register][2]:
                assert (view.raw[field] or "").strip().casefold() == written(row, register, field)
    assert set(seen) == set(TABLES)
    assert all(seen[register] > 0.9 * len(run.processed) for register in ("civil", "population", "health"))


def again(left: str, right: str, left_key: str | None, right_key: str | None, gap: bool) -> str:
    """The class of one field, told anew."""
    if not left or not right:
        # one side wrote nothing: only a father's name may still be known, from the surname
        known = left_key is not None and right_key is not None and (left or right)
        return "derived" if known else MISSING
    if gap:
        return CODE_GAP
    if left_key is None or right_key is None:
        return NOT_COMPARABLE
    if left_key != right_key:
        return "conflict"
    return EQUAL if left == right else FORMATTING if same_letters(left, right) else HARMONISED


def test_the_reported_counts_are_those_counted_again_from_the_registers_rows(here: tuple[RunResult, Rows]) -> None:
    run, rows = here
    reported: dict[str, Counter[str]] = {}
    recounted: dict[str, Counter[str]] = {}
    for item in run.processed:
        for found in item.comparisons:
            pair = (found.left_register, found.right_register)
            if any(register not in TABLES or found.field not in TABLES[register][2] for register in pair):
                continue
            texts, keys, gap = [], [], False
            for register in pair:
                view = item.views[register]
                texts.append(written(rows[register, view.record_id], register, found.field))
                canonical = view.canonical or {}
                key_name = COMPARED.fields[found.field].key_of(register)
                key = canonical.get(key_name)
                surname = canonical.get("surname") or ""
                if found.field == "surname" and key is None and names.is_child_of(surname):
                    key = "of " + names.father_root(surname)
                keys.append(key)
                gap = gap or key_name in view.gaps
            expected = again(*texts, *keys, gap)
            if expected == "derived":
                expected = HARMONISED if keys[0] == keys[1] else "conflict"
            reported.setdefault(found.field, Counter())[found.cls] += 1
            recounted.setdefault(found.field, Counter())[expected] += 1
    assert reported == recounted
    assert set(COMPARED.fields) - {"street", "house"} == set(reported)


def test_two_identical_strings_are_never_equal_only_after_harmonising(here: tuple[RunResult, Rows]) -> None:
    run, _ = here
    alike = 0
    for item in run.processed:
        for found in item.comparisons:
            left, right = (
                (item.views[register].raw or {}).get(found.field) or ""
                for register in (found.left_register, found.right_register)
            )
            if left.strip() and left.strip().casefold() == right.strip().casefold():
                alike += 1
                assert found.cls not in (HARMONISED, FORMATTING)
    assert alike > 3 * len(run.processed)


def test_the_figures_of_all_fields_add_up_to_the_comparisons(here: tuple[RunResult, Rows]) -> None:
    run, _ = here
    counters = field_counters(run, COMPARED)
    assert all(set(row) == set(CLASSES) for row in counters.values())
    assert sum(sum(row.values()) for row in counters.values()) == sum(len(item.comparisons) for item in run.processed)
    pairs = sum(
        len(pair.fields)
        for item in run.processed
        for pair in COMPARED.pairs
        if pair.left in item.views and pair.right in item.views
    )
    assert sum(len(item.comparisons) for item in run.processed) == pairs


def test_a_surname_that_is_a_fathers_name_is_compared_and_not_missing(here: tuple[RunResult, Rows]) -> None:
    run, rows = here
    found = [
        (item, comparison)
        for item in run.processed
        for comparison in item.comparisons
        if comparison.field == "surname"
        and (comparison.left_register, comparison.right_register) == ("civil", "population")
        and rows["civil", item.views["civil"].record_id]["Fam"].endswith((" УУЛУ", " КЫЗЫ"))
    ]
    assert found
    assert {comparison.cls for _, comparison in found} <= {EQUAL, FORMATTING, HARMONISED}
