"""The catalogue in RIHA's and Spinta's words, and a stranger's manifest read with care."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))  # for `open_catalogue`, which the tests beside this file share

import open_catalogue as world

from kerege.catalogue import errors
from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.exports import dsa, dsa_draft, dsa_read, riha
from kerege.catalogue.models import Dataset
from kerege.catalogue.packs import current_pack
from kerege.catalogue.search import index as search_index
from kerege.cli import main
from kerege.semantics import load_pack
from kerege.semantics.codelists.skos import read_rdf
from kerege.semantics.contracts import odcs
from kerege.semantics.crosswalks.sssom import parse_sssom

SCHEMA = Path(__file__).parents[2].parent / "shared/vectors/riha/infosystem_schema.json"
HEAD = ",".join(dsa.COLUMNS)


@pytest.mark.vectors
@pytest.mark.django_db
def test_a_card_is_valid_by_rihas_schema() -> None:
    world.fill()
    card = riha.card("KG/GOV/70000003", world.ADDRESSES)
    if not SCHEMA.is_file():
        pytest.skip(f"not there: {SCHEMA}")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema_rs.Draft4Validator(schema).validate(card)
    jsonschema_rs.Draft4Validator(schema).validate(riha.card("KG/GOV/70000003"))
    assert not jsonschema_rs.Draft4Validator(schema).is_valid({**card, "short_name": "with blanks"})


@pytest.mark.django_db
def test_a_card_tells_nothing_that_may_not_leave() -> None:
    world.fill()
    text = json.dumps(riha.card("KG/GOV/70000003", world.ADDRESSES))
    for secret in ("director_pin", "budget", "db.internal", "SECRET"):
        assert secret not in text
    with pytest.raises(errors.DatasetUnknown):
        riha.card("KG/GOV/70000002")


@pytest.mark.django_db
def test_a_card_says_whose_a_register_is_what_it_holds_and_where_that_is_shown() -> None:
    schools, _ = world.fill()
    card = riha.card("KG/GOV/70000003", world.ADDRESSES)
    page = f"https://hub.test/datasets/{schools.pk}"
    assert card["owner"] == {"code": "KG/GOV/70000003", "name": "Ministry of Education"}
    assert card["stored_data"] == ["school: 3 attributes described, 2 not public"]
    Dataset.objects.filter(pk=schools.pk).update(organisation="70000003")  # its number alone
    for spelled in ("KG/GOV/70000003", "70000003"):
        assert riha.card(spelled, world.ADDRESSES) == card
    assert card["data_files"] == [{"url": page, "name": "school"}]
    assert card["legislations"] == [{"url": page, "name": "Education act, article 9", "type": "LEGAL_TYPE_STATUTE"}]
    assert (card["topics"], card["meta"]["x_road_status"]["status"]) == (["school"], None)
    silent = riha.card("KG/GOV/70000003")
    assert (silent["data_files"], silent["legislations"], silent["uuid"]) == ([], [], card["uuid"])


def _exported(*words: str) -> str:
    done = CliRunner().invoke(main, ["export", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.django_db
def test_an_exported_contract_is_the_one_in_force_and_reads_back_the_same() -> None:
    world.fill()
    packed = odcs.read(current_pack().folder / "contracts/education.pupil.odcs.yaml")
    told = yaml.safe_load(_exported("odcs", "kg:education.pupil"))
    assert odcs.parse(told).fingerprint == packed.fingerprint
    assert (told["kind"], told["apiVersion"], told["version"]) == ("DataContract", "v3.1.0", packed.version)
    assert [p["name"] for o in told["schema"] for p in o["properties"]] == [
        p.name for o in packed.objects for p in o.properties
    ]
    contracts.add(odcs.parse({**packed.document, "version": "9.0.0", "name": "Newer"}), "a", world.NOW)
    assert yaml.safe_load(_exported("odcs", "kg:education.pupil"))["version"] == "9.0.0", (
        "the hub's own before the pack's"
    )
    assert isinstance(
        CliRunner().invoke(main, ["export", "odcs", "kg:none"]).exception, SystemExit | errors.ContractUnknown
    )


@pytest.mark.django_db
def test_an_exported_list_and_crosswalk_read_back_the_same() -> None:
    pack = current_pack()
    assert read_rdf(_exported("skos", "kg:sex").encode(), "x").concepts == pack.codelist("kg:sex").concepts
    walk = pack.crosswalk("kg:education-sex--sex")
    assert parse_sssom(_exported("sssom", walk.id), "x").rows == walk.rows


@pytest.mark.django_db
@pytest.mark.parametrize(
    "what", ["dcat", "skos kg:sex", "sssom kg:education-sex--sex", "odcs kg:education.pupil", "riha KG/GOV/70000003"]
)
def test_an_export_opens_the_hubs_database_before_it_asks_it(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world.fill()
    opened: list[bool] = []
    monkeypatch.setattr("kerege.cli.export.open_database", lambda: opened.append(True))
    _exported(*what.split(" "))
    assert opened == [True]


def test_a_manifest_has_access_concepts_and_codes_and_says_what_it_leaves_out() -> None:
    pack = current_pack()
    data, left = dsa.write(pack, ["kg:education.school", "kg:education.pupil"])
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert tuple(rows[0]) == dsa.COLUMNS
    by_name = {r["property"]: r for r in rows if r["property"]}
    assert by_name["name"]["access"] == "open"
    assert by_name["sex"]["access"] == "private"
    assert by_name["sex"]["uri"].endswith("/concept/person.sex")
    assert any(line.startswith("kg:education.pupil#birth_date") for line in left)
    codes = {r["source"]: r["prepare"].strip('"') for r in rows if r["prepare"]}
    assert codes.items() >= pack.crosswalk("kg:education-status--enrolment-status").table.items()


def test_codes_that_depend_on_the_day_are_left_out_and_said_so() -> None:
    pack = current_pack()
    walk = next(f.expr.crosswalk for f in pack.mapping("kg:education.pupil").fields if f.name == "sex")  # type: ignore[union-attr]
    dated = replace(
        pack.crosswalk(walk), rows=tuple(replace(r, valid_to=world.NOW.date()) for r in pack.crosswalk(walk).rows)
    )
    data, left = dsa.write(replace(pack, crosswalks=pack.crosswalks | {walk: dated}), ["kg:education.pupil"])
    assert "kg:education.pupil#sex: its crosswalk depends on the record's day or on other cells" in left
    assert "sex" not in {r["property"] for r in csv.DictReader(io.StringIO(data.decode()))}


def test_access_is_inherited_and_enums_become_code_lists(tmp_path: Path) -> None:
    def line(**cells: str) -> str:
        return ",".join(cells.get(c.replace(".", "_"), "") for c in dsa.COLUMNS)

    text = "\n".join(
        [
            HEAD, line(dataset="datasets/gov/x", access="open"), line(resource="db", type="sql"), line(model="Town", source="TOWN"),
            line(property="kind", type="string", source="KIND"), line(type="enum", source="1", prepare="'city'", title="City"),
            line(source="2", prepare="'city'"), line(source="3", prepare="'village'", title="Village"),
            line(property="mayor", type="string", source="M", access="private"),
        ]
    )  # fmt: skip
    found = dsa_read.parse(text)
    assert [m.name for m in found.models] == ["datasets/gov/x/Town"]
    assert [(p.name, p.access, len(p.enum)) for p in found.models[0].properties] == [
        ("kind", "open", 3),
        ("mayor", "private", 0),
    ]
    (written,) = dsa_read.write_codelists(found, tmp_path)
    assert written.read_text(encoding="utf-8").splitlines() == ["notation,en,alt", "city,City,1|2", "village,Village,3"]
    with pytest.raises(errors.OutputExists):
        dsa_read.write_codelists(found, tmp_path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a,b\n1,2\n", "line 1"), ("", "line 1"), (f"{HEAD}\n,,,,,orphan,string,,,,,,,,,,,,,,\n", "line 2"),
        (f"{HEAD}\n,,,,M,,,,,,,,,,,,,,,,\n,,,,,p,string,,,,,,,,,,everybody,,,,\n", "line 3"),
        (f"{HEAD}\n,,,,M,,,,,,,,,,,,,,,,\n,,,,,p,string,,,,,,,,,,,,,,\n,,,,,,enum,,1,,os.system(1),,,,,,,,,,\n", "line 4"),
        (f"{HEAD}\nx\n", "line 2"),
    ],
)  # fmt: skip
def test_a_manifest_that_cannot_be_read_is_refused_with_its_line(text: str, line: str) -> None:
    with pytest.raises(errors.ManifestInvalid, match=line):
        dsa_read.parse(text)


@pytest.mark.django_db
def test_the_commands_write_what_the_rooms_give(tmp_path: Path, settings: object) -> None:
    world.fill()
    search_index.rebuild()
    run = CliRunner()
    for words in (
        ["skos", "kg:sex"],
        ["sssom", "kg:education-sex--sex"],
        ["dcat", "--format", "jsonld", "--hub", "https://hub.example"],
        ["riha", "KG/GOV/70000003"],
        ["dsa"],
    ):
        done = run.invoke(main, ["export", *words])
        assert done.exit_code == 0, done.output
        assert done.stdout
    assert run.invoke(main, ["export", "dcat", "--hub", "hub.example/en"]).exit_code == 2
    found = json.loads(run.invoke(main, ["search", "school", "code", "--json"]).stdout)
    assert found["hits"][0]["kind"] in ("concept", "field")
    told = {h["name"] for h in found["hits"] if h["kind"] in ("dataset", "field")}
    assert f"{world.SOURCE}#school.code" in told, "as commands take it, not the database's number"
    assert f"{world.SOURCE}#school.code" in run.invoke(main, ["search", "school", "code"]).stdout
    assert run.invoke(main, ["search", "--kind", "nonsense", "x"]).exit_code == 2
    manifest = tmp_path / "m.csv"
    assert run.invoke(main, ["export", "dsa", "--out", str(manifest)]).exit_code == 0
    assert run.invoke(main, ["export", "dsa", "--out", str(manifest)]).exit_code == 2, "a file is never overwritten"
    assert "Pupil" in run.invoke(main, ["import", "dsa", str(manifest)]).stdout
    planned = run.invoke(main, ["reference", "publish", "kg-sex", "--codelist", "kg:sex", "--plan"])
    assert "4 new" in planned.stdout
    assert run.invoke(main, ["reference", "list"]).stdout.startswith("None yet.")


def test_drafts_of_our_own_manifest_mean_what_our_mappings_mean(tmp_path: Path) -> None:
    pack = current_pack()
    ids = ["kg:application", "kg:education.pupil", "kg:education.school", "kg:civil.birth-record"]
    data, _ = dsa.write(pack, ids)
    drafts = dsa_draft.write(dsa_read.parse(data.decode()), tmp_path / "drafts")
    assert sorted(p.name for p in (tmp_path / "drafts/mappings").iterdir()) == [
        "application.yaml", "civil.birth_record.yaml", "education.pupil.yaml", "education.school.yaml",
    ]  # fmt: skip
    shutil.copy(pack.folder / "soate-top.csv", tmp_path / "drafts")
    again = load_pack(tmp_path / "drafts")  # which holds every id and code in them against each other
    back, left = dsa.write(again, [i.replace("-", "_") for i in ids])
    assert not [line for line in left if "blanks" not in line]

    def meaning(manifest: bytes) -> list[tuple[str, ...]]:
        told = ("dataset", "model", "property", "type", "source", "prepare")
        return [
            tuple(r[c].lower() for c in told)
            for r in csv.DictReader(io.StringIO(manifest.decode()))
            if not r["resource"]
        ]

    assert meaning(back) == meaning(data)
    for field in ("sex", "status"):
        ours, theirs = (p.mapping("kg:education.pupil") for p in (pack, again))
        walks = [next(f.expr.crosswalk for f in m.fields if f.name == field) for m in (ours, theirs)]  # type: ignore[union-attr]
        assert pack.crosswalk(walks[0]).table == again.crosswalk(walks[1]).table
    assert drafts.left == []


def test_what_a_manifest_says_and_a_mapping_cannot_is_listed(tmp_path: Path) -> None:
    def line(**cells: str) -> str:
        return ",".join(cells.get(c.replace(".", "_"), "") for c in dsa.COLUMNS)

    text = "\n".join(
        [
            HEAD, line(dataset="datasets/gov/rc/ar", access="open"), line(resource="db", type="sql"),
            line(model="Street", source="STREET", title="Street"),
            line(property="id", type="integer", source="ID"), line(property="since", type="date", source="SINCE"),
            line(property="city", type="ref", ref="City", source="CITY"), line(property="shape", type="geometry", source="SHAPE"),
            line(property="upper", type="string", prepare="name.upper()"), line(property="ghost", type="string"),
            line(property="Name", type="string", source="N1"), line(property="name", type="string", source="N2"),
            line(property="kind", type="string", source="KIND"), line(type="enum", source="1", prepare="'street'", title="Street"),
            line(source="2", prepare="'lane'", title="Lane"), line(source="", prepare="'none'"), line(source="2", prepare="'lane'"),
            line(property="side", type="string", source="SIDE"), line(type="enum", source="1", prepare="'left'"), line(source="1", prepare="'right'"),
            line(model="Empty"), line(property="x", type="file", source="X"),
        ]
    )  # fmt: skip
    folder = tmp_path / "drafts"
    drafts = dsa_draft.write(dsa_read.parse(text), folder)
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*.*")) == [
        "codelists/rc-ar-street-kind.csv", "crosswalks/ar-street-kind.sssom.tsv", "left-out.txt", "mappings/ar.street.yaml",
    ]  # fmt: skip
    told = "\n".join(drafts.left)
    assert (folder / "left-out.txt").read_text(encoding="utf-8") == told + "\n"
    for expected in (
        "Street/city: a reference to City", "Street/shape: there is no counterpart to the type geometry", "Street/upper: it is computed by a formula",
        "Street/ghost: it has no column", "Street/Name: another property", "Street/name: another property", "Street/kind: what an empty cell means",
        "Street/side: its enum makes no crosswalk", "Empty: no property of it has a column",
    ):  # fmt: skip
        assert expected in told, expected
    shutil.copy(current_pack().folder / "soate-top.csv", folder)
    record = load_pack(folder).mapper("rc:ar.street")(
        {"id": "7", "since": "2020-02-29", "city": "5", "kind": " 2", "side": "1"}
    )
    assert (record.values["id"], record.values["kind"], record.values["side"]) == ("7", "lane", "1")
    with pytest.raises(errors.OutputExists):
        dsa_draft.write(dsa_read.parse(text), folder)
    assert [p.name for p in tmp_path.iterdir()] == ["drafts"], "and nothing half-made is left beside it"
