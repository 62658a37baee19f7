"""Whole tables compared in DuckDB say exactly what single records say; the workload of an invented pair, with its truth known."""

from __future__ import annotations

import random
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.demo.pairs import agencies
from kerege.reconcile import bulk, workload
from kerege.reconcile.bulk import TableSide
from kerege.reconcile.compare import CLASSES, FieldComparison, compare_views, view_of
from kerege.reconcile.errors import BulkTableInvalid
from kerege.reconcile.fields import of_country

PACK = agencies.pack()
COUNTRY = of_country("kg")
CIVIL = {
    "surname": "Fam",
    "given_name": "Imya",
    "patronymic": "Otch",
    "birth_date": "DataRozhd",
    "sex": "Pol",
    "pin": "Pin",
}
EMIS = {
    "surname": "last_name", "given_name": "first_name", "patronymic": "middle_name", "birth_date": "date_of_birth",
    "sex": "gender_id", "pin": "identity_number",
}  # fmt: skip
NAMES = [
    None,
    "",
    " ",
    "АСАНОВ",
    "Асанов",
    "Asanov",
    "БАКЫТ УУЛУ",
    "Бакыт уулу",
    "Bakyt uulu",
    "Өмүр",
    "ОМУР",
    "-",
    "Жан-Бек",
    "ЖАН БЕК",
]
DATES = [None, "", "03.05.2019", "2019-05-03", "2019-05-04", "32.01.2019", "вчера"]
CODES = [None, "", "М", "м ", "Ж", "1", "2", "9", "??", "М "]
PINS = [None, "", "10305201900012", "1 0305 2019 00012", "20305201900013", "123"]
CELLS = {"surname": NAMES, "given_name": NAMES, "patronymic": NAMES, "birth_date": DATES, "sex": CODES, "pin": PINS}
Rows = list[tuple[dict[str, Any], dict[str, Any], dict[str, list[str]] | None]]


def drawn(rng: random.Random, number: int) -> Rows:
    """Records of both registers at random, and for some a told history."""

    def row() -> dict[str, Any]:
        return {field: rng.choice(values) for field, values in CELLS.items()}

    def history() -> dict[str, list[str]] | None:
        held = [v for v in ("1", "2", "asanov", "2019-05-03") if rng.random() < 0.4]
        return (
            {field: held for field in ("surname", "sex", "birth_date") if rng.random() < 0.5}
            if rng.random() < 0.5
            else None
        )

    return [(row(), row(), history()) for _ in range(number)]


def table(
    connection: duckdb.DuckDBPyConnection, name: str, cells: dict[str, str], mapping: str, rows: list[dict[str, Any]]
) -> None:
    """A table with every cell of the mapping, those of the rows filled in."""
    columns = PACK.mapping(mapping).cells
    named = ", ".join(f'"{c}" VARCHAR' for c in columns)
    connection.execute(f"CREATE OR REPLACE TABLE {name} (id VARCHAR, {named})")
    by_cell = {cell: field for field, cell in cells.items()}
    values = [[str(n), *(row.get(by_cell.get(c, "")) for c in columns)] for n, row in enumerate(rows)]
    connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * (len(columns) + 1))})", values)


def test_tables_in_which_nothing_is_written_are_compared_as_missing() -> None:
    nothing: dict[str, Any] = dict.fromkeys(CELLS)
    connection = duckdb.connect()
    table(connection, "civil", CIVIL, "kg:civil.birth-record", [nothing])
    table(connection, "emis", EMIS, "kg:education.pupil", [nothing])
    connection.execute("CREATE TABLE links AS SELECT '0' AS left_id, '0' AS right_id")
    pair = COUNTRY.pair("civil", "emis")
    assert pair is not None
    left = TableSide("civil", "civil", PACK.mapping("kg:civil.birth-record"), PACK, "id", CIVIL)
    right = TableSide("emis", "emis", PACK.mapping("kg:education.pupil"), PACK, "id", EMIS)
    result = bulk.compare_tables(connection, left, right, "links", pair, COUNTRY, into="compared")
    assert {cls for _, cls in result.tallies} == {"missing"}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_table_says_of_every_record_what_the_pure_function_says(seed: int) -> None:
    rows = drawn(random.Random(seed), 500)
    connection = duckdb.connect()
    table(connection, "civil", CIVIL, "kg:civil.birth-record", [row[0] for row in rows])
    table(connection, "emis", EMIS, "kg:education.pupil", [row[1] for row in rows])
    connection.execute("CREATE TABLE links AS SELECT id AS left_id, id AS right_id FROM civil")
    connection.execute("CREATE TABLE earlier (id VARCHAR, field VARCHAR, value VARCHAR)")
    for n, (_, _, told) in enumerate(rows):
        for field, held in (told or {}).items():
            connection.executemany("INSERT INTO earlier VALUES (?, ?, ?)", [[str(n), field, v] for v in (*held, None)])
    pair = COUNTRY.pair("civil", "emis")
    assert pair is not None
    left = TableSide("civil", "civil", PACK.mapping("kg:civil.birth-record"), PACK, "id", CIVIL, "earlier")
    right = TableSide("emis", "emis", PACK.mapping("kg:education.pupil"), PACK, "id", EMIS)
    bulk.compare_tables(connection, left, right, "links", pair, COUNTRY, into="compared")
    found = connection.execute("SELECT * FROM compared ORDER BY CAST(left_id AS INT)")
    names = [column[0] for column in found.description or ()]
    for (a, b, told), cells in zip(rows, found.fetchall(), strict=True):
        got = dict(zip(names, cells, strict=True))
        views = []
        for register, row, columns, mapping in (("civil", a, CIVIL, left.mapping), ("emis", b, EMIS, right.mapping)):
            mapped = PACK.mapper(mapping.id)({columns[f]: v for f, v in row.items()})
            flagged = [(p.field, p.code) for p in mapped.problems]
            earlier = {f: frozenset(h) for f, h in (told or {}).items()} if register == "civil" else {}
            views.append(view_of(register, "1", row, mapped.values, flagged, earlier))
        for spec in pair.fields:
            one = compare_views(views[0], views[1], spec, COUNTRY)
            assert tuple(got[f"{part}_{spec.name}"] for part in "cwsu") == (one.cls, one.written, one.stale_by, one.unread), (
                spec.name, a[spec.name], b[spec.name],
            )  # fmt: skip


@pytest.fixture(scope="module")
def pair() -> tuple[duckdb.DuckDBPyConnection, bulk.BulkResult, int]:
    """Three thousand invented people in both registers, compared; and how many fields really differ."""
    connection = duckdb.connect()
    differing = agencies.tables(connection, 3000)
    left, right = agencies.sides(PACK)
    compared = agencies.compared_fields()
    declared = compared.pair("register", "agency")
    assert declared is not None
    return (
        connection,
        bulk.compare_tables(connection, left, right, "links", declared, compared, into="compared"),
        differing,
    )


def test_every_true_difference_is_flagged_or_not_comparable_and_nothing_else_is_flagged(
    pair: tuple[duckdb.DuckDBPyConnection, bulk.BulkResult, int],
) -> None:
    connection, result, differing = pair
    found = {
        m.field: m for m in workload.of_table(connection, "compared", "agency", "register", result.fields, "truth")
    }
    assert sum((m.after.true or 0) + (m.after.missed or 0) for name, m in found.items() if name) == differing
    assert all(m.after.flagged == m.after.true for m in found.values())
    assert {name for name, m in found.items() if m.after.missed} <= {"", "marital"}
    assert found["marital"].after.not_comparable == result.tallies["marital", "code_gap"] > 0
    assert found[""].before.flagged == 3000
    assert found[""].after.flagged < 100
    assert result.tallies["district", "stale_copy"] > 0
    assert sum(result.tallies.values()) == 6 * 3000


def test_where_the_truth_is_not_known_true_and_missed_are_empty_and_not_nought(
    pair: tuple[duckdb.DuckDBPyConnection, bulk.BulkResult, int],
) -> None:
    connection, result, _ = pair
    for found in workload.of_table(connection, "compared", "agency", "register", result.fields):
        assert (found.before.true, found.before.missed, found.after.true, found.after.missed) == (
            None,
            None,
            None,
            None,
        )
        assert found.after.precision is None


def test_a_link_without_its_record_is_counted_and_a_number_given_twice_is_refused(
    pair: tuple[duckdb.DuckDBPyConnection, bulk.BulkResult, int],
) -> None:
    connection = pair[0].cursor()
    left, right = agencies.sides(PACK)
    compared = agencies.compared_fields()
    declared = compared.pairs[0]
    connection.execute("CREATE OR REPLACE TEMP TABLE more AS FROM links LIMIT 5")
    connection.execute("INSERT INTO more VALUES ('nobody', 'nowhere')")
    result = bulk.compare_tables(connection, left, right, "more", declared, compared, into="again")
    assert (result.records, result.unlinked) == (5, 1)
    connection.execute("CREATE OR REPLACE TEMP TABLE twice AS FROM agency LIMIT 2")
    connection.execute("UPDATE twice SET NOM = '1'")
    doubled = TableSide("agency", "twice", left.mapping, PACK, "NOM", left.cells)
    with pytest.raises(BulkTableInvalid, match="1 record twice"):
        bulk.compare_tables(connection, doubled, right, "more", declared, compared, into="again")


# --- the workload of comparisons in memory -----------------------------------------------------------------------------------------

CLASSED = st.builds(
    FieldComparison, st.sampled_from(["a", "b"]), st.just("l"), st.just("r"), st.sampled_from(CLASSES), st.just(""),
    st.sampled_from(["same", "different", "absent", ""]),
)  # fmt: skip


@given(
    st.dictionaries(st.sampled_from("xyz"), st.lists(CLASSED, max_size=4, unique_by=lambda c: c.field)),
    st.sets(st.tuples(st.sampled_from("xyz"), st.sampled_from("ab"))),
)
def test_what_really_differs_is_flagged_or_missed_and_never_both(
    comparisons: dict[str, list[FieldComparison]], real: set[tuple[str, str]]
) -> None:
    truth = {record: {f for r, f in real if r == record} for record in "xyz"}
    for found in workload.of_comparisons(comparisons, truth):
        looked = [
            (record, c)
            for record, items in comparisons.items()
            for c in items
            if c.written and found.field in ("", c.field)
        ]
        records = {record for record, _ in looked}
        differing = len({(r if not found.field else (r, c.field)) for r, c in looked if c.field in truth[r]})
        assert found.compared == (len(records) if not found.field else len(looked))
        for way in (found.before, found.after):
            assert way.true is not None
            assert way.missed is not None
            assert way.true + way.missed == differing
            assert way.true <= way.flagged <= found.compared


def test_a_code_that_means_something_else_is_missed_before_and_flagged_after() -> None:
    items = [FieldComparison("region", "civil", "health", "conflict", "", "same")]
    [whole, field] = workload.of_comparisons({"case": items}, {"case": {"region"}})
    assert whole.before.as_dict() == {"flagged": 0, "true": 0, "missed": 1, "not_comparable": 0}
    assert field.after.as_dict() == {"flagged": 1, "true": 1, "missed": 0, "not_comparable": 0}


def test_a_record_whose_truth_nobody_told_makes_true_and_missed_unknown_and_not_nought() -> None:
    items = [FieldComparison("sex", "civil", "health", "equal", "", "same")]
    for truth in ({"one": set()}, {}):
        for found in workload.of_comparisons({"one": items, "two": items}, truth):
            assert (found.after.true, found.after.missed) == (None, None)
    other = FieldComparison("sex", "civil", "population", "equal", "", "same")
    with pytest.raises(ValueError, match="one pair"):
        workload.of_comparisons({"one": [*items, other]}, {"one": {"sex"}})


def test_a_truth_of_other_fields_is_refused_and_of_other_records_is_told(
    pair: tuple[duckdb.DuckDBPyConnection, bulk.BulkResult, int],
) -> None:
    connection, result, _ = pair
    connection.execute("CREATE OR REPLACE TEMP TABLE more AS FROM truth")
    assert workload.truth_elsewhere(connection, "compared", "more") == 0
    connection.execute("INSERT INTO more VALUES ('nobody', 'sex')")
    assert workload.truth_elsewhere(connection, "compared", "more") == 1
    connection.execute("INSERT INTO more VALUES ('1', 'birthdate')")
    with pytest.raises(BulkTableInvalid, match="birthdate"):
        workload.of_table(connection, "compared", "agency", "register", result.fields, "more")


# --- dirt in every pair ---------------------------------------------------------------------------------------------------------------

DIRT = [
    None, "", " ", "\xa0", "\u200b \t", "-", "0", "NULL", "Асанов", "АСАНОВ\xa0", " асанов", "Asanov", "Aсaнов", "Аса\u0301нов", "Өмүр уулу Бакыт",
    "БАКЫТ УУЛУ", "Bakyt uulu", "Асанов Бакыт Садырович", "Асанов  Бакыт", "М", "м ", "M", "Ж", "1", "2", "3", "9", "01", "03.05.2019",
    "2019-05-03", "05/03/2019", "3.5.2019", "2019-05-04", "2019-05-03T00:00:00", "32.01.2019", "99991231", "1 0305 2019 00012", "10305201900012",
    "20305201900013", "Чүй", "ЧУЙ", "Chui", "02", "41703000000000", "41711", "ул. Манаса, 12-5", "Манас көч. 12", "Manas st. 12", "Ош\ufeff",
]  # fmt: skip
KEYED = {
    "civil": "kg:civil.birth-record", "population": "kg:population.person", "health": "kg:health.vaccination", "emis": "kg:education.pupil",
}  # fmt: skip


@pytest.mark.parametrize("names", [("civil", "population"), ("civil", "health"), ("population", "emis")], ids="~".join)
def test_whatever_dirt_stands_in_the_cells_a_table_says_what_the_pure_function_says(names: tuple[str, str]) -> None:
    rng, connection = random.Random("~".join(names)), duckdb.connect()
    pair = COUNTRY.pair(*names)
    assert pair is not None
    sides, tables = [], []
    for register in names:
        mapping = PACK.mapping(KEYED[register])
        cells = bulk.cells_of(mapping, pair.fields, register)
        assert set(cells) == {spec.name for spec in pair.fields}, "every declared field is written somewhere"
        rows = [{cell: rng.choice(DIRT) for cell in mapping.cells} for _ in range(250)]
        columns = ", ".join(f'"{cell}" VARCHAR' for cell in mapping.cells)
        connection.execute(f"CREATE TABLE {register} (id VARCHAR, {columns})")
        values = [[str(n), *row.values()] for n, row in enumerate(rows)]
        connection.executemany(f"INSERT INTO {register} VALUES ({', '.join('?' * (len(mapping.cells) + 1))})", values)
        sides.append(TableSide(register, register, mapping, PACK, "id", cells))
        tables.append(rows)
    connection.execute(f"CREATE TABLE links AS SELECT id AS left_id, id AS right_id FROM {names[0]}")
    connection.execute("INSERT INTO links SELECT * FROM links LIMIT 3")  # a link given twice is one link
    result = bulk.compare_tables(connection, sides[0], sides[1], "links", pair, COUNTRY, into="compared")
    assert (result.records, result.unlinked) == (250, 0)
    found = connection.execute("SELECT * FROM compared ORDER BY CAST(left_id AS INT)")
    heads = [column[0] for column in found.description or ()]
    for a, b, got in zip(*tables, found.fetchall(), strict=True):
        said = dict(zip(heads, got, strict=True))
        views = []
        for side, row in zip(sides, (a, b), strict=True):
            mapped = PACK.mapper(side.mapping.id)(row)
            raw = {name: row[cell] for name, cell in side.cells.items()}
            views.append(view_of(side.register, "1", raw, mapped.values, [(p.field, p.code) for p in mapped.problems]))
        for spec in pair.fields:
            one = compare_views(views[0], views[1], spec, COUNTRY)
            assert (said[f"c_{spec.name}"], said[f"w_{spec.name}"], said[f"s_{spec.name}"]) == (one.cls, one.written, one.stale_by), (
                spec.name, [row[side.cells[spec.name]] for side, row in zip(sides, (a, b), strict=True)],
            )  # fmt: skip
            assert bool(one.unread) == (one.cls in ("code_gap", "not_comparable"))


def test_an_error_of_the_engine_is_told_without_the_value_it_failed_on() -> None:
    connection = duckdb.connect()
    left, right = agencies.sides(PACK)
    agencies.tables(connection, 10)
    connection.execute("ALTER TABLE agency RENAME TO agency_raw")
    connection.execute("CREATE VIEW agency AS SELECT * REPLACE (CAST(FAM AS INT) AS FAM) FROM agency_raw")
    declared = agencies.compared_fields().pairs[0]
    with pytest.raises(BulkTableInvalid) as caught:
        bulk.compare_tables(connection, left, right, "links", declared, agencies.compared_fields(), into="compared")
    [name] = connection.execute("SELECT FAM FROM agency_raw LIMIT 1").fetchone() or ()
    assert "ConversionException" in str(caught.value)
    assert name not in str(caught.value)
    assert caught.value.__cause__ is None


def test_fields_that_are_written_in_one_cell_are_told() -> None:
    pair = COUNTRY.pair("civil", "health")
    assert pair is not None
    cells = {name: bulk.cells_of(PACK.mapping(KEYED[name]), pair.fields, name) for name in ("civil", "health")}
    assert bulk.shared_cells(cells["health"]) == ("given_name", "patronymic", "surname")
    assert bulk.shared_cells(cells["civil"]) == ()
