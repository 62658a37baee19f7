"""A public service as the country declares it: loaded from YAML, checked whole, frozen.

All faults of a file are collected and raised together, so its author mends them in one go. What the rules *do* with these
parameters is `services.rules`; how requests travel is `services.node_client`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

import kerege
from kerege.ground import settings
from kerege.ground.text import Text
from kerege.services.declared import ABSENCE, EVIDENCE_IDS, OPEN_REASONS, PARAMETERS, REASON_ORDER
from kerege.services.declared import OUTCOME_KINDS as OUTCOME_KINDS  # whoever shows outcomes asks for them here
from kerege.services.errors import DefinitionInvalid, DefinitionMissing, DefinitionUnreadable, RequestUnknown


@dataclass(frozen=True, slots=True)
class LegalAct:
    """An act the service rests on. `verified`: a lawyer has compared the citation with the official text."""

    id: str
    title: Text
    verified: bool


@dataclass(frozen=True, slots=True)
class Owner:
    organisation: str
    post: Text


@dataclass(frozen=True, slots=True)
class Stage:
    number: int
    by: str  # "catchment" | "any_free_place"
    titles: Text


@dataclass(frozen=True, slots=True)
class SoapCall:
    """One request element with one field, in a SOAP 1.1 envelope."""

    namespace: str
    element: str
    field: str
    date_format: str | None = None


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """One call. `path` and `query` are fixed; what is asked for stands in the body: `json` (name, template with {pin} or {date}) or `soap`."""

    method: str
    path: str = ""
    query: tuple[tuple[str, str], ...] = ()
    soap: SoapCall | None = None
    json: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class EvidenceSource:
    """Where one concept is asked for: register (source of truth), data service, mapping, the calls it answers.

    absence   what it means that the child has no such record: `ask` or `decides` (`ABSENCE`); "" where no record is a child's
    """

    id: str
    register: str
    data_service: str
    mapping: str
    requests: Mapping[str, RequestTemplate]
    legal_ref: str
    preview: Text
    absence: str = ""

    def request(self, name: str, service: str = "grade1-admission") -> RequestTemplate:
        template = self.requests.get(name)
        if template is None:
            raise RequestUnknown(service=service, request=name, evidence=self.id)
        return template


@dataclass(frozen=True, slots=True)
class ReasonText:
    code: str
    kind: str
    legal_ref: str
    text: Text


@dataclass(frozen=True, slots=True)
class Rules:
    admission_year: int
    age_on: date
    age_at_least: int
    age_under: int
    vaccination_counts: frozenset[str]
    enrolment_counts: frozenset[str]
    grades_before: frozenset[str]
    grade: str

    def age_class(self, birth_date: date) -> str:
        """`under`, `ok` or `over` on the day that counts. Born 29 February: a year older on 1 March, as birthdays are counted."""
        day = self.age_on
        years = day.year - birth_date.year - ((day.month, day.day) < (birth_date.month, birth_date.day))
        if years < self.age_at_least:
            return "under"
        return "ok" if years < self.age_under else "over"


@dataclass(frozen=True, slots=True)
class AdmissionDefinition:
    id: str
    version: str
    titles: Text
    policy_owner: Owner
    technical_owner: Owner
    channels: tuple[str, ...]
    standard_days: int
    legal_basis: Mapping[str, LegalAct]
    stages: Mapping[int, Stage]
    rules: Rules
    evidence: Mapping[str, EvidenceSource]
    reasons: Mapping[str, ReasonText]
    open_reasons: Mapping[str, Text]
    manual_path: Text

    def asks_when_absent(self, evidence_id: str) -> bool:
        """Whether the applicant is asked for a record that is surely not there; else its absence is a fact."""
        return self.evidence[evidence_id].absence == "ask"

    def asks_catchment(self, stage: int) -> bool:
        return self.stages[stage].by == "catchment"


def of(service_id: str, country: str | None = None) -> AdmissionDefinition:
    """The definition of `service_id` in the installation's country pack."""
    folder = Path(kerege.__file__).parent / "country" / (country or settings.get("country")) / "services"
    file = folder / f"{service_id}.yaml"
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", service_id) or not file.is_file():
        raise DefinitionMissing(service=service_id, file=str(file))
    return load(file)


def load(path: Path) -> AdmissionDefinition:
    """Read and check one definition; raises with every fault found, or returns it whole."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DefinitionUnreadable(file=path.name, detail=" ".join(str(error).split())[:200]) from error
    reader = _Reader()
    definition = reader.definition(raw)
    if reader.faults or definition is None:
        raise DefinitionInvalid(file=path.name, count=len(reader.faults), faults="; ".join(reader.faults))
    return definition


def _fillable(template: str) -> bool:
    """Whether `template` has no placeholders but {pin} and {date}, plain."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return False
    return all(name is None or (name in PARAMETERS and not spec and not how) for _, name, spec, how in parts)


class _Reader:
    """Reads a tree of plain YAML values; notes each fault with its path instead of stopping at the first."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def fault(self, where: str, what: str) -> None:
        self.faults.append(f"{where}: {what}")

    def mapping(self, raw: Any, where: str) -> dict[Any, Any]:
        if isinstance(raw, dict):
            return raw
        self.fault(where, "expected a mapping")
        return {}

    def text(self, raw: Any, where: str) -> Text:
        try:
            return Text.of({str(k): str(v) for k, v in self.mapping(raw, where).items()})
        except ValueError as error:
            self.fault(where, str(error).split(":", 1)[0])
            return Text("?", "?", "?")

    def string(self, raw: Any, where: str) -> str:
        if isinstance(raw, str) and raw.strip():
            return raw
        self.fault(where, "expected a text in quotes")
        return ""

    def integer(self, raw: Any, where: str) -> int:
        if isinstance(raw, int) and not isinstance(raw, bool):
            return raw
        self.fault(where, "expected a whole number")
        return 0

    def strings(self, raw: Any, where: str) -> tuple[str, ...]:
        if isinstance(raw, list) and raw and all(isinstance(item, str) for item in raw):
            return tuple(raw)
        self.fault(where, "expected a list of texts, not empty")
        return ()

    def definition(self, raw: Any) -> AdmissionDefinition | None:
        top = self.mapping(raw, "file")
        if not top:
            return None
        legal = {
            str(key): LegalAct(
                str(key),
                self.text(self.mapping(item, f"legal_basis.{key}").get("title"), f"legal_basis.{key}.title"),
                bool(self.mapping(item, f"legal_basis.{key}").get("verified", False)),
            )
            for key, item in self.mapping(top.get("legal_basis"), "legal_basis").items()
        }
        owners = self.mapping(top.get("owners"), "owners")
        return AdmissionDefinition(
            id=self.string(top.get("id"), "id"),
            version=self.string(top.get("version"), "version"),
            titles=self.text(top.get("titles"), "titles"),
            policy_owner=self.owner(owners.get("policy"), "owners.policy"),
            technical_owner=self.owner(owners.get("technical"), "owners.technical"),
            channels=self.strings(top.get("channels"), "channels"),
            standard_days=self.integer(top.get("standard_days"), "standard_days"),
            legal_basis=legal,
            stages=self.stages(top.get("stages")),
            rules=self.rules(top.get("rules")),
            evidence=self.evidence(top.get("evidence"), legal),
            reasons=self.reasons(top.get("reasons"), legal),
            open_reasons=self.open_reasons(top.get("open_reasons")),
            manual_path=self.text(top.get("manual_path"), "manual_path"),
        )

    def owner(self, raw: Any, where: str) -> Owner:
        item = self.mapping(raw, where)
        return Owner(
            self.string(item.get("organisation"), f"{where}.organisation"), self.text(item.get("post"), f"{where}.post")
        )

    def stages(self, raw: Any) -> dict[int, Stage]:
        found: dict[int, Stage] = {}
        for key, value in self.mapping(raw, "stages").items():
            item = self.mapping(value, f"stages.{key}")
            if item.get("by") not in {"catchment", "any_free_place"}:
                self.fault(f"stages.{key}.by", "expected catchment or any_free_place")
            number = self.integer(key, f"stages.{key}")
            found[number] = Stage(number, str(item.get("by")), self.text(item.get("titles"), f"stages.{key}.titles"))
        return found

    def rules(self, raw: Any) -> Rules:
        item = self.mapping(raw, "rules")
        year = self.integer(item.get("admission_year"), "rules.admission_year")
        try:
            age_on = date.fromisoformat(f"{year:04d}-{item.get('age_on')}")
        except ValueError:
            self.fault("rules.age_on", "expected month and day of the admission year, mm-dd")
            age_on = date(2000, 9, 1)
        rules = Rules(
            admission_year=year,
            age_on=age_on,
            age_at_least=self.integer(item.get("age_at_least"), "rules.age_at_least"),
            age_under=self.integer(item.get("age_under"), "rules.age_under"),
            vaccination_counts=frozenset(self.strings(item.get("vaccination_counts"), "rules.vaccination_counts")),
            enrolment_counts=frozenset(self.strings(item.get("enrolment_counts"), "rules.enrolment_counts")),
            grades_before=frozenset(self.strings(item.get("grades_before"), "rules.grades_before")),
            grade=self.string(item.get("grade"), "rules.grade"),
        )
        if rules.age_under <= rules.age_at_least:
            self.fault("rules.age_under", "expected more than age_at_least")
        return rules

    def evidence(self, raw: Any, legal: Mapping[str, LegalAct]) -> dict[str, EvidenceSource]:
        found: dict[str, EvidenceSource] = {}
        for key, value in self.mapping(raw, "evidence").items():
            where = f"evidence.{key}"
            item = self.mapping(value, where)
            service = self.string(item.get("data_service"), f"{where}.data_service")
            if len(service.split("/")) != 5:
                self.fault(f"{where}.data_service", "expected INSTANCE/CLASS/MEMBER/SUBSYSTEM/service")
            requests = {
                str(name): self.request(template, f"{where}.requests.{name}")
                for name, template in self.mapping(item.get("requests"), f"{where}.requests").items()
            }
            found[str(key)] = EvidenceSource(
                id=str(key),
                register=self.string(item.get("source_of_truth"), f"{where}.source_of_truth"),
                data_service=service,
                mapping=self.string(item.get("mapping"), f"{where}.mapping"),
                requests=requests,
                legal_ref=self.legal_ref(item.get("legal_ref"), where, legal),
                preview=self.text(item.get("preview"), f"{where}.preview"),
                absence=self.absence(item.get("absence", ""), str(key)),
            )
        for missing in sorted(set(EVIDENCE_IDS) - set(found)):
            self.fault(f"evidence.{missing}", "is not there")
        return found

    def absence(self, raw: Any, evidence_id: str) -> str:
        allowed = ABSENCE.get(evidence_id, ("",))
        if raw not in allowed:
            what = f"expected {' or '.join(allowed)}" if allowed != ("",) else "is only for a record of the child"
            self.fault(f"evidence.{evidence_id}.absence", what)
        return str(raw)

    def request(self, raw: Any, where: str) -> RequestTemplate:
        item = self.mapping(raw, where)
        if item.get("method") not in {"GET", "POST"}:
            self.fault(f"{where}.method", "expected GET or POST")
        soap = None
        if "soap" in item:
            call = self.mapping(item["soap"], f"{where}.soap")
            soap = SoapCall(
                self.string(call.get("namespace"), f"{where}.soap.namespace"),
                self.string(call.get("element"), f"{where}.soap.element"),
                self.string(call.get("field"), f"{where}.soap.field"),
                call.get("date"),
            )
        path, query = str(item.get("path", "")), self.pairs(item, "query", where)
        for name, text in (("path", path), *((f"query.{key}", f"{key} {value}") for key, value in query)):
            if "{" in text or "}" in text:
                self.fault(
                    f"{where}.{name}", "has a placeholder; what tells of a person stands in the body (json, soap)"
                )
        body = self.pairs(item, "json", where)
        for key, value in body:
            if not _fillable(value):
                self.fault(f"{where}.json.{key}", f"expected no other placeholders than {', '.join(PARAMETERS)}")
        if ("json" in item or "soap" in item) and item.get("method") != "POST":
            self.fault(f"{where}.method", "expected POST with a body (json, soap)")
        if "json" in item and "soap" in item:
            self.fault(where, "expected json or soap, not both")
        return RequestTemplate(str(item.get("method")), path, query, soap, body)

    def pairs(self, item: Mapping[Any, Any], name: str, where: str) -> tuple[tuple[str, str], ...]:
        return tuple((str(k), str(v)) for k, v in self.mapping(item.get(name, {}), f"{where}.{name}").items())

    def legal_ref(self, raw: Any, where: str, legal: Mapping[str, LegalAct]) -> str:
        if raw not in legal:
            self.fault(f"{where}.legal_ref", "is not one of legal_basis")
        return str(raw)

    def reasons(self, raw: Any, legal: Mapping[str, LegalAct]) -> dict[str, ReasonText]:
        found: dict[str, ReasonText] = {}
        for key, value in self.mapping(raw, "reasons").items():
            where = f"reasons.{key}"
            item = self.mapping(value, where)
            if item.get("kind") not in OUTCOME_KINDS:
                self.fault(f"{where}.kind", f"expected one of {', '.join(OUTCOME_KINDS)}")
            found[str(key)] = ReasonText(
                str(key),
                str(item.get("kind")),
                self.legal_ref(item.get("legal_ref"), where, legal),
                self.text(item.get("text"), f"{where}.text"),
            )
        expected = (*REASON_ORDER, "no_place", "admitted")
        if tuple(found) != expected:
            self.fault("reasons", f"expected exactly these, in this order: {', '.join(expected)}")
        return found

    def open_reasons(self, raw: Any) -> dict[str, Text]:
        items = self.mapping(raw, "open_reasons")
        for missing in sorted(set(OPEN_REASONS) - set(items)):
            self.fault(f"open_reasons.{missing}", "is not there")
        return {str(key): self.text(value, f"open_reasons.{key}") for key, value in items.items()}
