"""The central register: entries set and dropped as audited doings, a file planned and applied, all of it published and followed."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from kerege.exchange import certs, confdir, globalconf
from kerege.exchange.ids import ClientId, ServerId, SubsystemId
from kerege.exchange.pki import PROFILE, TestAuthority
from kerege.membership import central, central_picture, declared, doings, queries, signing
from kerege.membership.errors import EntryHeld, EntryInvalid, KeysMissing, NothingToDrop, PublishFailed

NOW = datetime.now(UTC).replace(microsecond=0)
SERVER = "KG/GOV/70000003/node-edu"
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority.create("KG", NOW)


@pytest.fixture
def file(tmp_path: Path, authority: TestAuthority) -> Path:
    """A declared network that says something of every kind."""
    auth = authority.auth_certificate(ServerId.parse(SERVER), "Edu", NOW)
    for name, certificate in (
        ("ca", authority.ca.certificate),
        ("ocsp", authority.responder.certificate),
        ("auth", auth.certificate),
    ):
        (tmp_path / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    anchor = confdir.build_anchor(globalconf.Anchor("EE", (("http://ee/externalconf", authority.ca.certificate),)), NOW)
    (tmp_path / "ee.xml").write_bytes(anchor)
    out = tmp_path / "network.yaml"
    out.write_text(
        f"""
instance: KG
settings:
  ocsp_freshness_seconds: 1800
  timestamping_interval_seconds: 120
  management_provider: KG/GOV/70000003/emis
  auth_cert_registration_address: https://cs:4001/
  auth_cert_registration_certificate: ca.pem
  monitoring_client: KG/GOV/70000003/emis
  verify_next_update: false
  ocsp_fetch_seconds: 300
  source_addresses: [cs1.kg, cs2.kg]
member_classes: {{GOV: Government}}
certification:
  - name: TEST authority
    certificate: ca.pem
    profile: {PROFILE}
    ocsp: [{{url: "http://ocsp/", certificate: ocsp.pem, cost: FREE}}]
    intermediates: [{{certificate: ca.pem}}]
    acme: {{directory_url: "https://acme/"}}
timestamping:
  - {{name: TSA, url: "http://tsa/", certificate: ca.pem, cost: PAID}}
partners: {{EE: ee.xml}}
members:
  - {{id: KG/GOV/70000003, name: {{ky: Билим, ru: Образование, en: Education}}, subsystems: {{emis: EMIS, admission: null}}}}
servers:
  - {{id: {SERVER}, address: "node.edu.kg:5500", clients: [KG/GOV/70000003/emis, KG/GOV/70000003/admission],
      disabled: [KG/GOV/70000003/admission], certificates: [auth.pem], maintenance: back at noon}}
groups:
  schools: {{description: All schools, members: [KG/GOV/70000003/emis]}}
""",
        encoding="utf-8",
    )
    return out


def applied(file: Path, ledger: Any) -> int:
    return declared.apply(declared.plan(file), ledger=ledger, now=NOW, by="operator")


def test_a_file_is_planned_without_changing_anything_and_applied_in_one_go(file: Path, ledger: Any) -> None:
    planned = declared.plan(file)
    assert not central.entries("KG")
    assert {step.action for step in planned.steps} == {"+"}
    assert {step.kind for step in planned.steps} == set(central.KINDS)
    assert applied(file, ledger) == len(planned.steps)
    assert ledger.kinds() == ["network-set"] * len(planned.steps)
    assert declared.plan(file).steps == ()


def test_what_was_taken_out_of_the_file_is_dropped_but_never_members_and_servers(file: Path, ledger: Any) -> None:
    applied(file, ledger)
    text = file.read_text(encoding="utf-8")
    start, end = text.index("groups:"), len(text)
    file.write_text(text[:start] + "groups: {}\n" + text[end:].replace("x", "x"), encoding="utf-8")
    assert [str(step) for step in declared.plan(file).steps] == ["- group schools"]
    (file.parent / "small.yaml").write_text("instance: KG\nmembers: []\nservers: []\n", encoding="utf-8")
    steps = declared.plan(file.parent / "small.yaml").steps
    assert {step.kind for step in steps} == {"client", "certificate"}
    applied(file, ledger)
    assert ("group", "schools") not in central.entries("KG")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("instance: KG", "inst: KG", "of which instance"),
        ("groups:", "grups:", "sections are"),
        ("certificate: ca.pem", "certificate: none.pem", "none.pem"),
        ("GOV: Government", "- x", "not YAML|not as expected"),
        ("name: TSA,", "", "a field name is missing"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(file: Path, old: str, new: str, reason: str) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(EntryInvalid, match=reason):
        declared.plan(file)


def test_one_bad_step_leaves_nothing_of_the_plan(file: Path, ledger: Any) -> None:
    text = file.read_text(encoding="utf-8").replace("cost: PAID", "cost: MUCH")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(EntryInvalid, match="a cost is one of"):
        applied(file, ledger)
    assert not central.entries("KG")


@pytest.mark.parametrize(
    ("kind", "name", "body", "reason"),
    [
        ("planet", "x", {}, "none of"),
        ("setting", "speed", {"value": 1}, "no such setting"),
        ("setting", "valid_seconds", {"value": "x"}, "a whole number from 180 to 2592000"),
        ("setting", "valid_seconds", {"value": 179}, "nodes ask once a minute"),
        ("setting", "valid_seconds", {"value": 99999999999}, "a whole number from 180"),
        ("setting", "ocsp_fetch_seconds", {"value": 0}, "a whole number from 1 to 999999999\\."),
        ("setting", "ocsp_fetch_seconds", {"value": True}, "a whole number from 1"),
        ("setting", "verify_next_update", {"value": 1}, "must be bool"),
        ("setting", "auto_approve", {"value": ["everything"]}, "everything"),
        ("member", "KG/COM/1", {"name_ky": "a", "name_ru": "a", "name_en": "a"}, "no member class COM"),
        ("member", "KG/..%2f/1", {"name_ky": "a", "name_ru": "a", "name_en": "a"}, "U\\+002F"),
        ("member", "KG/GOV/1", {"name_ky": "a"}, "name_ru.* is missing"),
        ("group", "g", {"members": ["x"]}, "parts"),
        ("ca", "x", {"certificate": "AAAA", "profile": "p"}, "cannot be read"),
        ("tsa", "x", {"certificate": "AAAA", "url": "ftp://x"}, "not http"),
        ("partner", "LV", {"anchor": "<x/>"}, "no instance"),
        ("certificate", "00", {"server": SERVER, "der": ""}, "cannot be read"),
    ],
)
def test_an_entry_that_is_not_in_order_is_refused_and_nothing_is_written(
    ledger: Any, kind: str, name: str, body: dict[str, Any], reason: str
) -> None:
    central.put("class", "GOV", {"description": "Government"}, ledger=ledger, now=NOW, by="operator")
    with pytest.raises(EntryInvalid, match=reason):
        central.put(kind, name, body, ledger=ledger, now=NOW, by="operator")
    assert len(ledger.entries) == 1


def test_setting_what_is_set_already_writes_nothing(ledger: Any) -> None:
    for expected in (True, False):
        done = central.put("class", "GOV", {"description": "Government"}, ledger=ledger, now=NOW, by="operator")
        assert done is expected
    assert ledger.kinds() == ["network-set"]


def test_what_something_hangs_on_is_not_dropped(file: Path, ledger: Any) -> None:
    applied(file, ledger)
    for kind, name in (("member", "KG/GOV/70000003"), ("server", SERVER), ("subsystem", "KG/GOV/70000003/emis")):
        with pytest.raises(EntryHeld, match="something still hangs on it"):
            central.drop(kind, name, ledger=ledger, now=NOW, by="operator")
        assert (kind, name) in central.entries("KG")


@pytest.mark.parametrize("kind", ["member", "server", "subsystem", "client", "certificate", "setting", "tsa"])
def test_what_is_not_there_to_be_dropped_need_not_be_registered_first(ledger: Any, kind: str) -> None:
    with pytest.raises(NothingToDrop) as told:
        central.drop(kind, "abc", ledger=ledger, now=NOW, by="operator")
    assert f"There is no {kind} abc" in told.value.text
    assert "Nothing was changed" in told.value.next_step


def test_a_certificate_belongs_to_one_server_only(file: Path, ledger: Any, authority: TestAuthority) -> None:
    applied(file, ledger)
    (name,) = [name for kind, name in central.entries("KG") if kind == "certificate"]
    other = "KG/GOV/70000003/node-two"
    central.put("server", other, {"address": "x"}, ledger=ledger, now=NOW, by="operator")
    body = {**central.entries("KG")["certificate", name], "server": other}
    with pytest.raises(EntryInvalid, match="belongs to"):
        central.put("certificate", name, body, ledger=ledger, now=NOW, by="operator")


def test_the_register_is_published_in_every_version_and_verifies_with_its_anchors(
    file: Path, ledger: Any, tmp_path: Path, authority: TestAuthority
) -> None:
    applied(file, ledger)
    keys_folder, served = tmp_path / "keys", tmp_path / "served"
    assert signing.make_keys(keys_folder, "KG", NOW)
    assert not signing.make_keys(keys_folder, "KG", NOW)
    internal, external = (
        confdir.parse_anchor(f.read_bytes()) for f in signing.anchors(keys_folder, "KG", "http://cs/", NOW)
    )
    keys = central_picture.signing_keys(keys_folder)
    publisher = central_picture.central_publisher(keys)
    for minute in range(5):
        doings.publish_configuration(served, NOW + timedelta(minutes=minute), publisher, ledger)
    assert queries.network_view(NOW).version == 1
    assert len(list((served / "V6").iterdir())) == 3
    for version in globalconf.VERSIONS:
        for name, anchor in (("internalconf", internal), ("externalconf", external)):
            body = (served / (name if version == 6 else f"{name}.{version}")).read_bytes()
            directory = confdir.verify_directory(body, [c for _, c in anchor.sources], name)
            assert directory.version == version
            assert directory.expires == NOW + timedelta(minutes=14)
            files = {
                p.identifier: confdir.check_file(p, (served / p.location.lstrip("/")).read_bytes(), name)
                for p in directory.parts
            }
            shared = globalconf.parse_shared(files[confdir.SHARED])
            assert [s.id.server for s in shared.servers] == ["node-edu"]
            assert shared.servers[0].address == "node.edu.kg"
            assert [str(c) for c in shared.servers[0].clients] == [
                "KG/GOV/70000003/emis"
            ]  # the disabled one is left out
            assert (shared.servers[0].maintenance == "back at noon") == (version >= 5)
            if name == "externalconf":
                assert set(files) == {confdir.SHARED}
                continue
            private = globalconf.parse_private(files[confdir.PRIVATE])
            assert private.management_provider == ClientId.parse("KG/GOV/70000003/emis")
            assert [a.instance for a in private.anchors] == ["EE"]
            assert globalconf.parse_monitoring(files[confdir.MONITORING]) == private.management_provider
            assert globalconf.parse_fetch_interval(files[confdir.FETCH_INTERVAL]) == 300
            assert globalconf.parse_next_update(files[confdir.NEXT_UPDATE]) is False
    assert [s.address for s in shared.sources] == ["cs1.kg", "cs2.kg"]
    assert shared.servers_of(SubsystemId.parse("KG/GOV/70000003/emis"))


def test_any_change_of_the_central_register_is_a_new_version(file: Path, ledger: Any, tmp_path: Path) -> None:
    applied(file, ledger)
    signing.make_keys(tmp_path / "keys", "KG", NOW)
    publisher = central_picture.central_publisher(central_picture.signing_keys(tmp_path / "keys"))
    doings.publish_configuration(tmp_path / "served", NOW, publisher, ledger)
    central.put("setting", "ocsp_freshness_seconds", {"value": 60}, ledger=ledger, now=NOW, by="operator")
    assert doings.publish_configuration(tmp_path / "served", NOW, publisher, ledger).version == 2


def test_without_keys_nothing_is_signed(tmp_path: Path) -> None:
    with pytest.raises(KeysMissing, match=r"internal\.key"):
        central_picture.signing_keys(tmp_path)


def test_a_certificate_is_published_by_both_hashes_and_a_full_disk_notes_nothing(
    file: Path, ledger: Any, tmp_path: Path, authority: TestAuthority
) -> None:
    applied(file, ledger)
    der = certs.der(authority.ca.certificate)
    entry = central.entries("KG")["certificate", hashlib.sha256(base64.b64decode(_only_certificate())).hexdigest()]
    assert entry["server"] == SERVER
    found = central_picture.parameters("KG").shared.servers[0]
    assert len(found.auth_cert_hashes) == 2
    assert certs.auth_hashes(der)[0] not in found.auth_cert_hashes
    with pytest.raises(PublishFailed):
        doings.publish_configuration(tmp_path / "served", NOW, _broken, ledger)


def _only_certificate() -> str:
    (body,) = [body for (kind, _), body in central.entries("KG").items() if kind == "certificate"]
    return str(body["der"])


def _broken(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_who_owns_a_server_is_in_the_group_that_management_services_are_open_to(ledger):
    assert central_picture.parameters("KG").shared.groups == ()
    names = {"name_ky": "a", "name_ru": "a", "name_en": "a"}
    for kind, name, body in (
        *(("member", f"KG/GOV/{code}", names) for code in "123"),
        *(("server", f"KG/GOV/{code}/node", {"address": "x"}) for code in "12"),
    ):
        central.put(kind, name, body, ledger=ledger, now=NOW, by="operator")
    (group,) = central_picture.parameters("KG").shared.groups
    assert (group.code, {str(one) for one in group.members}) == ("security-server-owners", {"KG/GOV/1", "KG/GOV/2"})
    central.put(
        "group", group.code, {"description": "Mine", "members": ["KG/GOV/3"]}, ledger=ledger, now=NOW, by="operator"
    )
    central.put("group", "schools", {"members": []}, ledger=ledger, now=NOW, by="operator")
    schools, group = central_picture.parameters("KG").shared.groups
    assert (schools.code, schools.members) == ("schools", frozenset())
    assert (group.description, {str(one)[-1] for one in group.members}) == ("Mine", {"1", "2", "3"})
