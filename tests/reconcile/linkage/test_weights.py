"""A pair weighed by hand and by Splink weighs the same; the definition says what may be declared; a model is kept and read back."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from kerege.demo.pairs.persons import people
from kerege.reconcile.errors import LinkageInvalid, LinkageTableInvalid, ModelInvalid, TrainingImpossible
from kerege.reconcile.linkage import bulk, definition, model, weights
from kerege.reconcile.linkage.definition import Level, LinkageDefinition, Thresholds

COUNTRYS = definition.of_country("persons", "kg")
# the country's own, drawing fewer pairs at random
DEFINITION = replace(COUNTRYS, training=replace(COUNTRYS.training, random_pairs=100_000))
LEFT, RIGHT = bulk.Side("register_a", "id"), bulk.Side("register_b", "id")


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    """Two small registers of invented people, four in five of the second's in the first, miswritten."""
    opened = duckdb.connect()
    people(opened, 1000, 700)
    return opened


@pytest.fixture(scope="module")
def linked(connection: duckdb.DuckDBPyConnection) -> bulk.Linkage:
    run = bulk.Linkage(connection, DEFINITION, LEFT, RIGHT)
    run.train()
    run.score("links", explain=True)
    return run


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    found = connection.execute(query)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_a_pair_weighed_by_hand_weighs_what_splink_says(
    connection: duckdb.DuckDBPyConnection, linked: bulk.Linkage
) -> None:
    known = {
        table: {str(r["id"]): r for r in rows(connection, f"FROM {table}")} for table in ("register_a", "register_b")
    }
    pairs = rows(connection, "FROM links")
    assert len(pairs) > 400
    assert linked.model is not None
    labels = set()
    for pair in pairs:
        found = weights.explain(
            DEFINITION, linked.model, known["register_a"][pair["left_id"]], known["register_b"][pair["right_id"]]
        )
        assert math.isclose(found.weight, pair["weight"], abs_tol=1e-6)
        assert math.isclose(found.probability, pair["probability"], abs_tol=1e-9)
        labels |= {step.level for step in found.steps}
    assert {"exact", "else", "absent", "day_month", "edits:1", "jaro_winkler:0.92"} <= labels


def test_the_steps_of_a_waterfall_add_up_and_are_told_in_three_languages(linked: bulk.Linkage) -> None:
    assert linked.model is not None
    same = {"surname_key": "asanov", "given_name_key": "bakit", "birth_date": "1990-03-12", "sex": "1"}
    other = {**same, "birth_date": "1990-12-03", "region_soate": "41702000000000"}
    found = weights.explain(DEFINITION, linked.model, same, other)
    assert math.isclose(found.weight, linked.model.prior_weight + sum(step.total for step in found.steps))
    told = {step.comparison: (step.level, step.words.en) for step in found.steps}
    assert told["birth_date"] == ("day_month", "day and month changed round")
    assert told["region_soate"] == ("absent", "one side has none")
    assert all(step.words.ky and step.words.ru and step.titles.ky for step in found.steps)
    assert json.dumps(found.as_dict())


def test_a_rare_name_weighs_more_than_a_common_one(linked: bulk.Linkage) -> None:
    learnt = linked.model
    assert learnt is not None
    table = learnt.frequencies["surname_key"]
    common = max(table, key=lambda name: table[name])
    steps = {
        name: next(
            s for s in weights.explain(DEFINITION, learnt, {"surname_key": name}, {"surname_key": name}).steps
            if s.comparison == "surname_key"
        )
        for name in (common, "nobodyhasthis")
    }  # fmt: skip
    assert steps["nobodyhasthis"].rarity > steps[common].rarity
    assert steps["nobodyhasthis"].weight == steps[common].weight


def test_no_name_seen_fewer_times_than_the_least_is_kept_in_a_model(linked: bulk.Linkage) -> None:
    assert linked.model is not None
    for table in linked.model.frequencies.values():
        assert min(table.values()) >= linked.model.least_frequency


def test_a_kept_model_scores_as_the_one_just_trained(
    connection: duckdb.DuckDBPyConnection, linked: bulk.Linkage, tmp_path: Path
) -> None:
    assert linked.model is not None
    linked.model.save(tmp_path / "model.json")
    assert (tmp_path / "model.json").stat().st_mode & 0o077 == 0
    again = bulk.Linkage(connection, DEFINITION, LEFT, RIGHT)
    again.use(model.load(tmp_path / "model.json", DEFINITION))
    again.score("links_again")
    again.close()
    differing = connection.execute(
        "SELECT count(*) FROM links FULL JOIN links_again USING (left_id, right_id) "
        "WHERE links.weight IS NULL OR links_again.weight IS NULL OR abs(links.weight - links_again.weight) > 1e-6"
    ).fetchall()
    assert differing == [(0,)]


def test_most_people_are_found_again_and_nobody_is_taken_for_another(
    connection: duckdb.DuckDBPyConnection, linked: bulk.Linkage
) -> None:
    query = (
        "SELECT count(*), count(*) FILTER (a.person = b.person) FROM links "
        "JOIN register_a a ON a.id = left_id JOIN register_b b ON b.id = right_id WHERE region = 'accept'"
    )
    [(accepted, right)] = connection.execute(query).fetchall()
    assert accepted == right
    assert right > 0.95 * 560


def test_a_pair_with_a_rival_of_nearly_its_weight_goes_to_a_clerk(
    connection: duckdb.DuckDBPyConnection, linked: bulk.Linkage
) -> None:
    assert linked.model is not None
    shown = connection.cursor()
    shown.execute(
        "CREATE OR REPLACE TEMP TABLE one AS SELECT * FROM register_b WHERE document IS NOT NULL ORDER BY id LIMIT 1"
    )
    shown.execute(
        "CREATE OR REPLACE TEMP TABLE two AS SELECT 1 AS id, * EXCLUDE id FROM one UNION ALL SELECT 2, * EXCLUDE id FROM one"
    )
    run = bulk.Linkage(shown, DEFINITION, bulk.Side("two", "id"), bulk.Side("one", "id"))
    run.use(linked.model)
    counted = run.score("twins")
    run.close()
    assert (counted.pairs, counted.accepted, counted.clerical, counted.rivals) == (1, 0, 1, 1)


def test_training_again_gives_the_same_model_and_leaves_nothing_but_its_result_in_the_connection(
    connection: duckdb.DuckDBPyConnection, linked: bulk.Linkage
) -> None:
    before = {row["name"] for row in rows(connection, "SHOW TABLES")}
    again = bulk.Linkage(connection, DEFINITION, LEFT, RIGHT)
    found = again.train()
    again.score("kept_links")
    again.close()
    assert found == linked.model
    assert {row["name"] for row in rows(connection, "SHOW TABLES")} == before | {"kept_links"}


def test_tables_too_small_to_learn_from_are_refused(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE OR REPLACE TEMP TABLE few AS SELECT * FROM register_a LIMIT 3")
    run = bulk.Linkage(connection, DEFINITION, bulk.Side("few", "id"), bulk.Side("few", "id"))
    with pytest.raises(TrainingImpossible, match="3 and 3 records"):
        run.train()


def test_a_table_without_a_field_or_with_one_number_twice_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE OR REPLACE TEMP TABLE odd AS SELECT 7 AS id, * EXCLUDE id FROM register_a LIMIT 2")
    with pytest.raises(LinkageTableInvalid, match="1 of its 2 records has no number of its own"):
        bulk.Linkage(connection, DEFINITION, bulk.Side("odd", "id"), RIGHT)
    connection.execute("CREATE OR REPLACE TEMP TABLE odd AS SELECT id FROM register_a LIMIT 2")
    with pytest.raises(LinkageTableInvalid, match="surname_key"):
        bulk.Linkage(connection, DEFINITION, bulk.Side("odd", "id"), RIGHT)


def test_a_model_of_another_definition_is_refused(linked: bulk.Linkage, tmp_path: Path) -> None:
    assert linked.model is not None
    linked.model.save(tmp_path / "m.json")
    other = definition.parse({**document(), "version": "2"}, "other.yaml")
    with pytest.raises(ModelInvalid, match="trained for kg:persons 1"):
        model.load(tmp_path / "m.json", other)
    (tmp_path / "m.json").write_text("[]", "utf-8")
    with pytest.raises(ModelInvalid, match="cannot be read"):
        model.load(tmp_path / "m.json", DEFINITION)


# --- definitions ------------------------------------------------------------------------------------------------------------------


def document() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((definition.folder("kg") / "persons.yaml").read_text("utf-8"))
    return read


def test_every_definition_of_the_country_loads() -> None:
    for file in sorted(definition.folder("kg").glob("*.yaml")):
        assert isinstance(definition.load(file), LinkageDefinition)


def test_all_faults_of_a_definition_are_named_at_once() -> None:
    raw = document()
    raw["block"] = [["surname; drop table x"]]
    raw["comparisons"][0]["levels"] = [{"regex": "a.*"}]
    raw["comparisons"][1]["titles"] = {"ky": "x"}
    raw["colour"] = "red"
    with pytest.raises(LinkageInvalid) as caught:
        definition.parse(raw, "x.yaml")
    told = str(caught.value)
    assert all(word in told for word in ("block[0]", "comparisons[0]", "comparisons[1]", "unknown key colour"))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("exact", 1),
        ("jaro_winkler", 1.2),
        ("jaro_winkler", True),
        ("edits", 0),
        ("edits", 2.0),
        ("first", None),
        ("swapped_with", "a b"),
        ("sql", "1=1"),
    ],
)
def test_only_the_closed_set_of_levels_is_taken(kind: str, value: Any) -> None:
    with pytest.raises(ValueError, match="level"):
        Level(kind, value)


def test_thresholds_part_three_regions_at_their_very_values() -> None:
    limits = Thresholds(0.99, 0.05)
    assert [limits.region(p) for p in (0.99, 0.98999, 0.05, 0.04999)] == ["accept", "clerical", "clerical", "reject"]
    with pytest.raises(ValueError, match="thresholds"):
        Thresholds(0.1, 0.2)


@pytest.mark.parametrize("name", ["../persons", "", "a/b", "Persons"])
def test_a_name_that_is_a_path_is_no_definition(name: str) -> None:
    with pytest.raises(LinkageInvalid):
        definition.of_country(name, "kg")


@pytest.mark.parametrize("blank", [None, "", " ", "\xa0"])
def test_a_blank_value_weighs_nothing_as_a_null_does(blank: str | None) -> None:
    comparison = DEFINITION.comparison("surname_key")
    for left, right in (("asanov", blank), (blank, "asanov"), (blank, blank)):
        assert weights.level_of(comparison, {"surname_key": left}, {"surname_key": right}) == "absent"
