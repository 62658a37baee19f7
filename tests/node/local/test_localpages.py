"""What the client listener answers by itself: lists, one's own containers and nobody else's, and the configuration that verifies them."""

import asyncio
import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kerege.exchange import asic, conflayout
from kerege.exchange.errors import AccessDenied
from kerege.exchange.faults import Spelling, fault_of
from kerege.exchange.federation import FederatedParameters
from kerege.exchange.globalconf import Member, SecurityServer, SharedParameters, Subsystem, TimestampAuthority
from kerege.exchange.ids import ClientId, DataServiceId, MemberId, ServerId, SubsystemId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.pki import TestAuthority
from kerege.exchange.trust import Trust
from kerege.node.http.messages import HttpRequest, HttpResponse
from kerege.node.local.localpages import LocalPages, Logged, from_log
from kerege.node.log.index import Found, TooMuch

NOW = datetime.now(UTC).replace(microsecond=0)
ADMISSION = SubsystemId.parse("KG/GOV/70000003/admission")
OTHER = SubsystemId.parse("KG/GOV/70000003/emis")
PERSONS = DataServiceId.parse("KG/GOV/70000002/population/persons")
CERTIFICATE = TestAuthority.create("KG", NOW).configuration.certificate
OWN = "xRoadInstance=KG&memberClass=GOV&memberCode=70000003&subsystemCode=admission"


def record(direction: str = "request", client: SubsystemId = ADMISSION, side: str = "client") -> LogRecord:
    return LogRecord(NOW, direction, side, "q-1", "r-1", client.client, PERSONS, b"message", None, b"<s/>", None)


@pytest.fixture(scope="module")
def shared() -> SharedParameters:
    authority = TestAuthority.create("KG", NOW)
    edu = MemberId("KG", "GOV", "70000003")
    return SharedParameters(
        instance="KG",
        authorities=(authority.approved("http://127.0.0.1:1/ocsp"),),
        members=(Member(edu, "Илим", (Subsystem("admission", "admission"),)),),
        servers=(
            SecurityServer(
                ServerId.parse("KG/GOV/70000003/node-edu"),
                "127.0.0.1",
                frozenset({"a" * 43 + "="}),
                (ADMISSION.client,),
            ),
        ),
    )


class Pages:
    """The pages over a log of these records, for a client that authenticates or not."""

    def __init__(self, shared: SharedParameters, *logged: Logged, known: bool = True) -> None:
        self.logged, self.known, self.stamped = list(logged), known, 0
        self.too_much = False
        picture = SimpleNamespace(
            shared=FederatedParameters.of(shared, {}, {}),
            partners={},
            directory=SimpleNamespace(expires=NOW + timedelta(days=1), generation="20261122000000000000000"),
        )
        core: Any = SimpleNamespace(
            config=SimpleNamespace(clients={ADMISSION: None, OTHER: None}),
            keeper=SimpleNamespace(current=lambda now: picture, picture=picture),
            clock=lambda: NOW,
            fault=lambda problem, where: fault_of(problem, where, Spelling.SNAKE),
        )
        self.pages = LocalPages(core, self._authenticate, self._find, self._stamp).pages

    def _authenticate(self, client: SubsystemId, http: HttpRequest) -> None:
        if not self.known:
            raise AccessDenied(client=client, service="asic", reason="its certificate is not listed")

    async def _find(self, message_id: str, client: SubsystemId, directions: frozenset[str]) -> list[Logged]:
        if self.too_much:
            raise TooMuch
        return [one for one in self.logged if one.record.message_id == message_id]

    async def _stamp(self) -> None:
        self.stamped += 1
        self.logged = [Logged(one.record, one.stamp, False) for one in self.logged]

    def get(self, target: str, accept: str = "") -> HttpResponse:
        headers = ((b"accept", accept.encode()),) if accept else ()
        http = HttpRequest("GET", target, headers, b"", None, "127.0.0.1")
        return asyncio.run(self.pages[target.partition("?")[0]](http))  # type: ignore[arg-type]


def names(answer: HttpResponse) -> list[str]:
    assert isinstance(answer.body, bytes)
    return zipfile.ZipFile(io.BytesIO(answer.body)).namelist()


def test_both_containers_of_a_call_come_in_one_file(shared: SharedParameters) -> None:
    pages = Pages(shared, Logged(record()), Logged(record("response")))
    answer = pages.get(f"/asic?queryId=q-1&{OWN}")
    assert answer.status == 200
    assert sorted("-request-" in name for name in names(answer)) == [False, True]
    assert all(name.endswith(".asice") for name in names(answer))


def test_one_container_alone_is_no_zip_of_zips(shared: SharedParameters) -> None:
    pages = Pages(shared, Logged(record()), Logged(record("response")))
    answer = pages.get(f"/asic?queryId=q-1&{OWN}&requestOnly&unique")
    assert isinstance(answer.body, bytes)
    assert asic.read(answer.body).message == b"message"
    assert dict(answer.headers)[b"Content-Type"] == asic.MEDIA_TYPE.encode()


def test_a_client_gets_its_own_messages_and_nobody_elses(shared: SharedParameters) -> None:
    pages = Pages(shared, Logged(record(client=OTHER)), Logged(record(side="provider")))
    none = pages.get(f"/asic?queryId=q-1&{OWN}")
    assert none.status == 404
    assert b"queryId is the message identifier (x-road-id" in bytes(none.body)  # type: ignore[arg-type]
    mixed = Pages(shared, Logged(record(client=OTHER)), Logged(record()))
    assert len(names(mixed.get(f"/asic?queryId=q-1&{OWN}"))) == 1


def test_who_does_not_authenticate_or_is_no_client_is_told_so_and_no_more(shared: SharedParameters) -> None:
    assert Pages(shared, Logged(record()), known=False).get(f"/asic?queryId=q-1&{OWN}").status == 401
    stranger = OWN.replace("70000003", "70000009")
    assert Pages(shared, Logged(record())).get(f"/asic?queryId=q-1&{stranger}").status == 401


@pytest.mark.parametrize(
    "query",
    [
        OWN,
        "queryId=q-1",
        f"queryId=q-1&{OWN}&requestOnly&responseOnly",
        f"queryId=q-1&{OWN}&unique",
        f"queryId=q-1&queryId=q-2&{OWN}",
        f"queryId=q-1&{OWN}&other=1",
        f"queryId=q-1&{OWN.replace('admission', '..')}",
        f"queryId=%ff&{OWN}",
        f"queryId={'q' * 1100}&{OWN}",
        "&".join(f"a{n}=1" for n in range(50)),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused_in_plain_text(shared: SharedParameters, query: str) -> None:
    answer = Pages(shared, Logged(record())).get(f"/asic?{query}")
    assert (answer.status, dict(answer.headers)[b"Content-Type"]) == (400, b"text/plain; charset=utf-8")


def test_where_no_authority_stamps_containers_come_as_they_are(shared: SharedParameters) -> None:
    pages = Pages(shared, Logged(record(), None, True))
    assert (pages.get(f"/asic?queryId=q-1&{OWN}").status, pages.stamped) == (200, 0)


def test_more_than_an_answer_may_hold_is_refused_with_where_it_is(shared: SharedParameters) -> None:
    pages = Pages(shared, Logged(record()))
    pages.too_much = True
    answer = pages.get(f"/asic?queryId=q-1&{OWN}")
    assert answer.status == 500
    assert b"archives" in answer.body  # type: ignore[operator]


def test_the_log_is_asked_for_the_clients_own_and_no_more_than_an_answer_may_hold() -> None:
    asked: list[dict[str, Any]] = []

    async def find(message_id: str, **named: Any) -> list[Found]:
        asked.append({"id": message_id, **named})
        return [Found(0, record(), None)]

    both = frozenset({"request", "response"})
    assert asyncio.run(from_log(find, True)("q-1", ADMISSION, both))[0].waiting
    (one,) = asked
    assert (one["id"], one["own"], one["directions"]) == ("q-1", ADMISSION.client, both)
    assert 0 < one["most"] <= 64
    assert 0 < one["most_bytes"] <= 256 * 1024 * 1024


def test_what_is_not_stamped_yet_comes_with_force(shared: SharedParameters) -> None:
    stamped = replace(shared, timestamping=(TimestampAuthority("tsa", "http://127.0.0.1:1", CERTIFICATE),))
    pages = Pages(stamped, Logged(record(), None, True))
    assert pages.get(f"/asic?queryId=q-1&{OWN}").status == 404
    assert pages.stamped == 0
    assert pages.get(f"/asic?queryId=q-1&{OWN}&force").status == 200
    assert pages.stamped == 1


def test_the_list_of_clients_comes_as_xml_or_json_of_known_instances(shared: SharedParameters) -> None:
    pages = Pages(shared)
    xml, told = pages.get("/listClients"), pages.get("/listClients", "application/json;q=0.9, */*")
    assert b"clientList" in bytes(xml.body)  # type: ignore[arg-type]
    assert len(json.loads(told.body)["member"]) == 2  # type: ignore[arg-type]
    assert pages.get("/listClients?xRoadInstance=KG").status == 200
    refused = pages.get("/listClients?xRoadInstance=EE")
    assert (refused.status, b"client.invalid_request" in bytes(refused.body)) == (400, True)  # type: ignore[arg-type]


def test_the_verification_configuration_is_read_by_what_reads_laid_out_configurations(
    shared: SharedParameters, tmp_path: Any
) -> None:
    answer = Pages(shared).get("/verificationconf")
    assert answer.status == 200
    zipfile.ZipFile(io.BytesIO(answer.body)).extractall(tmp_path)  # type: ignore[arg-type]
    home = tmp_path / "verificationconf"
    assert (home / "instance-identifier").read_text() == "KG"
    told = conflayout.read(home).own
    assert told.version == 2
    assert told.shared.authorities == shared.authorities
    assert told.shared.is_registered(ClientId.parse(str(ADMISSION)))


@pytest.mark.vectors
def test_x_roads_own_containers_hold_under_the_configuration_that_is_handed_out(tmp_path: Any) -> None:
    vectors = Path(__file__).parents[3].parent / "shared" / "vectors" / "xroad"
    if not vectors.is_dir():
        pytest.skip(f"not there: {vectors}")
    theirs = conflayout.read(vectors / "live-7.3.2/globalconf").own.shared
    answer = Pages(theirs).get("/verificationconf")
    assert answer.status == 200
    zipfile.ZipFile(io.BytesIO(answer.body)).extractall(tmp_path)  # type: ignore[arg-type]
    handed_out = conflayout.read(tmp_path / "verificationconf").own.shared
    data = (vectors / "live-7.3.2/asice/001-rest-1-request-client.asice").read_bytes()
    verdicts = [asic.read(data).check(Trust(shared)) for shared in (theirs, handed_out)]
    assert verdicts[0] == verdicts[1]
    assert verdicts[1].member == MemberId("EE", "BUSINESS", "consumer")
