"""`kerege gate`, `kerege measures`, `kerege network` as people run them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

import kerege
from kerege.cli import main
from kerege.delivery import doings
from kerege.delivery.criteria import Layer, load_gate
from kerege.delivery.facts import Owners
from kerege.exchange.ids import DataServiceId, SubsystemId
from kerege.ground import clock
from kerege.ground.text import Text
from kerege.identity import doings as identity
from kerege.insight import doings as insight
from kerege.insight.cohorts import Cohort
from kerege.insight.events import ActorKind, EventFacts, EventType
from kerege.ledger.log import Ledger
from kerege.membership import doings as membership

pytestmark = pytest.mark.django_db

SERVICE = "grade1-admission"
NAME = Text(ky="Кабыл алуу", ru="Приём", en="Admission")
ADMISSION = SubsystemId("KG", "GOV", "70000003", "admission")
FILE = Path(kerege.__file__).parent / "country" / "kg" / "gates" / "grade1-admission.yaml"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KEREGE_HOME", str(tmp_path))
    now = clock.now()
    identity.register_organisation("KG/GOV/70000003", NAME)
    for person in ("aida", "bermet", "chyngyz", "daniyar"):
        identity.register_person(person.title(), "KG/GOV/70000003", person)
    membership.register_member(ADMISSION.member, NAME, now)
    membership.register_subsystem(ADMISSION, now)
    membership.register_public_service(SERVICE, ADMISSION)
    doings.register_service(SERVICE, NAME, Owners("aida", "bermet", "chyngyz", "daniyar"), now)
    doings.make_release(SERVICE, {"rules": "1"}, now)
    with Ledger.open(tmp_path / "ledger") as log:
        doings.adopt_gate(load_gate(FILE), log, now)
        data_service = DataServiceId.parse(f"{ADMISSION}/x")
        membership.grant_right(ADMISSION, data_service, now + timedelta(9), ledger=log, now=now)
    return tmp_path


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_a_gate_is_shown_assessed_and_signed_from_the_command_line(home: Path) -> None:
    code, out = run("gate", "show")
    assert code == 1
    assert "NO-EVIDENCE" in out
    assert "kerege gate assess grade1-admission" in out
    code, out = run("gate", "assess", SERVICE)
    assert (code, out.split()[0]) == (0, "NO-EVIDENCE")
    assessment = out.split()[1].rstrip(",")
    assert run("gate", "sign", assessment, "--person", "aida", "--layer", "POL")[0] == 0
    code, out = run("gate", "sign", assessment, "--person", "aida", "--layer", "TECH")
    assert code == 2
    assert "delivery.signature_refused" in out
    _, out = run("gate", "show", SERVICE, "--json")
    shown = json.loads(out)
    assert shown["signatures"] == {"TECH": None, "POL": "aida", "LEGAL": None, "DPO": None}
    verdicts = {e["criterion"]: e["verdict"] for e in shown["now"]["evaluations"]}
    assert verdicts["G1-01"] == "PASS"
    assert set(verdicts.values()) == {"PASS", "NO-EVIDENCE"}


def test_an_unready_gate_does_not_open_from_the_command_line_either(home: Path) -> None:
    assessment = run("gate", "assess")[1].split()[1].rstrip(",")
    code, out = run("gate", "open", assessment, "--client", str(ADMISSION), "--data-service", f"{ADMISSION}/x")
    assert code == 2
    assert "delivery.permit_refused" in out
    assert run("gate", "close", "--person", "aida", "--reason", "order 1")[0] == 2
    assert run("gate", "reconsider")[0] == 0
    with Ledger.open(home / "ledger") as log:
        assert "permit" not in {entry.kind for entry in log.entries()}


def test_an_unknown_public_service_is_a_clear_error(home: Path) -> None:
    code, out = run("gate", "show", "school-transfer")
    assert code == 2
    assert "delivery.not_there" in out


def test_measures_are_shown_with_n_and_version_and_can_be_checked(home: Path) -> None:
    now = clock.now()
    assert "No events yet" in run("measures")[1]
    at = now - timedelta(days=40)
    kinds = ((EventType.STARTED, ""), (EventType.SUBMITTED, ""), (EventType.DECIDED, "granted"))
    events = [
        EventFacts(f"e-{i}", "ab" * 32, SERVICE, kind, at, ActorKind.SYSTEM, qualifier)
        for i, (kind, qualifier) in enumerate(kinds)
    ]
    insight.record_events(events, now)
    code, out = run("measures")
    assert code == 0
    assert "M11  v1  100.0 % (1/1)" in out
    assert ": 3 events, cases at least " in out
    found = json.loads(run("measures", "--json", "--service", SERVICE)[1])
    assert {m["id"]: m["percent"] for m in found[SERVICE]}["M11"] == "100.0"
    assert "M11" in run("measures", "--language", "ky")[1]
    insight.take_measurements(SERVICE, Cohort.everything(now), now)
    assert run("measures", "--check")[0] == 0
    assert json.loads(run("measures", "--check", "--json")[1]) == {"checked": 8, "different": []}


def test_the_network_is_shown_and_its_rules_as_json(home: Path) -> None:
    code, out = run("network")
    assert code == 0
    assert "1 member, 1 subsystem, 0 servers; never published" in out
    rules = json.loads(run("network", "--json")[1])
    assert [b["public_service"] for b in rules["bindings"]] == [SERVICE]
    assert len(rules["rights"]) == 1


def test_layers_of_the_command_line_are_those_of_the_gate() -> None:
    from kerege.cli.delivery import sign

    [option] = [p for p in sign.params if p.name == "layer"]
    assert list(option.type.choices) == [layer.value for layer in Layer]  # type: ignore[attr-defined]
