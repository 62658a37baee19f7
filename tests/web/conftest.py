"""A hub over an empty home folder, with what a demo run leaves in it on request."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client

import kerege
from kerege.catalogue.inventory import doings as inventory
from kerege.catalogue.models import Dataset
from kerege.delivery import doings as delivery
from kerege.delivery.criteria import Layer, load_gate
from kerege.delivery.facts import DenialProbe, Owners, Subject, collect_access_denials
from kerege.ground import clock
from kerege.ground.text import Text
from kerege.identity import doings as identity
from kerege.ledger.log import Ledger
from kerege.membership.models import Contract, Member, Right, SecurityServer, Subsystem
from kerege.web import assets
from kerege.web.access import Audience
from kerege.web.api import catalogue_kept

sys.path.insert(0, str(Path(__file__).parent))  # for `web_pages`, which the tests beside this file share

import web_country as country
import web_desks as desks
from web_pages import PEOPLE, RUN, signed_in
from web_publisher import office, one, pairs, quick_keys, registered, signing_log  # noqa: F401 - fixtures

GATE_FILE = Path(kerege.__file__).parent / "country/kg/gates/grade1-admission.yaml"


@pytest.fixture
def home(tmp_path, settings):
    settings.HOME = tmp_path
    settings.ALLOWED_HOSTS = ["testserver", "127.0.0.1"]
    assets.table.cache_clear()
    catalogue_kept.forget()  # another catalogue begins
    return tmp_path


@pytest.fixture
def run(home):
    (home / "summary.json").write_text(json.dumps(RUN), encoding="utf-8")
    return RUN


@pytest.fixture
def people(home):
    (home / "demo-people.json").write_text(json.dumps(PEOPLE, ensure_ascii=False), encoding="utf-8")
    return PEOPLE


@pytest.fixture
def visitor(home, db):
    return Client()


@pytest.fixture
def desk(home, db):
    """Identity's grant that opens the officer's desk."""
    return country.grant_desk(home)


@pytest.fixture
def officer(people, desk):
    return signed_in("officer-1")


@pytest.fixture
def parent(people, db):
    return signed_in("parent-1")


@pytest.fixture
def steward(people, home, db):
    desks.grant(home, "steward-1", Audience.STEWARD)
    return signed_in("steward-1")


@pytest.fixture
def reviewer(people, home, db):
    desks.grant(home, "reviewer-1", Audience.REVIEWER)
    return signed_in("reviewer-1")


@pytest.fixture
def data_owner(people, home, db):
    desks.grant(home, "owner-1", Audience.DATA_OWNER)
    return signed_in("owner-1")


@pytest.fixture
def clerk(people, home, db):
    desks.grant(home, "clerk-1", Audience.CLERK)
    return signed_in("clerk-1")


@pytest.fixture
def ledger(home):
    with Ledger.open(home / "ledger") as log:
        yield log


@pytest.fixture
def dataset(home, db):
    """A clinic's small register, harvested; the civil registry answers for it."""
    made = desks.plan(desks.register(home))
    inventory.apply_plan(made.plan_id, clock.now())
    inventory.set_organisation("clinic.csv", "70000001")
    return Dataset.objects.get()


@pytest.fixture
def network(home, db, ledger):
    """Five members' worth of network, with rights and contracts, never published."""
    names = {
        "70000001": ("Жарандык каттоо", "ЗАГС", "Civil registry office"),
        "70000002": ("Калкты каттоо", "Регистрация населения", "Population office"),
        "70000003": ("Билим берүү министрлиги", "Министерство образования", "Ministry of Education"),
    }
    now = clock.now()
    for number, (ky, ru, en) in names.items():
        member = Member.objects.create(code=f"KG/GOV/{number}", name_ky=ky, name_ru=ru, name_en=en, registered_at=now)
        for name in {"70000001": ["civil"], "70000002": ["population"], "70000003": ["emis", "admission"]}[number]:
            Subsystem.objects.create(code=f"{member.code}/{name}", member=member, registered_at=now)
    edu = Member.objects.get(code="KG/GOV/70000003")
    node = SecurityServer.objects.create(
        code="KG/GOV/70000003/node-edu", owner=edu, address="127.0.0.1:5500", registered_at=now
    )
    node.clients.set(edu.subsystems.all())
    admission, civil = (Subsystem.objects.get(code__endswith=name) for name in ("/admission", "/civil"))
    service = "KG/GOV/70000001/civil/birth-records"
    Right.objects.create(
        right_id="right-1", holder=admission, provider=civil, data_service=service, method="*", path="/**",
        valid_until=now + timedelta(days=100), granted_at=now, ledger_index=0,
    )  # fmt: skip
    Contract.objects.create(
        provider=civil, data_service=service, path="/**", mapping="kg:civil.birth-record", at="consumer",
        owner="KG/GOV/70000001", legal_basis="admission-order", set_at=now,
    )  # fmt: skip
    return now


@pytest.fixture
def gate(network, ledger):
    """The admission service's gate, looked at once: its owners were measured, one probe leaked, the rest has no evidence."""
    now = clock.now()
    service = "grade1-admission"
    identity.register_organisation("KG/GOV/70000003", Text(ky="Министрлик", ru="Министерство", en="Ministry"))
    for name in ("policy", "policy-deputy", "technical", "technical-deputy"):
        identity.register_person(f"Person {name}", "KG/GOV/70000003", name)
    owners = Owners("policy", "policy-deputy", "technical", "technical-deputy")
    title = Text(ky="1-класска кабыл алуу", ru="Приём в 1 класс", en="Admission to grade 1")
    delivery.register_service(service, title, owners, now)
    release = delivery.make_release(service, {"rules": "1"}, now)
    delivery.adopt_gate(load_gate(GATE_FILE), ledger, now)
    delivery.measure_owners(service, ledger, now)
    subject = Subject(service, release.digest, now, now)
    probe = DenialProbe("KG/GOV/70000003/emis", "KG/GOV/70000002/population/persons", "answered")
    delivery.record_evidence(collect_access_denials([probe] * 30, subject, now), ledger, now)
    row = delivery.assess(service, ledger, now)
    delivery.sign(row.assessment_id, "policy", Layer.POL, ledger, now)
    return row


@pytest.fixture
def cases(network):
    return country.lay_cases()
