"""The demo's officers: who owns the admission service, who signs for which layer, who collects documents, who looks into cases. Invented."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from kerege.delivery.criteria import Layer
from kerege.delivery.doings import COLLECT, register_service, scope_of, sign_action
from kerege.delivery.facts import Owners
from kerege.demo.country.network import MEMBERS, PUBLIC_SERVICE
from kerege.ground.text import Text
from kerege.identity import doings
from kerege.identity.receipts import LedgerWriter
from kerege.services.cases import READ_CASES

POLICY_OWNER: Final = "person-policy-owner"
POLICY_DEPUTY: Final = "person-policy-deputy"
TECHNICAL_OWNER: Final = "person-technical-owner"
TECHNICAL_DEPUTY: Final = "person-technical-deputy"
LEGAL: Final = "person-legal"
DPO: Final = "person-data-protection"
SECRETARY: Final = "person-secretary"
OFFICER: Final = "person-officer"
ADMISSIONS_OFFICER: Final = "admissions-officer"

OWNERS: Final = Owners(POLICY_OWNER, POLICY_DEPUTY, TECHNICAL_OWNER, TECHNICAL_DEPUTY)
MINISTRY: Final = "70000003"

NAMES: Final[dict[str, str]] = {
    POLICY_OWNER: "Айсулуу Токтосунова",
    POLICY_DEPUTY: "Мирлан Осмонов",
    TECHNICAL_OWNER: "Бакыт Жээнбеков",
    TECHNICAL_DEPUTY: "Гүлзат Абдыкадырова",
    LEGAL: "Нурлан Сатаров",
    DPO: "Жылдыз Мамбетова",
    SECRETARY: "Канат Бейшеналиев",
    OFFICER: "Чолпон Асанкулова",
}
_SIGNERS: Final = {LEGAL: Layer.LEGAL, DPO: Layer.DPO}


def appoint(ledger: LedgerWriter, now: datetime) -> None:
    """Register the ministry's people, give each exactly the role they need, and enter the admission service with its owners."""
    until = now + timedelta(days=365)
    for code, (name, _) in MEMBERS.items():
        doings.register_organisation(code, name)
    for person, display in NAMES.items():
        doings.register_person(display, MINISTRY, person)
    for person, layer in _SIGNERS.items():
        role = f"signer-{layer.value.lower()}"
        doings.define_role(
            role,
            Text(ky="Критерийлерге кол коюучу", ru="Подписант критериев", en="Signer of criteria"),
            [sign_action(layer)],
        )
        doings.grant_role(person, role, scope_of(PUBLIC_SERVICE), until, granted_by=None, ledger=ledger, now=now)
    doings.define_role(
        "evidence-collector",
        Text(ky="Далил чогултуучу", ru="Сборщик свидетельств", en="Collector of evidence"),
        [COLLECT],
    )
    doings.grant_role(
        SECRETARY, "evidence-collector", scope_of(PUBLIC_SERVICE), until, granted_by=None, ledger=ledger, now=now
    )
    doings.define_role(
        ADMISSIONS_OFFICER,
        Text(ky="Кабыл алуу боюнча адис", ru="Специалист по приёму", en="Admissions officer"),
        [READ_CASES],
    )
    doings.grant_role(
        OFFICER, ADMISSIONS_OFFICER, scope_of(PUBLIC_SERVICE), until, granted_by=None, ledger=ledger, now=now
    )
    register_service(
        PUBLIC_SERVICE,
        Text(ky="1-класска кабыл алуу", ru="Приём в 1 класс", en="Admission to grade 1"),
        OWNERS,
        now,
    )
