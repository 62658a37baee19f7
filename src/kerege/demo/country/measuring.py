"""What the gate's measured criteria rest on, measured on the running network: contract tests, code lists, denials, message logs.

Every number here is counted from real answers of real nodes; a probe that got no clear answer is counted as that, never as a success.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import urllib3

from kerege.delivery.facts import (
    CodeListCounts,
    CodeListFacts,
    ContractRun,
    ContractTestFacts,
    DenialProbe,
    MessageLogFacts,
    NodeMessages,
)
from kerege.demo.country.network import (
    ADMISSION,
    BIRTHS,
    CONTRACTS,
    DATA_SERVICES,
    EMIS,
    PERSONS,
    RUNNER,
    STRANGER,
    VACCINATIONS,
)
from kerege.exchange import messagelog
from kerege.exchange.trust import Trust
from kerege.semantics.pack import Pack
from kerege.services import contract_tests
from kerege.services.contract_tests import ContractReport, Probe
from kerege.services.evidence import Answer, Call, ExchangeClient, soap_request

_DAYS: Final = 12  # birth dates a contract test asks for, spread over the years of the applicants
_MAPPINGS: Final = tuple(mapping for _, _, mapping, _ in CONTRACTS)


def probes(first: date) -> list[Probe]:
    """Calls that together touch every contract; `first` is the earliest birth date asked for."""
    found = [
        Probe(Call(str(EMIS), path="institutions"), "kg:education.school"),
        Probe(Call(str(EMIS), path="institution_places"), "kg:education.places"),
        Probe(Call(str(EMIS), path="institution_catchments"), "kg:education.catchment"),
        Probe(Call(str(EMIS), path="area_administratives"), "kg:education.area"),
        Probe(Call(str(VACCINATIONS)), "kg:health.vaccination"),
    ]
    for number in range(_DAYS):
        day = first + timedelta(days=61 * number)
        soap = soap_request("urn:kg:zags:v2", "ListBirths", "BirthDate", day.strftime("%d.%m.%Y"))
        found += [
            Probe(
                Call(str(BIRTHS), "POST", body=soap, content_type="text/xml; charset=utf-8"), "kg:civil.birth-record"
            ),
            Probe(Call(str(PERSONS), query=(("dob", day.isoformat()),)), "kg:population.person"),
            Probe(
                Call(str(EMIS), path="institution_students", query=(("date_of_birth", day.isoformat()),)),
                "kg:education.pupil",
            ),
        ]
    return found


def contract_facts(report: ContractReport) -> ContractTestFacts:
    """The report per data service."""
    runs = tuple(
        ContractRun(service, mapping, report.passed[(service, mapping)], report.failed((service, mapping)))
        for service, mapping in report.keys
    )
    return ContractTestFacts(runs, frozenset(map(str, DATA_SERVICES)))


def code_list_facts(report: ContractReport, pack: Pack) -> CodeListFacts:
    """How the crosswalks of the release's mappings did on everything the probes brought."""
    counts = tuple(
        CodeListCounts(name, count.seen, count.unmapped, len(count.codes))
        for name, count in sorted(report.crosswalks.items())
    )
    return CodeListFacts(counts, contract_tests.used_crosswalks(_MAPPINGS, pack))


def denial_probes(client_url: str, peer_url: str, client_for: Any) -> list[DenialProbe]:
    """Calls that the rules must refuse, each through a real node.

    A member without any right calls every data service; the admission service calls a data service nobody granted; and a path that
    tries to climb out of its data service.
    """
    stranger: ExchangeClient = client_for(peer_url, str(STRANGER))
    runner: ExchangeClient = client_for(client_url, str(RUNNER))
    found = []
    for data_service in (BIRTHS, PERSONS, EMIS):
        answer = stranger.send(Call(str(data_service), path="probe", canonical=False, issue="denial-probe"))
        found.append(DenialProbe(str(STRANGER), str(data_service), outcome(answer)))
    for service, path in (
        ("KG/GOV/70000002/population/households", ""),
        ("KG/GOV/70000003/emis/staff", ""),
        (str(EMIS), "%2e%2e/%2e%2e/admin"),
    ):
        answer = runner.send(Call(service, path=path, canonical=False, issue="denial-probe"))
        found.append(DenialProbe(str(RUNNER), service, outcome(answer)))
    return found


def outcome(answer: Answer) -> Any:
    """ "denied" only when a node refused by its rules; a real answer is "answered"; all else, silence too, is "error"."""
    fault = answer.fault.lower()
    if any(
        word in fault for word in ("access_denied", "accessdenied", "unknown_service", "unknownservice", "bad_request")
    ):
        return "denied"
    if not answer.fault and 200 <= answer.status < 500:
        return "answered"
    return "error"


def traffic_allowed(client: ExchangeClient) -> Answer:
    """One harmless call of the admission service: the answer shows whether its traffic flows."""
    return client.send(Call(str(EMIS), path="institution_places", canonical=False, purpose="permit-probe"))


def monitoring(admin_url: str) -> list[dict[str, Any]]:
    """A node's monitoring records since it started."""
    answer = urllib3.request("GET", f"{admin_url}/monitoring?since=0", timeout=30.0, retries=False)
    records: list[dict[str, Any]] = orjson.loads(answer.data)["records"]
    return records


def message_log_facts(nodes: Mapping[str, tuple[str, Path]], trust: Trust) -> MessageLogFacts:
    """Per node (`code -> (admin address, log folder)`): exchanges its monitoring saw completed, logged whole, and verified."""
    return MessageLogFacts(
        tuple(node_messages(code, admin, folder, trust) for code, (admin, folder) in nodes.items()),
        frozenset(nodes),
    )


def node_messages(code: str, admin_url: str, folder: Path, trust: Trust) -> NodeMessages:
    """One node's counts. A completed exchange must have its request and its response in the log, once per side it took."""
    seen: Counter[tuple[str, str]] = Counter()
    for record in monitoring(admin_url):
        if "faultCode" not in record and "xRequestId" in record:
            seen[(record["xRequestId"], str(record["securityServerType"]).lower())] += 1
    requests: Counter[tuple[str, str]] = Counter()
    responses: Counter[tuple[str, str]] = Counter()
    for _, _, kept in messagelog.read(folder):
        side = "client" if kept.side == "client" else "producer"
        (requests if kept.direction == "request" else responses)[(kept.request_id, side)] += 1
    report = messagelog.verify(folder, trust)
    broken = {problem.request_id for problem in report.problems}
    logged = [key for key in seen if requests[key] and responses[key]]
    verified = sum(key[0] not in broken for key in logged)
    return NodeMessages(code, len(seen), len(logged), verified)


def summed(facts: Sequence[NodeMessages]) -> tuple[int, int, int]:
    """Monitored, logged, verified over all nodes."""
    return (sum(f.monitored for f in facts), sum(f.logged for f in facts), sum(f.verified for f in facts))


def refused(answer: Answer) -> bool:
    """Whether the node refused the call for want of rights or a permit."""
    return bool(outcome(answer) == "denied")


__all__ = [
    "ADMISSION",
    "code_list_facts",
    "contract_facts",
    "denial_probes",
    "message_log_facts",
    "monitoring",
    "node_messages",
    "outcome",
    "probes",
    "refused",
    "summed",
    "traffic_allowed",
]
