"""X-Road's configuration folder: its own layouts of every version, and what is refused for which reason."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kerege.exchange import confdir, conflayout, confwrite
from kerege.exchange.conflayout import LaidOutPart
from kerege.exchange.errors import ConfigurationMalformed, IdentifierInvalid
from kerege.exchange.globalconf import PrivateParameters, SharedParameters

LATER = datetime(2036, 1, 1, tzinfo=UTC)


def parts(shared: SharedParameters, expires: datetime = LATER) -> list[LaidOutPart]:
    private = confwrite.build_private(PrivateParameters("KG"))
    at = "/V6/20261122040000000000000/"
    return [
        LaidOutPart(confdir.SHARED, "KG", confwrite.build_shared(shared), expires, at + "shared-params.xml"),
        LaidOutPart(confdir.PRIVATE, "KG", private, expires + timedelta(hours=1), at + "private-params.xml"),
    ]


def test_what_is_laid_out_reads_back_equal_with_the_earlier_expiry(shared: SharedParameters, tmp_path: Path) -> None:
    conflayout.write(tmp_path, "KG", parts(shared))
    found = conflayout.read(tmp_path)
    assert found.own.shared == shared
    assert found.own.private == PrivateParameters("KG")
    assert found.own.expires == LATER
    assert found.own.version == 6
    assert set(found.own.files) == {confdir.SHARED, confdir.PRIVATE}
    assert not found.partners
    assert not found.problems
    metadata = json.loads((tmp_path / "KG/shared-params.xml.metadata").read_text())
    assert metadata == {
        "contentIdentifier": "SHARED-PARAMETERS",
        "instanceIdentifier": "KG",
        "expirationDate": "2036-01-01T00:00:00Z",
        "contentFileName": "shared-params.xml",
        "contentLocation": "/V6/20261122040000000000000/shared-params.xml",
        "configurationVersion": "6",
    }
    assert (tmp_path / "instance-identifier").read_text() == "KG"


def test_files_no_longer_listed_are_deleted_and_strangers_files_stay(shared: SharedParameters, tmp_path: Path) -> None:
    partner = LaidOutPart(confdir.SHARED, "EE", confwrite.build_shared(shared), LATER)
    conflayout.write(tmp_path, "KG", [*parts(shared), partner])
    (tmp_path / "KG" / "notes.txt").write_text("somebody's own")
    conflayout.write(tmp_path, "KG", parts(shared)[:1])
    left = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert left == ["KG/notes.txt", "KG/shared-params.xml", "KG/shared-params.xml.metadata", "instance-identifier"]


@pytest.mark.parametrize("name", ["../x.xml", ".hidden", "a.metadata", "a/b"])
def test_a_part_whose_name_would_leave_its_folder_is_not_written(
    shared: SharedParameters, tmp_path: Path, name: str
) -> None:
    bad = LaidOutPart(confdir.SHARED, "KG", b"", LATER, file_name=name)
    with pytest.raises(ConfigurationMalformed, match="named"):
        conflayout.write(tmp_path / "conf", "KG", [*parts(shared), bad])
    assert not (tmp_path / "conf").exists()


@pytest.mark.parametrize("instance", ["..", "a/b", "", "x\x00"])
def test_an_instance_whose_code_would_leave_the_folder_is_not_written(tmp_path: Path, instance: str) -> None:
    with pytest.raises(IdentifierInvalid):
        conflayout.write(tmp_path / "conf", "KG", [LaidOutPart(confdir.SHARED, instance, b"", LATER)])


def test_a_partner_that_cannot_be_read_costs_only_that_partner(shared: SharedParameters, tmp_path: Path) -> None:
    conflayout.write(
        tmp_path,
        "KG",
        [*parts(shared), LaidOutPart(confdir.SHARED, "EE", b"<conf/>", LATER, file_name="shared-params.xml")],
    )
    found = conflayout.read(tmp_path)
    assert found.own.shared == shared
    assert not found.partners
    assert "instanceIdentifier" in found.problems["EE"].text


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("instance-identifier", None, "missing"),
        ("instance-identifier", b"", "empty"),
        ("instance-identifier", b"XX", "nothing of its own instance XX"),
        ("KG/shared-params.xml", None, "missing"),
        ("KG/shared-params.xml", b"yyy", "not well-formed"),
        ("KG/shared-params.xml.metadata", None, "missing"),
        ("KG/shared-params.xml.metadata", b"{", "not JSON"),
        ("KG/shared-params.xml.metadata", b"[]", "not a JSON object"),
        ("KG/shared-params.xml.metadata", b'{"expirationDate":"soon"}', "expirationDate"),
        ("KG/shared-params.xml.metadata", b'{"configurationVersion":"x"}', "configurationVersion"),
        ("KG/private-params.xml", b"xxx", "not well-formed"),
        ("KG/private-params.xml.metadata", None, "missing"),
    ],
)
def test_each_defect_is_refused_for_its_own_reason(
    shared: SharedParameters, tmp_path: Path, file: str, content: bytes | None, reason: str
) -> None:
    conflayout.write(tmp_path, "KG", parts(shared))
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ConfigurationMalformed, match=reason):
        conflayout.read(tmp_path)


def test_metadata_without_an_expiry_leaves_the_expiry_open(shared: SharedParameters, tmp_path: Path) -> None:
    conflayout.write(tmp_path, "KG", parts(shared))
    (tmp_path / "KG/shared-params.xml.metadata").write_bytes(b'{"configurationVersion":"3"}')
    found = conflayout.read(tmp_path)
    assert found.own.expires is None
    assert found.own.version == 3


@pytest.mark.vectors
@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_x_roads_own_folders_are_read_with_their_partners(vectors: Path, version: int) -> None:
    found = conflayout.read(vectors / f"globalconf/dirs/globalconf_good_v{version}")
    assert found.own.shared.instance == "EE"
    assert found.own.version == version
    assert found.own.expires is not None
    assert found.own.expires.year == 2124
    assert found.own.private is not None
    assert found.own.private.timestamping_interval_seconds > 0
    assert not found.problems
    assert len(found.partners) >= 2 if version != 3 else found.partners


@pytest.mark.vectors
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("globalconf_malformed", "nothing of its own instance EE; foo: .*metadata.*missing"),
        ("globalconf_missing_identifier", "instance-identifier.*missing"),
        ("globalconf_empty", "nothing of its own instance"),
    ],
)
def test_x_roads_broken_folders_are_refused_for_the_right_reason(vectors: Path, name: str, reason: str) -> None:
    with pytest.raises(ConfigurationMalformed, match=reason):
        conflayout.read(vectors / "globalconf/dirs" / name)


@pytest.mark.vectors
@pytest.mark.parametrize(
    "name", ["live-7.3.2/globalconf", "asic/globalconf-for-asic", "globalconf/dirs/globalconf_good2_v3"]
)
def test_the_folders_beside_real_containers_are_read(vectors: Path, name: str) -> None:
    found = conflayout.read(vectors / name)
    assert found.own.shared.authorities
    assert found.own.shared.members
