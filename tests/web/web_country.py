"""Cases with evidence and a signed document, laid into a hub's home and database; used by the tests and by nothing else."""

import json
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from kerege.credentials import StatusList, TrustList, create_issuer
from kerege.ground import clock
from kerege.ground.text import Text
from kerege.identity import doings as identity
from kerege.identity.pseudonyms import open_key
from kerege.identity.reads import Read
from kerege.ledger.log import Ledger
from kerege.reconcile.compare import CLASSES
from kerege.reconcile.models import Discrepancy, FieldTally
from kerege.services.models import Case, CaseAction, Decision, Document, EvidenceRecord
from kerege.web import documents

CHILD_PIN = "11509201900017"
HOLDER = "b" * 64
TYPE = "urn:kg:credential:grade1-admission"
ADMIT, REFUSE, OPEN = "case-7fq2m9k4xw3d", "case-refused00001", "case-open00000001"
_VALUES = {
    "child.birth": {
        "surname": "Токтосунова",
        "given_name": "Айпери",
        "patronymic": "Бакыт кызы",
        "birth_date": "2019-09-15",
        "sex": "2",
        "pin": CHILD_PIN,
    },
    "person.registered_address": {"soate": "41711000000000", "street": "<b>Чүй проспектиси</b>", "house": "12"},
    "child.vaccination": {"certificate_no": "ВС-004711", "status": "valid", "issued": "2026-03-02"},
}
_CAME_AS = {
    ("child.birth", "surname"): "ТОКТОСУНОВА",
    ("child.birth", "birth_date"): "15.09.2019",
    ("child.birth", "sex"): "Ж",
    ("child.birth", "pin"): CHILD_PIN,
    ("person.registered_address", "street"): "г. Бишкек, пр. <Чуй>, д. 12",
    ("person.registered_address", "house"): "г. Бишкек, пр. <Чуй>, д. 12",
    ("child.vaccination", "status"): "Д",
}
_ORIGIN = {
    "child.birth": ("civil", "KG/GOV/70000001/civil/birth-records", "kg:civil.birth-record"),
    "person.registered_address": ("population", "KG/GOV/70000002/population/persons", "kg:population.person"),
    "child.vaccination": ("health", "KG/GOV/70000004/health/vaccinations", "kg:health.vaccination"),
}


def case(case_id, number, minutes=0, run="data_first-7", school="0412-017", holder=HOLDER):
    return Case.objects.create(
        case_id=case_id, public_service="grade1-admission", definition_version="2026.1", application_no=number, run=run,
        holder=holder, school_code=school, stage=1, submitted_at=clock.now() - timedelta(days=1) + timedelta(minutes=minutes),
    )  # fmt: skip


def act(row, *actions):
    for place, (kind, actor, codes) in enumerate(actions, start=1):
        CaseAction.objects.create(case=row, place=place, kind=kind, at=clock.now(), actor=actor, codes=codes)


def decide(row, kind, reasons):
    Decision.objects.create(
        case=row, kind=kind, reasons=reasons, definition_version="2026.1", automatic=True, decided_at=clock.now(),
        facts={
            "age_class": "ok", "guardian": True, "in_catchment": kind == "admit", "vaccinated": None,
            "enrolled_elsewhere": False,
        },
    )  # fmt: skip


def lay_cases():
    """One admitted with evidence, one refused, one open."""
    admitted = case(ADMIT, "A-2026-000101")
    act(
        admitted,
        ("submitted", "applicant", []),
        ("evidence_gathered", "system", ["civil", "health", "population"]),
        ("decided", "system", ["admit", "admitted"]),
    )
    for concept, fields in _VALUES.items():
        register, service, mapping = _ORIGIN[concept]
        for field, value in fields.items():
            EvidenceRecord.objects.create(
                case=admitted, concept=concept, field=field, value=value, register=register, data_service=service,
                came_as=_CAME_AS.get((concept, field)),
                message_id=f"KG-{register}-0f9a41d2-6b1e-4a55-9a3e-000000000001", mapping_id=mapping, mapping_version="1.2",
                original_sha256="5e88" * 16, fetched_at=clock.now(), record_no="1",
            )  # fmt: skip
    decide(admitted, "admit", ["admitted"])
    refused = case(REFUSE, "A-2026-000102", 1, holder="c" * 64)
    act(refused, ("submitted", "applicant", []), ("decided", "system", ["refuse", "outside_catchment"]))
    decide(refused, "refuse", ["outside_catchment", "not_vaccinated"])
    waiting = case(OPEN, "A-2026-000103", 2, holder="d" * 64)
    act(waiting, ("submitted", "applicant", []), ("sent_to_officer", "system", ["child_ambiguous"]))
    Discrepancy.objects.create(
        discrepancy_id="disc-1", run="data_first-7", case_id=ADMIT, field="surname", left_register="civil",
        right_register="health", cls="conflict", owner="civil", found_at=clock.now(),
    )  # fmt: skip
    for field, left, right, counts in (
        ("surname", "civil", "health", (10, 0, 80, 0, 4, 0, 1, 0)),
        ("surname", "civil", "population", (40, 0, 50, 0, 0, 0, 0, 0)),
        ("street", "population", "education", (2, 0, 60, 0, 9, 0, 3, 2)),
    ):
        for cls, count in zip(CLASSES, counts, strict=True):
            FieldTally.objects.create(
                run="data_first-7", field=field, left_register=left, right_register=right, cls=cls, count=count
            )
    return admitted


@dataclass
class Papers:
    paper: str
    wallet: str


def lay_document(home, row, revoked=False):
    """The admitted child's document in both forms, the trust list and a signed status list."""
    now = clock.now()
    issuer = create_issuer(home / "issuer", "https://edu.example.kg", "Ministry of Education", now)
    status = StatusList.new(4096, "https://edu.example.kg/status/1")
    status.to_jwt(issuer, now, timedelta(days=1))
    at = status.allocate()
    claims = {"child_name": "Токтосунова Айпери", "school": "№ 17 мектеп", "admission_year": 2026}
    expires = now + timedelta(days=200)
    paper = issuer.issue_paper(TYPE, claims, expires, at, now=now).text
    wallet = issuer.issue_sd_jwt_vc(TYPE, claims, ["child_name"], expires, at, now=now)
    if revoked:
        status.revoke(at)
    public = home / "credentials" / "public"
    (public / "status").mkdir(parents=True, exist_ok=True)
    (public / "status" / "1.jwt").write_text(status.to_jwt(issuer, now, timedelta(days=1)), encoding="ascii")
    name = Text(ky="Билим берүү министрлиги", ru="Министерство образования", en="Ministry of Education")
    (public / "trust.json").write_text(TrustList((issuer.as_trusted(name, [TYPE]),)).to_json(), encoding="utf-8")
    Document.objects.create(case=row, kind="grade1-admission", credential_ref="doc-1", issued_at=now)
    file = documents.file_of("doc-1")
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"paper": paper, "sd_jwt": wallet}), encoding="utf-8")
    return Papers(paper, wallet)


def grant_desk(home, person="officer-1", scope="public-service:grade1-admission", actions=("services.case.read",)):
    """What an admissions officer needs besides the sign-in: identity's grant, for the admission service, for a year."""
    now = clock.now()
    name = Text(ky="Кабыл алуу боюнча адис", ru="Специалист по приёму", en="Admissions officer")
    identity.register_organisation("KG/GOV/70000003", Text(ky="Министрлик", ru="Министерство", en="Ministry"))
    identity.register_person("Айгүл Токтосунова", "KG/GOV/70000003", person)
    identity.define_role("admissions-officer", name, actions)
    with Ledger.open(home / "ledger") as ledger:
        return identity.grant_role(
            person, "admissions-officer", scope, now + timedelta(days=365), granted_by=None, ledger=ledger, now=now
        )


def lay_reads(home):
    """The exchange read the child's birth record on the service's behalf."""
    read = Read(
        member="KG/GOV/70000003/admission", reader="process:admission", about=open_key(home).of(CHILD_PIN),
        purpose="grade1-admission", legal_basis="admission-order", data_service="KG/GOV/70000001/civil/birth-records",
        message_id="KG-civil-1", at=clock.now(),
    )  # fmt: skip
    with Ledger.open(home / "ledger") as ledger:
        identity.record_reads([read], ledger, clock.now())


def lay(home=None):
    """Everything, for a look at the pages."""
    home = home or settings.HOME
    row = lay_cases()
    grant_desk(home)
    lay_reads(home)
    return lay_document(home, row)
