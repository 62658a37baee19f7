"""Tools of others for code lists and crosswalks say the same as we do: skosify (SKOS), pysdmx (SDMX), sssom (SSSOM)."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import date
from pathlib import Path

import pytest

from kerege.semantics.codelists.codelist import CodeList, Concept, Note
from kerege.semantics.codelists.files import Format, write_codelist
from kerege.semantics.codelists.integrity import check_file
from kerege.semantics.crosswalks.sssom import Condition, Crosswalk, Policy, Row, write_sssom

HERE = Path(__file__).parent
TOOLS = HERE.parents[1] / ".venv" / "outside-codes"


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    if not (TOOLS / tool / ".ready").is_file():
        pytest.skip("not there: make outside-codes")
    program = TOOLS / tool / "bin" / (tool if tool == "sssom" else "python")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120)


HEAD = """@prefix skos: <http://www.w3.org/2004/02/skos/core#> . @prefix : <http://e.org/s/> .
: a skos:ConceptScheme ; skos:hasTopConcept :top .
"""


def concept(name: str, rest: str) -> str:
    return (
        f':{name} a skos:Concept ; skos:inScheme : ; skos:notation "{name}" ; skos:prefLabel "{name}"@en ; {rest} .\n'
    )


FAULTY = HEAD + "".join(
    (
        concept("top", 'skos:prefLabel "the top"@en'),  # S14
        concept("a", "skos:broader :top, :b"),
        concept("b", "skos:broader :a"),  # a loop
        concept("c", 'skos:broader :top ; skos:altLabel "c"@en'),  # S13
        concept("d", "skos:broader :c ; skos:related :top"),  # S27
        concept("e", "skos:broader :c, :top"),  # redundant
        concept("f", "skos:broader :c"),
    )
)
CLEAN = HEAD + concept("top", 'skos:prefLabel "oben"@de') + concept("a", "skos:broader :top")
# a check of skosify's, our code, and how skosify names the concept at fault
PAIRS = (
    ("preflabel_uniqueness", "label_language_twice", r"Resource (\S+) has more"),
    ("label_overlap", "label_both_kinds", r"Resource (\S+) has '"),
    ("disjoint_relations", "related_in_line", r"Concepts (\S+) and (\S+) connected"),
    ("hierarchical_redundancy", "broader_twice", r"relationship (\S+) skos:broader"),
    ("hierarchy_cycles", "cycle", r"detected at (\S+) -> (\S+),"),
)


def test_skosify_finds_what_we_find_and_nothing_where_we_find_nothing(tmp_path: Path) -> None:
    path = tmp_path / "l.ttl"
    path.write_text(FAULTY, "utf-8")
    done = run("skosify", HERE / "skos_faults.py", path)
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout)
    ours = check_file(path.read_bytes(), path.name, languages=("en",))
    for check, code, wording in PAIRS:
        met = [m for said in theirs.get(check, []) if (m := re.search(wording, said))]
        found = {name.rpartition("/")[2] for m in met for name in m.groups()}
        mine = {f.notation for f in ours if f.code == code}
        assert found, (check, theirs)
        assert mine >= found if code == "cycle" else mine & found, (check, mine, found)
    assert {f.notation for f in ours if f.code == "related_in_line"} == {"d", "top"}
    path.write_text(CLEAN, "utf-8")
    assert json.loads(run("skosify", HERE / "skos_faults.py", path).stdout) == {}
    assert check_file(path.read_bytes(), path.name, languages=("en",)) == ()


# codes that begin with a letter: the schema of SDMX-ML 3.0 allows no other as a parent, although it allows them as codes
LIST = CodeList(
    "kg:sex",
    (
        Concept("U", {"ky": "белгисиз", "ru": "неизвестно", "en": "unknown"}),
        Concept("M", {"ky": "эркек", "ru": "мужской", "en": "male"}, (("ru", "муж"),), "U", date(2020, 1, 1)),
        Concept("F", {"en": "female"}, notes=(Note("definition", "en", "women"),), replaced_by=("M",)),
    ),
    {"ky": "Жыныс", "ru": "Пол", "en": "Sex"},
    "2.1",
)


def test_pysdmx_reads_the_codes_we_write_and_its_schemas_accept_them(tmp_path: Path) -> None:
    formats: tuple[Format, ...] = ("sdmx-ml-2.1", "sdmx-ml-3.0", "sdmx-json-2.0")
    paths = [tmp_path / f"{n}.{'json' if 'json' in format_ else 'xml'}" for n, format_ in enumerate(formats)]
    for path, format_ in zip(paths, formats, strict=True):
        path.write_bytes(write_codelist(LIST, format_))
    done = run("sdmx", HERE / "sdmx_codes.py", *paths)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == [{"id": "kg:sex", "version": "2.1", "codes": ["U", "M", "F"]}] * 3


def test_sssom_finds_nothing_wrong_with_a_crosswalk_we_write(tmp_path: Path) -> None:
    rows = (
        Row(
            "М", "1", subject_label="мужской", object_label="male", confidence=0.9, reviewer="orcid:0000-0002-1825-0097"
        ),
        Row("Ж", "2", "skos:closeMatch", valid_from=date(2020, 1, 1), conditions=(Condition("kind", ("a", "b;c")),)),
        Row("?", None, comment="no counterpart"),
        Row("не указан", "0", literal=True),
    )
    header = {"mapping_date": "2026-01-01", "creator_id": ["orcid:0000-0002-1825-0097"]}
    licence = "https://creativecommons.org/licenses/by/4.0/"
    walk = Crosswalk(
        "kg:a--sex",
        rows,
        "kg:a",
        "kg:sex",
        Policy("reject"),
        "folded",
        "T",
        "1",
        licence,
        {"orcid": "https://orcid.org/"},
        header,
    )
    path = tmp_path / "a.sssom.tsv"
    path.write_bytes(write_sssom(walk, "zags", "sex"))
    done = run("sssom", "validate", path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "error" not in done.stderr.lower(), done.stderr[-3000:]
