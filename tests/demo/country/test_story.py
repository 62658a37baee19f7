"""The whole country in a box, with real processes, once; every claim the demo prints is checked here."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from kerege.reconcile.compare import CLASSES

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("country")]
APPLICATIONS = 60


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """`kerege demo --once` as a person would start it; returns (summary, folder, what it printed)."""
    home = tmp_path_factory.mktemp("country")
    command = [
        sys.executable, "-m", "kerege", "demo", "--once", "--applications", str(APPLICATIONS), "--persons", "6000",
        "--seed", "11", "--folder", str(home / "box"), "--json", str(home / "out.json"), "--database", "sqlite",
    ]  # fmt: skip
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("KEREGE_", "DJANGO_"))}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=home, env=environ)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads((home / "out.json").read_text()), home / "box", done.stdout


def test_the_three_outcomes_exclude_each_other_and_add_up(run):
    summary, _, _ = run
    assert summary["applications"] == APPLICATIONS
    for way in ("integration_only", "data_first"):
        found = summary[way]
        assert found["straight_through"] + found["manual"] + found["asked_again"] == APPLICATIONS
        assert found["seconds_per_application"] > 0


def test_data_first_decides_more_and_nothing_wrong(run):
    summary, _, _ = run
    assert summary["data_first"]["straight_through"] > summary["integration_only"]["straight_through"]
    assert summary["data_first"]["wrong_automatic"] == 0


def test_every_field_has_the_eight_classes(run):
    summary, _, _ = run
    assert summary["fields"]
    for counts in summary["fields"].values():
        assert set(counts) == set(CLASSES)
        assert sum(counts.values()) > 0


def test_the_node_refuses_before_the_permit_carries_after_and_refuses_when_a_criterion_breaks(run):
    gate = run[0]["gate"]
    assert gate["refused_before"]
    assert gate["carried_after"]
    assert gate["leaked"] == 1
    assert "G2-04" in gate["failed"]
    assert gate["closed"] == "closed"
    assert gate["refused"]
    assert gate["reopened"] == "pilot"
    assert gate["carried"]


def test_a_good_document_verifies_and_a_tampered_or_revoked_one_does_not(run):
    documents = run[0]["documents"]
    assert (documents["paper"], documents["wallet"]) == ("valid", "valid")
    assert documents["tampered"] == "refused"
    assert documents["revoked"] == "revoked"


def test_what_verifies_in_the_demo_verifies_with_the_command_too(run, tmp_path):
    _, folder, _ = run
    public = folder / "home/credentials/public"
    document = json.loads(next((folder / "home/documents").glob("*.json")).read_text())
    paper = tmp_path / "paper.txt"
    paper.write_text(document["paper"])
    status = next((public / "status").glob("*.jwt"))
    command = [
        sys.executable,
        "-m",
        "kerege",
        "verify",
        str(paper),
        "--trust",
        str(public / "trust.json"),
        "--status",
        str(status),
    ]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["state"] in {"valid", "revoked"}


def test_the_ledger_of_the_run_audits_clean(run):
    key = (run[1] / "home/keys/ledger.key.pub").read_text().strip()
    done = subprocess.run(
        [sys.executable, "-m", "kerege", "ledger", "verify", str(run[1] / "home/ledger"), "--key", key],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "checkpoints, signed by the log and agree with the tree" in done.stdout
    assert "The ledger is sound.\n" in done.stdout, "a head covers the last record"


def test_what_the_run_leaves_is_its_owners_alone(run):
    assert [path for path in (run[1] / "home").rglob("*") if path.stat().st_mode & 0o077] == []
    assert (run[1] / "home").stat().st_mode & 0o777 == 0o700


def test_message_logs_of_both_nodes_verify(run):
    for node in ("node-edu", "node-reg"):
        config = run[1] / "network/nodes" / node / "node.yaml"
        done = subprocess.run(
            [sys.executable, "-m", "kerege", "node", "--config", str(config), "verify-log"],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        records, verified = re.search(r"(\d+) records .*, (\d+) verified", done.stdout).groups()
        assert int(records) == int(verified) > 0


def test_the_hub_has_a_name_for_every_school_a_case_names(run):
    names = json.loads((run[1] / "home/schools.json").read_text(encoding="utf-8"))
    with sqlite3.connect(run[1] / "home/hub.sqlite3") as db:
        codes = {row[0] for row in db.execute("select distinct school_code from services_case")}
    assert codes
    assert codes <= set(names)
    assert all(re.search(r"No \d+", name) for name in names.values())


def test_values_stand_beside_the_registers_own_letters(run):
    with sqlite3.connect(run[1] / "home/hub.sqlite3") as db:
        pairs = db.execute(
            "select value, came_as from services_evidencerecord where concept = 'child.birth' and field = 'sex'"
        ).fetchall()
    told = {pair for pair in pairs if pair[1] is not None}
    assert told == {("1", "М"), ("2", "Ж")}


def asked(run, sql, *values):
    with sqlite3.connect(run[1] / "home/hub.sqlite3") as db:
        return db.execute(sql, values).fetchall()


def test_every_column_the_agencies_answer_has_its_concept(run):
    bare = asked(
        run,
        'select d."table", f.name from catalogue_field f join catalogue_dataset d on d.id = f.dataset_id '
        "left join catalogue_conceptlink c on c.field_id = f.id where c.id is null and d.source like '%.csv' order by 2",
    )
    assert bare == [("applications", "stage"), ("applications", "submitted_at")], "the form's own, no register's"


def test_databases_descriptions_and_nodes_stand_in_the_catalogue_beside_the_answers(run):
    kinds = dict(asked(run, "select kind, count(distinct source) from catalogue_dataset group by kind"))
    assert kinds == {"csv": 9, "sqlite": 4, "wsdl": 1, "openapi": 1, "node": 2}
    assert run[0]["catalogue"]["contracts"] == 9


def test_every_owner_named_stands_in_the_ledger_and_interim_ones_have_a_term(run):
    owners = asked(
        run, "select kind, until is null, count(*), sum(ledger_index is null) from catalogue_owner group by 1, 2"
    )
    assert {(kind, bool(lasting)) for kind, lasting, _, _ in owners} == {("lasting", True), ("interim", False)}
    assert sum(row[3] for row in owners) == 0
    nobody = asked(
        run,
        'select distinct d."table" from catalogue_field f join catalogue_dataset d on d.id = f.dataset_id '
        "left join catalogue_owner o on o.field_id = f.id where o.id is null and d.kind != 'node' order by 1",
    )
    assert nobody == [("GET /api/v5/areas",), ("areas",)]


def test_who_uses_what_is_what_passed_the_nodes(run):
    uses = asked(
        run,
        "select consumer, service, sum(calls) from catalogue_serviceuse where side = 'provider' group by 1, 2 order by 3 desc",
    )
    by_admission = {service: calls for consumer, service, calls in uses if consumer.endswith("/admission")}
    assert set(by_admission) == {
        "KG/GOV/70000001/civil/birth-records",
        "KG/GOV/70000002/population/persons",
        "KG/GOV/70000003/emis/register",
        "KG/GOV/70000004/health/vaccinations",
    }
    calls = run[0]["exchange"]["calls"]
    assert by_admission["KG/GOV/70000001/civil/birth-records"] == calls["KG/GOV/70000001/civil/birth-records"]
    fields = {name for (name,) in asked(run, "select distinct name from catalogue_fielduse")}
    assert {"Birth.Pin", "items[].address.soate"} <= fields


def test_nobody_approved_what_they_submitted_and_the_nodes_obey_what_was_published(run):
    acts = asked(run, "select kind, subject, version, action, by from catalogue_lifecycleaction order by number")
    by = {}
    for kind, subject, version, action, who in acts:
        by.setdefault((kind, subject, version), {})[action] = who
    approved = [done for done in by.values() if "approve" in done]
    assert len(approved) > 30
    assert all(done["approve"] != done["submit"] for done in approved)
    published = {subject for (kind, subject, _), done in by.items() if kind == "contract" and "publish" in done}
    on_the_wire = {mapping for (mapping,) in asked(run, "select mapping from membership_contract")}
    assert on_the_wire == published - {"kg:application"}
    waiting = {(kind, subject) for (kind, subject, _), done in by.items() if set(done) == {"submit"}}
    assert waiting == {
        ("dataset", "institution_students.csv#institution_students"),
        ("crosswalk", "kg:education-area--soate"),
    }


def test_a_board_runs_a_request_is_in_review_a_plan_waits_and_the_schools_are_published(run):
    catalogue = run[0]["catalogue"]
    assert catalogue["board"]["critical"] == 6
    assert 0 < catalogue["board"]["done"] < catalogue["board"]["of"]
    assert catalogue["registers"] == ["births: in use", "vaccination-certificates: planned"]
    assert [status for (status,) in asked(run, "select status from catalogue_plan where status != 'applied'")] == [
        "open"
    ]
    ((changes,),) = asked(run, "select changes from catalogue_plan where status = 'open'")
    assert [(c["sign"], c["kind"], c["column"]) for c in json.loads(changes)] == [
        ("~", "codes-new", "STATUS"),
        ("+", "column-new", "KOD_MO"),
    ]
    desk = asked(
        run,
        "select count(*) from reconcile_clericaltask t where not exists (select 1 from reconcile_clericaldecision d where d.task_id = t.id)",
    )
    assert catalogue["clerks"]["pairs"] == desk[0][0]
    rows, files = asked(run, "select rows, files from catalogue_referenceversion")[0]
    assert rows == len(json.loads((run[1] / "home/schools.json").read_text(encoding="utf-8")))
    assert {Path(f["name"]).suffix for f in json.loads(files)} >= {".csv", ".parquet"}
    assert catalogue["findable"] > 100


def test_no_value_of_a_register_is_in_the_catalogue(run):
    """Columns about people keep masks and counts; of the world's own people no surname or PIN stands in any profile."""
    import csv

    profiles = " ".join(p for (p,) in asked(run, "select profile from catalogue_field where personal"))
    with (run[1] / "agencies/population/jaran.tsv").open(encoding="utf-8", newline="") as lines:
        people = list(csv.DictReader(lines, delimiter="\t"))[:500]
    assert [p["pin"][:1] for p in people if p["pin"] in profiles] == []
    assert [p["lastName"][:1] for p in people if f'"{p["lastName"]}"' in profiles] == []


def test_the_officer_may_open_the_desk_by_a_grant(run):
    with sqlite3.connect(run[1] / "home/hub.sqlite3") as db:
        rows = db.execute(
            "select p.person_id, r.actions, g.scope from identity_grant g join identity_person p on p.id = g.person_id "
            "join identity_role r on r.id = g.role_id where r.code = 'admissions-officer'"
        ).fetchall()
    assert rows == [("person-officer", '["services.case.read"]', "public-service:grade1-admission")]


def test_every_value_of_a_stored_case_names_its_message_mapping_and_original(run):
    with sqlite3.connect(run[1] / "home/hub.sqlite3") as db:
        rows = db.execute(
            "select message_id, mapping_id, mapping_version, original_sha256 from services_evidencerecord"
        ).fetchall()
    assert len(rows) > APPLICATIONS
    assert all(len(cell) > 0 for row in rows for cell in row)


def test_every_read_of_personal_data_stands_in_the_ledger(run):
    with sqlite3.connect(run[1] / "home/hub.sqlite3") as db:
        reads, without = db.execute(
            "select count(*), sum(ledger_index is null) from identity_personaldataread"
        ).fetchone()
        bases = {row[0] for row in db.execute("select distinct legal_basis from identity_personaldataread")}
    assert reads > APPLICATIONS
    assert without == 0
    assert bases == {"admission-order", "to be confirmed"}, "the second is what the linkage definition says of itself"


def test_no_personal_number_is_in_logs_addresses_or_printed_lines(run):
    """A PIN has 14 digits, the first a sex digit and the next eight a birth date; none may stand outside stored messages and databases."""
    _, folder, printed = run
    pin = re.compile(r"(?<!\d)[12](0[1-9]|[12]\d|3[01])(0[1-9]|1[0-2])(19|20)\d\d\d{5}(?!\d)")
    texts = [printed, *(p.read_text(errors="replace") for p in (folder / "logs").glob("*.log"))]
    texts += [p.read_text(errors="replace") for p in Path(folder, "network").rglob("*.jsonl")]
    assert len(texts) > 3
    assert [m.group()[:1] for text in texts for m in pin.finditer(text)] == []


def test_the_truth_is_nowhere_but_in_its_own_folder(run):
    _, folder, _ = run
    names = {p.name for p in folder.rglob("applications.jsonl")}
    assert names == {"applications.jsonl"}
    assert [p.parent.name for p in folder.rglob("applications.jsonl")] == ["truth"]
