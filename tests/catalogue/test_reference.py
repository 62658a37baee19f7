"""Reference datasets: approved by two, published once, the same bytes for everybody, never changed."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import sys
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `open_catalogue`, which the tests beside this file share

import open_catalogue as world

from kerege.catalogue import errors
from kerege.catalogue.exports import dcat, dcat_check
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.lifecycle.rules import Subject
from kerege.catalogue.models import ReferenceVersion
from kerege.catalogue.packs import current_pack
from kerege.catalogue.reference import doings as reference
from kerege.catalogue.reference import files as reference_files
from kerege.catalogue.reference import make as reference_make
from kerege.catalogue.reference import proposals as reference_proposals
from kerege.catalogue.reference.doings import Owned
from kerege.catalogue.reference.make import Content
from kerege.ground.clock import iso
from kerege.semantics.crosswalks.sssom import Condition, Crosswalk, Policy, Row

pytestmark = pytest.mark.django_db
SHAPES = Path(__file__).parents[2].parent / "shared/vectors/dcat-ap-3.0.1/html/shacl"
OWNED = Owned("kg-sex", "KG/GOV/70000002", "Standards unit", "Statistics act, article 3", theme="SOCI")


def approve(version: str, content: Content | None = None, owned: Owned = OWNED, days: int = 0) -> None:
    now, subject = world.NOW + timedelta(days=days), Subject("reference", owned.ref_id, version)
    reference_proposals.propose(owned, content or sex(), version, "a.steward", "the list as it stands", now)
    lifecycle.act(subject, "submit", "a.steward", "the list as it stands", now)
    lifecycle.act(subject, "approve", "b.head", "checked", now)


def sex() -> Content:
    return reference_make.of_codelist(current_pack(), "kg:sex")


def publish(content: Content, version: str, folder: Path, days: int = 0) -> reference.VersionView:
    return reference.publish(
        OWNED, content, version, "a.steward", "new version", world.NOW + timedelta(days=days), folder=folder
    )


def test_a_version_is_published_as_files_with_their_checksums(tmp_path: Path) -> None:
    approve("2022")
    made = publish(sex(), "2022", tmp_path)
    assert {f["name"] for f in made.files} == {
        "kg-sex.csv",
        "kg-sex.csv-metadata.json",
        "kg-sex.json",
        "kg-sex.parquet",
    }
    for file in made.files:
        data = (tmp_path / "kg-sex/2022" / file["name"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
    assert lifecycle.status(Subject("reference", "kg-sex", "2022")).state == "published"
    assert made.provenance == {"codelists": {"kg:sex": "2022"}}


def test_csv_csvw_parquet_and_json_hold_the_same_rows(tmp_path: Path) -> None:
    import polars

    approve("2022")
    publish(sex(), "2022", tmp_path)
    folder = tmp_path / "kg-sex/2022"
    plain = list(csv.DictReader(io.StringIO((folder / "kg-sex.csv").read_text("utf-8"))))
    told = json.loads((folder / "kg-sex.json").read_text("utf-8"))
    assert [{k: v or None for k, v in row.items()} for row in plain] == told["items"]
    assert polars.read_parquet(folder / "kg-sex.parquet").to_dicts() == told["items"]
    meta = json.loads((folder / "kg-sex.csv-metadata.json").read_text("utf-8"))
    assert meta["@context"][0] == "http://www.w3.org/ns/csvw"
    assert meta["url"] == "kg-sex.csv"
    assert [c["name"] for c in meta["tableSchema"]["columns"]] == list(plain[0])
    assert meta["tableSchema"]["primaryKey"] == ["code"]


def test_csv_of_reference_data_says_what_its_other_forms_say_also_of_a_text_that_a_spreadsheet_would_run() -> None:
    """Programs read it, under CSVW: an apostrophe before a text would be another text (decision 0119)."""
    rows = tuple(
        (f"{text}{n}", text, *row[2:])
        for n, text in enumerate(("=cmd|' /C calc'!A0", "-1", "@x", "+996"))
        for row in sex().rows[:1]
    )
    run = replace(sex(), rows=rows)
    plain = list(csv.reader(io.StringIO(reference_files.csv_bytes(run).decode(), newline="")))
    told = reference_files.as_json("kg-sex", "1", run, {"title": {}})["items"]
    assert (
        [cells[:2] for cells in plain[1:]]
        == [list(item.values())[:2] for item in told]
        == [list(row[:2]) for row in rows]
    )


def test_nothing_is_published_that_was_not_approved_by_somebody_else(tmp_path: Path) -> None:
    subject = Subject("reference", "kg-sex", "2022")
    with pytest.raises(errors.LifecycleBlocked, match="nobody put its content forward"):
        lifecycle.act(subject, "submit", "a.steward", "list", world.NOW)
    reference_proposals.propose(OWNED, sex(), "2022", "c.author", "first version", world.NOW)
    with pytest.raises(errors.ReferenceNotApproved, match="draft"):
        publish(sex(), "2022", tmp_path)
    lifecycle.act(subject, "submit", "a.steward", "list", world.NOW)
    for by in ("a.steward", "c.author"):
        with pytest.raises(errors.FourEyes):
            lifecycle.act(subject, "approve", by, "fine", world.NOW)
    with pytest.raises(errors.ReferenceNotApproved, match="submitted"):
        publish(sex(), "2022", tmp_path)
    assert not list(tmp_path.rglob("*.csv"))
    assert not ReferenceVersion.objects.exists()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"legal_basis": " "}, errors.LegalBasisMissing), ({"unit": ""}, errors.ReferenceIncomplete),
        ({"organisation": ""}, errors.ReferenceIncomplete), ({"ref_id": "../x"}, errors.ReferenceIncomplete),
        ({"theme": "FUN"}, errors.ReferenceIncomplete),
    ],
)  # fmt: skip
def test_it_needs_an_owner_a_law_and_a_name(tmp_path: Path, change: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        reference.publish(replace(OWNED, **change), sex(), "2022", "a", "b", world.NOW, folder=tmp_path)  # type: ignore[arg-type]


def test_a_published_version_is_never_changed_and_the_same_content_never_published_twice(tmp_path: Path) -> None:
    approve("2022")
    publish(sex(), "2022", tmp_path)
    with pytest.raises(errors.ReferenceTaken):
        publish(sex(), "2022", tmp_path)
    with pytest.raises(errors.ReferenceTaken):
        reference_proposals.propose(OWNED, sex(), "2022", "a.steward", "again", world.NOW)
    approve("2023")
    with pytest.raises(errors.ReferenceUnchanged, match="2022"):
        publish(sex(), "2023", tmp_path)
    other = replace(sex(), provenance={**sex().provenance, "unmapped_policy": "reject"})
    approve("2024", other)
    assert publish(other, "2024", tmp_path).version == "2024", (
        "another policy for codes nobody knows is another content"
    )


def test_the_difference_between_versions_is_told_row_by_row(tmp_path: Path) -> None:
    approve("2022")
    old = sex()
    publish(old, "2022", tmp_path)
    rows = (*(r for r in old.rows if r[0] != "9"), ("3", "үчүнчү", "третий", "third", None, None, None))
    rows = tuple((r[0], r[1], "М", *r[3:]) if r[0] == "1" else r for r in rows)
    new = replace(old, rows=rows)
    approve("2023", new)
    assert reference.plan("kg-sex", new, tmp_path).removed == (("9",),)
    publish(new, "2023", tmp_path, days=1)
    found = reference.diff("kg-sex", "2022", "2023", tmp_path)
    assert (found.added, found.removed, found.changed) == ((("3",),), (("9",),), ((("1",), ("ru",)),))
    assert reference.diff("kg-sex", "2022", "2022", tmp_path).empty


def test_a_file_whose_bytes_changed_is_not_served(tmp_path: Path) -> None:
    approve("2022")
    publish(sex(), "2022", tmp_path)
    assert reference.open_file("kg-sex", "latest", "kg-sex.csv", tmp_path).version == "2022"
    (tmp_path / "kg-sex/2022/kg-sex.csv").write_text("code\n666\n", encoding="utf-8")
    with pytest.raises(errors.ReferenceUnknown):
        reference.open_file("kg-sex", "2022", "kg-sex.csv", tmp_path)
    for name in ("../../../etc/passwd", "other.csv", ""):
        with pytest.raises(errors.ReferenceUnknown):
            reference.open_file("kg-sex", "2022", name, tmp_path)


def test_a_fault_while_publishing_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    approve("2022")

    def broken(*_args: object, **_named: object) -> None:
        raise RuntimeError("power is gone")

    monkeypatch.setattr(lifecycle, "act", broken)
    with pytest.raises(RuntimeError):
        publish(sex(), "2022", tmp_path)
    assert not (tmp_path / "kg-sex/2022").exists()
    assert not ReferenceVersion.objects.exists()
    monkeypatch.undo()
    assert publish(sex(), "2022", tmp_path).version == "2022"


def test_a_withdrawn_version_is_no_longer_the_latest_and_stays_listed(tmp_path: Path) -> None:
    approve("2022")
    publish(sex(), "2022", tmp_path)
    reference.withdraw("kg-sex", "2022", "a.steward", "wrong labels", world.NOW)
    with pytest.raises(errors.ReferenceUnknown):
        reference.open_file("kg-sex", "latest", "kg-sex.csv", tmp_path)
    gone = reference.dataset("kg-sex").versions[0]
    assert (gone.withdrawn, gone.withdrawn_at, gone.withdrawn_reason) == (True, world.NOW, "wrong labels")
    assert "wrong labels" not in str(gone.as_dict()), "everybody is told when, and not what was typed"
    assert gone.as_dict()["withdrawn"] == iso(world.NOW)


def test_a_deprecation_withdraws_a_version_and_taking_it_back_offers_it_again(tmp_path: Path) -> None:
    approve("2022")
    publish(sex(), "2022", tmp_path)
    subject = Subject("reference", "kg-sex", "2022")
    lifecycle.act(subject, "deprecate", "a.steward", "wrong labels", world.NOW)
    row = ReferenceVersion.objects.get()
    assert (row.withdrawn_at, row.withdrawn_reason) == (world.NOW, "wrong labels")
    lifecycle.act(subject, "reinstate", "a.steward", "they were right", world.NOW)
    assert reference.open_file("kg-sex", "latest", "kg-sex.csv", tmp_path).version == "2022"


def test_what_is_published_is_what_was_approved(tmp_path: Path) -> None:
    approve("2022")
    subject = Subject("reference", "kg-sex", "2022")
    with pytest.raises(errors.LifecycleRefused):
        reference_proposals.propose(OWNED, replace(sex(), rows=()), "2022", "a.steward", "quickly", world.NOW)
    with pytest.raises(errors.LifecycleBlocked, match="its files are not there"):
        lifecycle.act(subject, "publish", "a.steward", "by the action alone", world.NOW)
    old = sex()
    for other in (
        replace(old, rows=tuple((r[0], r[1], "М", *r[3:]) for r in old.rows)), replace(old, title={"ky": "x", "ru": "x", "en": "x"}),
        replace(old, provenance={"codelists": {"kg:sex": "of another day"}}),
    ):  # fmt: skip
        with pytest.raises(errors.ReferenceNotAsApproved, match="is not what was approved"):
            publish(other, "2022", tmp_path)
    with pytest.raises(errors.ReferenceNotAsApproved):
        reference.publish(
            replace(OWNED, unit="Another unit"), old, "2022", "a.steward", "x", world.NOW, folder=tmp_path
        )
    assert not list(tmp_path.rglob("*.csv"))
    publish(old, "2022", tmp_path)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"organisation": "KG/GOV/70000009"}, "organisation"),
        ({"unit": "Another"}, "unit"),
        ({"legal_basis": "Another act"}, "legal basis"),
    ],
)
def test_a_new_version_takes_a_dataset_from_nobody(tmp_path: Path, change: dict[str, str], what: str) -> None:
    approve("2022")
    publish(sex(), "2022", tmp_path)
    new = replace(sex(), rows=sex().rows[:1])
    with pytest.raises(errors.ReferenceDiffers, match=f"The {what} of kg-sex is"):
        reference_proposals.propose(replace(OWNED, **change), new, "2023", "a", "b", world.NOW)  # type: ignore[arg-type]
    with pytest.raises(errors.ReferenceDiffers, match="The subject of kg-sex is kg:sex, and kg:yes-no was given"):
        reference_proposals.propose(OWNED, replace(new, subject="kg:yes-no"), "2023", "a", "b", world.NOW)
    kept = replace(OWNED, organisation="", unit="", legal_basis="")  # as it was
    approve("2023", new, kept)
    reference.publish(kept, new, "2023", "a.steward", "fewer codes", world.NOW, folder=tmp_path)
    assert (reference.dataset("kg-sex").organisation, reference.dataset("kg-sex").unit) == (
        OWNED.organisation,
        OWNED.unit,
    )


def test_what_somebody_left_who_was_cut_off_does_not_stand_in_the_way(tmp_path: Path) -> None:
    approve("2022")
    orphan, aside, busy = (tmp_path / "kg-sex" / name for name in ("2022", ".2021.old", ".2023.now"))
    for folder in (orphan, aside, busy):
        folder.mkdir(parents=True)
        (folder / "kg-sex.csv").write_text("half", encoding="utf-8")
    before = time.time() - reference_files.LEFT_SECONDS - 60
    os.utime(aside, (before, before))
    publish(sex(), "2022", tmp_path)
    assert reference.open_file("kg-sex", "2022", "kg-sex.csv", tmp_path).data.startswith(b"code,")
    assert sorted(p.name for p in (tmp_path / "kg-sex").iterdir()) == [".2023.now", "2022"]


def test_a_crosswalk_keeps_its_days_conditions_and_predicates() -> None:
    day, other = date(2020, 1, 1), date(2020, 1, 2)

    def made(last: date) -> Content:
        rows = (
            Row("1", "A", valid_to=last), Row("1", "A", valid_from=last, conditions=(Condition("kind", ("b", "a")),)),
            Row("1", "A", "skos:closeMatch"),
            Row("1", "A", "skos:closeMatch", subject_label="one"), Row("1", "B", predicate_modifier="Not"), Row("2", None),
        )  # fmt: skip
        walk = Crosswalk("t:w", rows, "t:s", "t:t", version="1")
        return reference_make.of_crosswalk(replace(current_pack(), crosswalks={"t:w": walk}), "t:w")

    content = made(day)
    names = [c.name for c in content.columns]
    told = [
        {n: row[names.index(n)] for n in ("predicate", "valid_from", "valid_to", "conditions", "holds")}
        for row in content.rows
    ]
    assert told == [
        {"predicate": "skos:closeMatch", "valid_from": None, "valid_to": None, "conditions": None, "holds": "always"},
        {"predicate": "skos:exactMatch", "valid_from": None, "valid_to": "2020-01-01", "conditions": None, "holds": "... to 2020-01-01"},
        {
            "predicate": "skos:exactMatch", "valid_from": "2020-01-01", "valid_to": None, "conditions": "kind=a,b",
            "holds": "2020-01-01 to ...; kind=a,b",
        },
    ]  # fmt: skip
    assert len(content.keyed()) == len(content.rows), "a key names one row"
    assert content.digest != made(other).digest, "another day is another content"


def test_a_crosswalk_tells_how_its_codes_are_compared() -> None:
    walk = Crosswalk("t:w", (Row("М", "1"),), "t:s", "t:t", version="1")
    folded, exact = (
        reference_make.of_crosswalk(replace(current_pack(), crosswalks={"t:w": replace(walk, match=how)}), "t:w")
        for how in ("folded", "exact")
    )
    assert folded.digest != exact.digest
    assert (folded.provenance["match"], exact.provenance["match"]) == ("folded", "exact")
    at = [c.name for c in folded.columns].index("match")
    assert [row[at] for row in folded.rows] == ["folded"]


def test_what_a_table_was_made_from_knows_days_conditions_and_policy() -> None:
    walk = Crosswalk("t:w", (Row("1", "A"),))
    plain = reference_make.fingerprint(walk)
    assert plain == reference_make.fingerprint(Crosswalk("t:w", (Row("1", "A"),), title="named otherwise"))
    for other in (
        replace(walk, rows=(Row("1", "A", valid_from=date(2020, 1, 1)),)), replace(walk, policy=Policy("reject")), replace(walk, match="folded"),
        replace(walk, rows=(Row("1", "A", conditions=(Condition("k", ("1",)),)),)),
    ):  # fmt: skip
        assert reference_make.fingerprint(other) != plain


def test_a_table_with_a_column_about_people_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mapped.csv"
    file.write_text("school_code,name,pin\nS1,School 1,2\nS2,School 2,3\n", encoding="utf-8")
    pack = current_pack()
    with pytest.raises(errors.ReferencePersonal, match="about people"):
        reference_make.of_table(pack, "x", "kg:population.person", file, ["pin"])
    fields = [f.name for f in pack.mapping("kg:education.school").fields]
    assert {"school_code", "name"} <= set(fields)
    made = reference_make.of_table(
        pack, "schools", "kg:education.school", file, ["school_code"], ["school_code", "name"], "emis"
    )
    assert made.rows == (("S1", "School 1"), ("S2", "School 2"))
    assert made.provenance["mapping"] == {"kg:education.school": pack.version("kg:education.school")}
    file.write_text("school_code,name\nS1,a\nS1,b\n", encoding="utf-8")
    with pytest.raises(errors.ReferenceIncomplete, match="does not name each row once"):
        reference_make.of_table(pack, "schools", "kg:education.school", file, ["school_code"], ["school_code", "name"])


@pytest.mark.vectors
def test_a_published_version_stands_in_the_dcat_export_which_stays_valid(tmp_path: Path) -> None:
    if not SHAPES.is_dir():
        pytest.skip(f"not there: {SHAPES}")
    world.fill()
    approve("2022")
    publish(sex(), "2022", tmp_path)
    data = dcat.serialise(dcat.export(addresses=world.ADDRESSES))
    assert b"kg-sex.parquet" in data
    assert dcat_check.check(data, SHAPES).violations == ()
