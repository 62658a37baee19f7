"""Crosswalks: SSSOM in and out, policies, counters."""

from __future__ import annotations

from pathlib import Path

import jsonschema_rs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.semantics.crosswalks import mapping_set as crosswalk_set
from kerege.semantics.crosswalks import sssom as module
from kerege.semantics.crosswalks.sssom import Condition, Crosswalk, Policy, Row, parse_sssom, read_sssom, write_sssom
from kerege.semantics.errors import CrosswalkInvalid

from .support import COUNTRY, SHARED

VECTORS = SHARED / "vectors" / "sssom"
EXAMPLES = sorted((VECTORS / "examples").rglob("*.sssom.tsv"))
HEADER = "#mapping_set_id: https://e.org/x\n"
COLUMNS = "subject_id\tpredicate_id\tobject_id\tmapping_justification\n"


@pytest.mark.vectors
def test_every_official_example_is_read_and_written_back_the_same() -> None:
    if not EXAMPLES:
        pytest.skip("not there: ../shared/vectors/sssom")
    for path in EXAMPLES:
        found = read_sssom(path)
        assert found.rows, path.name
        again = parse_sssom(write_sssom(found).decode(), path.name)
        assert again == found, path.name
        assert [(r.subject_id, r.object_id) for r in again.rows] == [(r.subject_id, r.object_id) for r in found.rows]
    assert len(EXAMPLES) == 31


@pytest.mark.vectors
def test_literals_conditions_and_missing_terms_of_the_examples_are_understood() -> None:
    folder = VECTORS / "examples" / "schema"
    if not folder.is_dir():
        pytest.skip("not there: ../shared/vectors/sssom")
    assert read_sssom(folder / "literals.sssom.tsv").table["alice"] == "0011"
    no_term = read_sssom(folder / "no_term_found.sssom.tsv")
    assert [row.object for row in no_term.rows] == ["0000003", None]
    assert no_term.translate("0000411") == (None, False)
    agreed = read_sssom(folder / "reviewer_agreement.sssom.tsv")
    assert agreed.rows[0].reviewer.startswith("orcid:")
    assert agreed.rows[0].other["reviewer_agreement"] == "0.99"


@pytest.mark.vectors
def test_what_the_pack_ships_conforms_to_the_official_schema() -> None:
    schema = VECTORS / "project" / "jsonschema" / "sssom_schema.schema.json"
    if not schema.is_file():
        pytest.skip("not there: ../shared/vectors/sssom")
    validator = jsonschema_rs.validator_for(orjson.loads(schema.read_bytes()))
    for path in sorted((COUNTRY / "crosswalks").glob("*.tsv")):
        lines = path.read_text("utf-8").splitlines()
        header = module._header([line + "\n" for line in lines if line.startswith("#")], path.name, None)
        columns, *body = [line.split("\t") for line in lines if not line.startswith("#")]
        mappings = [{c: v for c, v in zip(columns, cells, strict=True) if v} for cells in body]
        for mapping in mappings:
            if "confidence" in mapping:
                mapping["confidence"] = float(mapping["confidence"])  # type: ignore[assignment]
        plain = {k: v for k, v in header.items() if not k.startswith("kerege_")}
        errors = [e.message for e in validator.iter_errors({**plain, "mappings": mappings})]
        assert errors == [], path.name


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEADER, "no line with the column names"),
        (HEADER + COLUMNS + "a:1\tskos:exactMatch\n", "lacks predicate_id or object_id"),
        (HEADER + COLUMNS + "a:1\tskos:exactMatch\tb:1\tx\ty\n", "4 cells expected, 5 came"),
        (HEADER + COLUMNS + "\tskos:exactMatch\tb:1\tx\n", "names no source code"),
        ("#a: [\n" + COLUMNS, "not YAML"),
        ("#kerege_policy: guess\n" + COLUMNS, "unknown policy"),
        ("#kerege_policy: default\n" + COLUMNS, "needs the code"),
        ("#kerege_match: fuzzy\n" + COLUMNS, "exact or folded"),
        (HEADER + "subject_id\tsubject_id\tobject_id\n", "stands twice"),
        (HEADER + "one\ttwo\n", "are needed"),
        (HEADER + COLUMNS.replace("\n", "\tconfidence\n") + "a:1\tskos:exactMatch\tb:1\tx\t1.5\n", "between 0 and 1"),
        (HEADER + COLUMNS.replace("\n", "\tconfidence\n") + "a:1\tskos:exactMatch\tb:1\tx\thigh\n", "not a number"),
    ],
)
def test_a_broken_crosswalk_is_refused_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(CrosswalkInvalid, match=reason) as caught:
        parse_sssom(text, "x.sssom.tsv")
    assert "x.sssom.tsv, line" in str(caught.value)


# a page that writes itself out ten times, seven times over: 2 GB as texts
LAUGHS = "x0: &x0 [lol,lol,lol,lol,lol,lol,lol,lol,lol,lol]\n" + "\n".join(
    f"x{n}: &x{n} [{','.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 8)
)
HARM = {
    LAUGHS + "\nmapping_set_title: *x7": "aliases grow to more than",
    "other: " + "[" * 3_000 + "]" * 3_000: "nested more than 20 deep",
    "\n".join(f"k{n}: v{n}" for n in range(60_000)): "at most 65536 are read",
    "other: &a [*a]": "an alias contains itself",
    "other: !!python/object/apply:os.system [id]": "are not read",
    "license: a\nlicense: b": "'license' stands twice",
    "1: a": "a key is not a text",
    "- a": "must be a YAML mapping",
    "other: \ud800": "half of a surrogate pair",
    "mapping_set_title: [a]": "mapping_set_title is not a text",
    "subject_type: {a: b}": "subject_type is not a text",
    "curie_map: {a: [b]}": "a in curie_map is not a text",
    "extension_definitions: [{slot_name: [a]}]": "slot_name in extension_definitions is not a text",
}


@pytest.mark.parametrize(("head", "reason"), HARM.items(), ids=HARM.values())
def test_a_header_made_to_do_harm_is_refused_before_it_does(head: str, reason: str) -> None:
    body = COLUMNS + "a:1\tskos:exactMatch\tb:1\tx\n"
    with pytest.raises(CrosswalkInvalid, match=reason):
        parse_sssom("".join(f"#{line}\n" for line in head.split("\n")) + body, "x.sssom.tsv")
    with pytest.raises(CrosswalkInvalid, match=f"(?s)the metadata beside it.*{reason}|{reason}"):
        parse_sssom(body, "x.sssom.tsv", head)


def test_metadata_beside_a_crosswalk_is_read_no_farther_than_it_may_be_long(tmp_path: Path) -> None:
    (tmp_path / "x.sssom.tsv").write_text(COLUMNS + "a:1\tskos:exactMatch\tb:1\tx\n")
    beside = tmp_path / "x.sssom.yml"
    with beside.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte of nothing
    with pytest.raises(CrosswalkInvalid, match="it has 65537 bytes, at most 65536 are read"):
        read_sssom(tmp_path / "x.sssom.tsv")
    beside.write_bytes(b"license: \xff")
    with pytest.raises(CrosswalkInvalid, match="byte 9 is not UTF-8"):
        read_sssom(tmp_path / "x.sssom.tsv")


def test_a_version_in_a_header_stays_as_it_is_written() -> None:
    head = "#mapping_set_version: 1.10\n#mapping_set_title: no\n#license: null\n#published: 2026-01-01\n#rate: 0.5\n"
    found = parse_sssom(head + COLUMNS + "a:1\tskos:exactMatch\tb:1\tx\n", "x.sssom.tsv")
    assert (found.version, found.title, found.license) == ("1.10", "no", "")
    assert found.header == {"published": "2026-01-01", "rate": 0.5}
    assert parse_sssom(write_sssom(found).decode(), "x.sssom.tsv").header == found.header


def test_a_half_written_row_names_its_line() -> None:
    text = HEADER + COLUMNS + "a:1\tskos:exactMatch\tb:1\tx\n" + "a:2\tskos:exa"
    with pytest.raises(CrosswalkInvalid, match="line 4"):
        parse_sssom(text, "x.sssom.tsv")


# every character but those a line of TSV ends with; U+2028, U+0085 and form feeds end a line for Python alone
CODES = st.text(
    st.sampled_from("\u2028\u2029\x85\x0b\x0c\x1c#'")
    | st.characters(exclude_categories=("Cs",), exclude_characters="\t\r\n"),
    min_size=1,
    max_size=10,
)
ROWS = st.builds(
    Row,
    subject=CODES,
    object=st.none() | CODES,
    predicate=st.sampled_from(["skos:exactMatch", "skos:closeMatch", "skos:relatedMatch"]),
    subject_label=CODES,
    object_label=CODES,
    confidence=st.none() | st.integers(0, 100).map(lambda n: n / 100),
    reviewer=st.sampled_from(["", "orcid:0000-0001"]),
    comment=CODES,
    conditions=st.lists(CODES, max_size=2, unique=True).map(lambda v: (Condition("c", tuple(v)),) if v else ()),
)


@given(
    st.lists(ROWS, max_size=6),
    st.sampled_from(["reject", "quarantine", "pass-and-flag", "null-and-flag", "default x y"]),
    CODES,
)
def test_a_written_crosswalk_is_read_back_the_same(rows: list[Row], policy: str, title: str) -> None:
    walk = Crosswalk("kg:a--b", tuple(rows), "kg:a", "kg:b", Policy.parse(policy), "folded", title, "2")
    again = parse_sssom(write_sssom(walk, "a", "b").decode(), "x")
    assert again.rows == walk.rows
    assert (again.id, again.policy, again.match, again.title, again.version) == (
        walk.id,
        walk.policy,
        "folded",
        title,
        "2",
    )
    assert (again.subject_source, again.object_source) == ("kg:a", "kg:b")


@pytest.mark.parametrize(
    ("policy", "value"),
    [("reject", None), ("quarantine", None), ("null-and-flag", None), ("pass-and-flag", "??"), ("default 0", "0")],
)
def test_an_unmapped_code_gets_what_the_policy_says_and_is_counted(policy: str, value: str | None) -> None:
    walk = Crosswalk("x", (Row("M", "1"),), policy=Policy.parse(policy))
    assert walk.translate("M") == ("1", True)
    assert walk.translate("??") == (value, False)
    assert walk.translate("??") == (value, False)
    assert dict(walk.unmapped) == {"??": 2}


def test_counters_stay_small_however_much_noise_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crosswalk_set, "COUNTED", 3)
    walk = Crosswalk("x")
    for number in range(10):
        walk.translate(str(number))
    walk.translate("0")
    assert dict(walk.unmapped) == {"0": 2, "1": 1, "2": 1, module.OTHERS: 7}


def test_a_code_with_two_targets_is_ambiguous_and_never_guessed() -> None:
    walk = Crosswalk("x", (Row("a", "1"), Row("a", "2"), Row("b", "1"), Row("b", "1")))
    assert walk.ambiguous == {"a"}
    assert walk.translate("a")[1] is False
    assert walk.translate("b") == ("1", True)


def test_an_exact_match_speaks_before_a_close_one() -> None:
    walk = Crosswalk("x", (Row("a", "2", "skos:closeMatch"), Row("a", "1")))
    assert walk.translate("a") == ("1", True)


def test_a_negative_or_merely_related_row_does_not_translate() -> None:
    walk = Crosswalk("x", (Row("a", "1", predicate_modifier="Not"), Row("b", "1", "skos:relatedMatch")))
    assert walk.table == {}


def test_wordings_are_compared_folded_when_the_set_says_so() -> None:
    walk = Crosswalk("x", (Row("Чүй облусу", "3", literal=True),), match="folded")
    assert walk.translate(" ЧУЙ  ОБЛУСУ ") == ("3", True)


def test_an_overlays_rows_and_policy_win_for_the_same_code() -> None:
    base = Crosswalk("x", (Row("a", "1"), Row("b", "2")), "s", "o", Policy("quarantine"), title="Base")
    over = Crosswalk("x", (Row("a", "9"), Row("c", "3")), policy=Policy("null-and-flag"))
    merged = base.merged(over)
    assert merged.table == {"a": "9", "b": "2", "c": "3"}
    assert (str(merged.policy), merged.subject_source, merged.title) == ("null-and-flag", "s", "Base")


def test_a_tab_in_a_label_is_refused_instead_of_breaking_the_file() -> None:
    with pytest.raises(CrosswalkInvalid, match="tab or line break"):
        write_sssom(Crosswalk("x", (Row("a\tb", "1"),)))
    with pytest.raises(CrosswalkInvalid, match="half a character"):
        write_sssom(Crosswalk("x", (Row("a", "1", subject_label="\ud800"),)))
