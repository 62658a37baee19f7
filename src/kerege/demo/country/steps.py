"""The demo's steps on a running country, in order: harmonise, gate, applications both ways, documents, closing the gate on purpose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from kerege.credentials import TrustList, status_from_texts, verify
from kerege.delivery import doings as delivery
from kerege.demo.country import gate, harmonise, keeping, linking, measuring, network, people, score
from kerege.demo.country.evidence_client import Counting
from kerege.demo.country.run import Country, first_birth_date
from kerege.demo.world import measure_dirt
from kerege.ground.clock import now
from kerege.ground.text import Text
from kerege.membership import doings as membership
from kerege.reconcile import fields as compared_fields
from kerege.reconcile import workload
from kerege.services import contract_tests, definitions, doings
from kerege.services.admission import Application, Processed, read_application
from kerege.services.data_first import DataFirst
from kerege.services.definitions import AdmissionDefinition
from kerege.services.evidence import Answer, Call
from kerege.services.integration_only import IntegrationOnly
from kerege.services.issuing import DocumentOffice, Issued
from kerege.services.run import RunResult, compare_fields, field_counters, process_all

ISSUER: Final = "https://edu.example.kg/issuer"
MINISTRY: Final = Text(ky="Агартуу министрлиги", ru="Министерство просвещения", en="Ministry of Education")
CONFIRMATION: Final = "urn:kerege:kg:admission-confirmation:1"


def areas_of(country: Country) -> list[Mapping[str, str | None]]:
    """The education register's own area list, over the node."""
    runner = country.client(country.edu, str(network.RUNNER))
    answer = runner.send(Call(str(network.EMIS), path="area_administratives", purpose="harmonise"))
    _must(answer)
    return list(answer.records)


def map_areas(country: Country, areas: Sequence[Mapping[str, str | None]]) -> harmonise.AreaMatch:
    """Suggest the area crosswalk and lay what is sure over the country pack; the nodes take it with their next refresh."""
    match = harmonise.match_areas(areas, country.pack.gazetteer)
    harmonise.write_overlay(match, areas, country.options.overlay)
    country.reload_pack()
    country.refresh()
    return match


def schools_of(country: Country) -> tuple[Mapping[str, str | None], ...]:
    """The schools as the education register gives them, over the node, in the country's own codes."""
    runner = country.client(country.edu, str(network.RUNNER))
    answer = runner.send(Call(str(network.EMIS), path="institutions", purpose="schools"))
    _must(answer)
    return tuple(answer.records)


def named(schools: Iterable[Mapping[str, str | None]]) -> dict[str, str]:
    """Code -> name of canonical school records, by code."""
    found = {code: name for school in schools if (code := school.get("school_code")) and (name := school.get("name"))}
    return dict(sorted(found.items()))


def settle_by_links(country: Country, areas: harmonise.AreaMatch) -> list[linking.Settled]:
    """Settle codes that names left open by records linked through the population register."""
    runner = country.client(country.edu, str(network.RUNNER))
    schools = linking.schools_with_open_areas(runner)
    answers = linking.answers_with_codes(runner, schools)
    found = linking.settle(runner, answers, country.pack, areas, country.options.overlay)
    country.reload_pack()
    country.refresh()
    return found


def measure(country: Country, report: contract_tests.ContractReport) -> gate.Measured:
    """One round of everything the platform measures itself. `report`: of the contract tests run before."""
    folder = country.options.network
    nodes = {code: (node.admin_url, folder / "nodes" / code / "log") for code, node in country.laid_out.nodes.items()}
    return gate.Measured(
        measuring.contract_facts(report),
        measuring.code_list_facts(report, country.pack),
        measuring.denial_probes(country.reg, country.client),
        measuring.message_log_facts(nodes, country.trust),
    )


def run_contract_tests(country: Country) -> contract_tests.ContractReport:
    """Every contract tried on the real registers, through both nodes."""
    probes = measuring.probes(first_birth_date(definition()))
    return contract_tests.run(probes, country.client(country.edu, str(network.RUNNER)), country.pack)


def try_traffic(country: Country) -> Answer:
    """One call of the admission service, as it would come any moment."""
    return measuring.traffic_allowed(country.client(country.edu, str(network.ADMISSION)))


def open_gate(country: Country, definition: AdmissionDefinition) -> gate.Opened:
    """From appointing the owners to the permit in the nodes' configuration."""
    people.appoint(country.ledger, now())
    gate.prepare(definition, country.pack, country.ledger, now())
    report = run_contract_tests(country)
    keeping.count_unmapped(report.unmapped, country.pack, now())
    measured = measure(country, report)
    gate.record(measured, country.started, country.ledger, now())
    gate.enter_papers(country.ledger, now())
    opened = gate.open_gate(measured, country.ledger, now())
    country.publish()
    return opened


def process(country: Country, definition: AdmissionDefinition) -> tuple[RunResult, RunResult, Counting]:
    """The same applications both ways on the same registers: (integration only, data first, calls counted)."""
    applications = [Application.of(form.id, form.raw) for form in country.world.applications]
    client = Counting(country.client(country.edu, str(network.ADMISSION)))
    workers = country.options.workers
    with country.report.step("Applications, integration only: values as they come", len(applications)) as progress:
        way = IntegrationOnly(client, definition)
        plain = process_all(applications, way, definition, workers=workers, on_progress=progress)
    with country.report.step("Applications, data first: values as they are meant", len(applications)) as progress:
        read = read_application(country.pack.mapper("kg:application"))
        first = DataFirst(client, definition, read)
        meant = process_all(applications, first, definition, workers=workers, on_progress=progress)
    return plain, compare_fields(meant, compared_fields.of_country()), client


def summarise(country: Country, definition: AdmissionDefinition, plain: RunResult, meant: RunResult) -> dict[str, Any]:
    """The figures, with wrong decisions counted against the truth."""
    free = {school.code: school.free for school in country.world.schools}
    true = score.true_decisions(country.world.truth, free, definition)
    return {
        "applications": len(country.world.applications),
        "seed": country.options.seed,
        "integration_only": score.figures(plain, true, country.world),
        "data_first": score.figures(meant, true, country.world),
        "fields": field_counters(meant, compared_fields.of_country()),
        "workload": [
            measured.as_dict()
            for measured in workload.of_comparisons({item.application.id: item.comparisons for item in meant.processed})
        ],
        "dirt": country.world.dirt.as_dict(),
        "measured_dirt": measure_dirt(country.world),
    }


def issue(country: Country, run: RunResult, case_ids: Mapping[str, str]) -> tuple[DocumentOffice, dict[str, Issued]]:
    """A signed confirmation for every child admitted by the machine; noted with the case. Returns them by application."""
    office = DocumentOffice(country.options.home, ISSUER, MINISTRY, now())
    admitted = {
        item.application.id: _claims(item, case_ids[item.application.id])
        for item in run.processed
        if item.decision is not None and item.decision.kind == "admit"
    }
    issued = office.issue(CONFIRMATION, admitted, now())
    notes = [(case_ids[key], "admission-confirmation", document.reference) for key, document in issued.items()]
    doings.note_documents(notes, now=now())
    return office, issued


def _claims(item: Processed, case_id: str) -> tuple[dict[str, str], dict[str, str]]:
    civil = {value.field: value.value or "" for value in item.evidence if value.concept == "child.birth"}
    shared = {"case": case_id, "school": item.application.school_code, "grade": "1", "school_year": "2026/2027"}
    name = {"given_name": civil.get("given_name", ""), "family_name": civil.get("surname", "")}
    return {**shared, **name, "birthdate": civil.get("birth_date", "")}, {**shared, **name}


def check_document(country: Country, text: str, at: datetime | None = None) -> str:
    """The verdict on a document from the public files alone, as anyone would check it."""
    public = country.options.home / "credentials" / "public"
    lists = [path.read_text(encoding="ascii") for path in sorted((public / "status").glob("*.jwt"))]
    return verify(text, TrustList.load(public / "trust.json"), status_from_texts(lists), at or now()).state


def show_documents(
    country: Country, office: DocumentOffice, issued: Mapping[str, Issued], chosen: str
) -> dict[str, str]:
    """What checking says of a good document, a tampered one, and a revoked one (another child's than the chosen)."""
    good = issued[chosen]
    middle = len(good.paper) // 2
    swapped = "A" if good.paper[middle] != "A" else "B"
    tampered = good.paper[:middle] + swapped + good.paper[middle + 1 :]
    other = next((document for key, document in issued.items() if key != chosen), None)
    found = {
        "paper": check_document(country, good.paper),
        "wallet": check_document(country, good.sd_jwt),
        "tampered": check_document(country, tampered),
    }
    if other is not None:
        office.revoke(other.status, now())
        found["revoked"] = check_document(country, other.paper)
    return found


def break_and_mend(country: Country) -> dict[str, Any]:
    """Break one criterion on purpose, watch the nodes refuse, mend it, open again.

    What is broken: somebody grants the Ministry of Health's subsystem a right to the population register that nobody agreed to. The
    denial probe is answered, the criterion that access denials hold fails and may not be waived, the permit is closed.
    """
    until = now() + timedelta(days=1)
    right = membership.grant_right(network.STRANGER, network.PERSONS, until, ledger=country.ledger, now=now())
    country.publish()
    report = run_contract_tests(country)
    broken = measure(country, report)
    gate.record(broken, country.started, country.ledger, now())
    reconsidered = delivery.reconsider(network.PUBLIC_SERVICE, country.ledger, now())
    country.publish()
    refused = try_traffic(country)

    membership.revoke_right(right.right_id, ledger=country.ledger, now=now())
    country.publish()
    mended = measure(country, report)
    gate.record(mended, country.started, country.ledger, now())
    opened = gate.open_gate(mended, country.ledger, now())
    country.publish()
    carried = try_traffic(country)
    return {
        "leaked": sum(probe.outcome == "answered" for probe in broken.denials),
        "closed": reconsidered.permit.state.value if reconsidered.permit else None,
        "failed": [e.criterion for e in reconsidered.assessment.evaluations if e.verdict.value != "PASS"],
        "refused": measuring.refused(refused),
        "fault": refused.fault,
        "reopened": opened.permit.state.value,
        "carried": carried.ok,
    }


def messages(country: Country) -> dict[str, Any]:
    """What the nodes' monitoring counted since they started."""
    found = {}
    for code, node in country.laid_out.nodes.items():
        records = measuring.monitoring(node.admin_url)
        found[code] = {"exchanges": len(records), "failed": sum(not record["succeeded"] for record in records)}
    return found


def definition() -> AdmissionDefinition:
    return definitions.of(network.PUBLIC_SERVICE)


def _must(answer: Answer) -> None:
    if not answer.ok:
        raise RuntimeError(f"the exchange did not answer: {answer.fault or answer.status}")
