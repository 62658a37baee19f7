"""Reference datasets: approved by two, published once, the same bytes for everybody, never changed."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `open_catalogue`, which the tests beside this file share

import open_catalogue as world

from kerege.catalogue import errors, lifecycle, reference, reference_make
from kerege.catalogue.exports import dcat, dcat_check
from kerege.catalogue.lifecycle_rules import Subject
from kerege.catalogue.models import ReferenceVersion
from kerege.catalogue.packs import current_pack
from kerege.catalogue.reference import Owned
from kerege.catalogue.reference_make import Content

pytestmark = pytest.mark.django_db
SHAPES = Path(__file__).parents[2].parent / "shared/vectors/dcat-ap-3.0.1/html/shacl"
OWNED = Owned("kg-sex", "KG/GOV/70000002", "Standards unit", "Statistics act, article 3", theme="SOCI")


def approve(version: str, ref_id: str = "kg-sex") -> None:
    subject = Subject("reference", ref_id, version)
    lifecycle.act(subject, "submit", "a.steward", "the list as it stands", world.NOW)
    lifecycle.act(subject, "approve", "b.head", "checked", world.NOW)


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


def test_nothing_is_published_that_was_not_approved_by_somebody_else(tmp_path: Path) -> None:
    with pytest.raises(errors.ReferenceNotApproved, match="draft"):
        publish(sex(), "2022", tmp_path)
    lifecycle.act(Subject("reference", "kg-sex", "2022"), "submit", "a.steward", "list", world.NOW)
    with pytest.raises(errors.FourEyes):
        lifecycle.act(Subject("reference", "kg-sex", "2022"), "approve", "a.steward", "fine", world.NOW)
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
    approve("2023")
    with pytest.raises(errors.ReferenceUnchanged, match="2022"):
        publish(sex(), "2023", tmp_path)


def test_the_difference_between_versions_is_told_row_by_row(tmp_path: Path) -> None:
    approve("2022")
    old = sex()
    publish(old, "2022", tmp_path)
    rows = (*(r for r in old.rows if r[0] != "9"), ("3", "үчүнчү", "третий", "third", None, None, None))
    rows = tuple((r[0], r[1], "М", *r[3:]) if r[0] == "1" else r for r in rows)
    new = replace(old, rows=rows)
    approve("2023")
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
    assert reference.dataset("kg-sex").versions[0].withdrawn == "wrong labels"


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
