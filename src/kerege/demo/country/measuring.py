"""What the gate's measured criteria rest on, measured on the running network: contract tests, code lists, denials, message logs.

Every number here is counted from real answers of real nodes; a probe that got no clear answer is counted as that, never as a success.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, Literal

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
    BIRTHS,
    CONTRACTS,
    DATA_SERVICES,
    EMIS,
    PERSONS,
    STRANGERS,
    VACCINATIONS,
)
from kerege.exchange import messagelog
from kerege.exchange.ids import DataServiceId
from kerege.exchange.trust import Trust
from kerege.semantics.pack import Pack
from kerege.services import contract_tests
from kerege.services.contract_tests import ContractReport, Probe
from kerege.services.evidence import JSON, Answer, Call, ExchangeClient, json_request, soap_request

ClientFor = Callable[[str, str], ExchangeClient]
Outcome = Literal["denied", "answered", "error"]

_PATHS: Final = {BIRTHS: "", PERSONS: "", EMIS: "institutions"}
_DAYS: Final = 12  # birth dates a contract test asks for, spread over the years of the applicants
_MAPPINGS: Final = tuple(mapping for _, _, mapping in CONTRACTS)


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
            Probe(searching(PERSONS, "search", dob=day.isoformat()), "kg:population.person"),
            Probe(
                searching(EMIS, "institution_students/search", date_of_birth=day.isoformat()),
                "kg:education.pupil",
            ),
        ]
    return found


def searching(data_service: DataServiceId, path: str, *, canonical: bool = True, **asked: str) -> Call:
    """A search whose question stands in the body: addresses are logged on the way."""
    return Call(str(data_service), "POST", path, body=json_request(asked), content_type=JSON, canonical=canonical)


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


def denial_probes(peer_url: str, client_for: ClientFor) -> list[DenialProbe]:
    """Calls that the access rules must refuse: registered subsystems, each calling data services nobody granted it.

    All exist and answer their rightful callers at the same time, so a refusal can only come from the rules.
    """
    found = []
    for subsystem in STRANGERS:
        client = client_for(peer_url, str(subsystem))
        for data_service in (BIRTHS, PERSONS, EMIS):
            if data_service.provider == subsystem:
                continue
            call = Call(str(data_service), path=_PATHS[data_service], canonical=False, issue="denial-probe")
            found.append(DenialProbe(str(subsystem), str(data_service), outcome(client.send(call))))
    return found


def outcome(answer: Answer) -> Outcome:
    """ "denied" only when a node refused by its access rules; a real answer is "answered"; all else, silence too, is "error"."""
    if answer.fault.lower().replace("_", "").endswith("accessdenied"):
        return "denied"
    return "answered" if not answer.fault and 200 <= answer.status < 500 else "error"


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


def refused(answer: Answer) -> bool:
    """Whether the node refused the call for want of rights or a permit."""
    return outcome(answer) == "denied"
