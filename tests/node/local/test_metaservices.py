"""The node's own services, as a caller's node asks for them: REST and SOAP answers, who sees what, descriptions fetched."""

import asyncio
import gzip
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lxml import etree

from kerege.exchange import metaservices as m
from kerege.exchange import multipart, openapi_wsdl, opmon_query, rest, soap
from kerege.exchange.errors import AccessDenied, DescriptionUnavailable, MetaserviceInvalid, ServiceUnknown
from kerege.exchange.faults import Fault
from kerege.exchange.ids import ClientId, DataServiceId, ServerId, SubsystemId
from kerege.exchange.mimewrite import joined, related
from kerege.exchange.opmon import PRODUCER, Exchange
from kerege.exchange.rules import Right, Rules
from kerege.node.config_types import Service
from kerege.node.local.descriptions import Descriptions
from kerege.node.local.metaservices import Metaservices
from kerege.node.message import SOAP, Asked, Extras, Message
from kerege.node.rest_consumer import asked_of
from kerege.node.telling import opmonitor
from kerege.node.telling.environment import Environment
from kerege.node.telling.monitoring import Monitor
from kerege.node.telling.opmonitor import Store

NOW = datetime.now(UTC)
SERVER = ServerId.parse("KG/GOV/70000002/node-reg")
OWNER = ClientId.parse("KG/GOV/70000002")
ADMISSION = ClientId.parse("KG/GOV/70000003/admission")
CENTRAL = ClientId.parse("KG/GOV/70000001/monitoring")
POPULATION = SubsystemId.parse("KG/GOV/70000002/population")
OPENAPI = b"openapi: 3.0.0\nservers: [{url: 'http://10.1.2.3/inner'}]\npaths: {/births: {get: {}, post: {}}}\n"
WSDL = (
    b'<d:definitions xmlns:d="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/">'
    b'<d:service name="p"><d:port name="p" binding="b"><s:address location="http://10.1.2.3/inner"/></d:port></d:service>'
    b"</d:definitions>"
)


def service(code: str, version: str | None = None) -> DataServiceId:
    return DataServiceId("KG", "GOV", "70000002", "population", code, version)


@dataclass
class Parts:
    """A node's parts, as far as metaservices ask them."""

    config: Any
    rules: Rules
    monitor: Monitor
    central: ClientId | None = None
    clock: Any = field(default=lambda: datetime.now(UTC))

    @property
    def keeper(self) -> Any:
        picture = SimpleNamespace(rules=self.rules, optional=SimpleNamespace(monitoring_client=self.central))
        return SimpleNamespace(picture=picture, current=lambda now: picture)

    @property
    def rights(self) -> Any:
        return SimpleNamespace(rules=lambda picture: picture.rules, groups_of=lambda client, picture: frozenset())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "births.yaml").write_bytes(OPENAPI)
    (tmp_path / "persons.wsdl").write_bytes(WSDL)
    return tmp_path


def run(folder: Path, work: Any, *, central: ClientId | None = None, rights: tuple[Right, ...] = ()) -> Any:
    """Call `work(meta, core, store)` inside a loop, with everything closed afterwards."""

    async def main() -> Any:
        services = {
            one.id: one
            for one in (
                Service(service("births"), "http://127.0.0.1:1", 5, "openapi", "births.yaml"),
                Service(service("persons"), "http://127.0.0.1:1", 5, "rest"),
                Service(service("getPerson", "v1"), "http://127.0.0.1:1", 5, "wsdl", "persons.wsdl"),
                Service(service("getPerson", "v2"), "http://127.0.0.1:1", 5, "wsdl", "gone.wsdl"),
            )
        }
        store = Store(folder / "op.db", 7)
        monitor = Monitor(folder / "m.jsonl", store.keep)
        core = Parts(SimpleNamespace(server=SERVER, services=services), Rules("KG", 1, rights), monitor, central)
        environment = Environment(SERVER, [folder], tuple)
        meta = Metaservices(core, store, environment, Descriptions(folder))  # type: ignore[arg-type]
        try:
            return await work(meta, core, store)
        finally:
            monitor.close()
            await asyncio.to_thread(store.close)

    return asyncio.run(main())


def rest_call(code: str, query: str = "", verb: str = "GET", client: ClientId = ADMISSION) -> tuple[Asked, Message]:
    request = rest.request_from_client(
        verb,
        f"/r1/KG/GOV/70000002/population/{code}{query}",
        ((b"X-Road-Client", str(client).encode()),),
        new_message_id="m",
        request_id="r",
    )
    return asked_of(request, "/"), Message(multipart.REST_REQUEST, request.encode())


def soap_call(
    code: str, inside: str = "", client: ClientId = ADMISSION, subsystem: str | None = "population", ns: str = m.NS
) -> tuple[Asked, Message]:
    kind = "MEMBER" if client.subsystem is None else "SUBSYSTEM"
    own = "" if client.subsystem is None else f"<i:subsystemCode>{client.subsystem}</i:subsystemCode>"
    of = "" if subsystem is None else f"<i:subsystemCode>{subsystem}</i:subsystemCode>"
    content = f"""<e:Envelope xmlns:e="{soap.ENVELOPE}" xmlns:x="{m.NS}" xmlns:i="{m.ID_NS}" xmlns:q="{ns}"><e:Header>
<x:client i:objectType="{kind}"><i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>GOV</i:memberClass>
<i:memberCode>{client.member_code}</i:memberCode>{own}</x:client>
<x:service i:objectType="SERVICE"><i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>GOV</i:memberClass>
<i:memberCode>70000002</i:memberCode>{of}<i:serviceCode>{code}</i:serviceCode></x:service>
<x:id>id-1</x:id><x:protocolVersion>4.0</x:protocolVersion></e:Header>
<e:Body><q:{code}>{inside}</q:{code}></e:Body></e:Envelope>""".encode()
    asked = DataServiceId("KG", "GOV", "70000002", subsystem, code)
    return Asked(SOAP, client, asked, None, "id-1", "r", "POST", "/"), Message(multipart.SOAP, content)


def asking(call: tuple[Asked, Message]) -> Any:
    async def work(meta: Metaservices, core: Parts, store: Store) -> Message:
        asked, message = call
        assert meta.serves(asked)
        return await meta.call(asked, message, Extras(), Exchange(PRODUCER, 0))

    return work


def body_of(message: Message) -> bytes:
    assert isinstance(message.body, bytes)
    return message.body


def answer_element(call: tuple[Asked, Message], answer: Message) -> etree._Element:
    """The answer's body element, after the checks a consumer's node makes."""
    parsed, request = soap.parse(answer.content), soap.parse(call[1].content)
    assert not isinstance(parsed, Fault)
    assert not isinstance(request, Fault)
    soap.check_answer(request.header, hashlib.sha512(call[1].content).digest(), parsed)
    body = etree.fromstring(answer.content).find(f"{{{soap.ENVELOPE}}}Body")
    assert body is not None
    return body[0]


def test_rest_methods_are_listed_with_the_endpoints_of_their_descriptions(folder: Path) -> None:
    answer = run(folder, asking(rest_call("listMethods")))
    told = {one["service_code"]: one for one in json.loads(body_of(answer))["service"]}
    assert set(told) == {"births", "persons"}
    assert told["births"]["endpoint_list"] == [
        {"method": "GET", "path": "/births"},
        {"method": "POST", "path": "/births"},
    ]


def test_allowed_methods_are_those_the_caller_has_a_right_to(folder: Path) -> None:
    right = Right("r", SubsystemId.parse(str(ADMISSION)), service("births"), "GET", "/births")
    answer = run(folder, asking(rest_call("allowedMethods")), rights=(right,))
    (one,) = json.loads(body_of(answer))["service"]
    assert (one["service_code"], one["endpoint_list"]) == ("births", [{"method": "GET", "path": "/births"}])
    assert json.loads(body_of(run(folder, asking(rest_call("allowedMethods"))))) == {"service": []}


def test_an_openapi_description_comes_without_the_providers_address(folder: Path) -> None:
    answer = run(folder, asking(rest_call("getOpenAPI", "?serviceCode=births")))
    assert b"10.1.2.3" not in body_of(answer)
    assert b"content-type:application/yaml" in answer.content


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (rest_call("getOpenAPI"), MetaserviceInvalid),
        (rest_call("getOpenAPI", "?serviceCode=a&serviceCode=b"), MetaserviceInvalid),
        (rest_call("getOpenAPI", "?serviceCode=persons"), MetaserviceInvalid),
        (rest_call("getOpenAPI", "?serviceCode=nothing"), ServiceUnknown),
        (rest_call("getOpenAPI", "?serviceCode=getPerson"), ServiceUnknown),
        (rest_call("listMethods", verb="POST"), MetaserviceInvalid),
        (soap_call("getWsdl", "<x:serviceCode>births</x:serviceCode>"), ServiceUnknown),
        (soap_call("getWsdl", "<x:serviceCode>getPerson</x:serviceCode>"), DescriptionUnavailable),
        (soap_call("getWsdl"), MetaserviceInvalid),
        (soap_call("getSecurityServerMetrics"), ServiceUnknown),
        (soap_call("getSecurityServerMetrics", subsystem=None), AccessDenied),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(
    folder: Path, call: tuple[Asked, Message], error: type[Exception]
) -> None:
    with pytest.raises(error):
        run(folder, asking(call))


def test_soap_methods_answer_under_the_callers_header_with_the_request_hash(folder: Path) -> None:
    call = soap_call("listMethods")
    element = answer_element(call, run(folder, asking(call)))
    versions = [node.findtext(f"{{{m.ID_NS}}}serviceVersion") for node in element]
    assert versions == ["v1", "v2"]


def test_a_wsdl_comes_as_an_attachment_without_the_providers_address(folder: Path) -> None:
    call = soap_call("getWsdl", "<x:serviceCode>getPerson</x:serviceCode><x:serviceVersion>v1</x:serviceVersion>")
    answer = run(folder, asking(call))
    assert [child.text for child in answer_element(call, answer)] == ["getPerson", "v1"]
    assert b"10.1.2.3" not in body_of(answer)
    assert (b"content-id", b"<wsdl>") in answer.attachments[0].headers


def operational(client: ClientId, central: ClientId | None, folder: Path) -> dict[str, Any]:
    seconds = int(time.time())
    inside = f"<q:searchCriteria><q:recordsFrom>0</q:recordsFrom><q:recordsTo>{seconds + 3600}</q:recordsTo></q:searchCriteria>"
    call = soap_call(opmon_query.OPERATIONAL, inside, client, None, opmon_query.NS)

    async def work(meta: Metaservices, core: Parts, store: Store) -> Message:
        for consumer in (str(ADMISSION), "KG/GOV/70000009/other"):
            asked, _ = rest_call("persons", client=ClientId.parse(consumer))
            at = (seconds - 120) * 1000
            core.monitor.note(
                Exchange(PRODUCER, at, asked.detail, at, at, at, request_size=5, response_size=6, status=200)
            )
        core.monitor.flush()
        for _ in range(600):
            if store.find(opmon_query.OperationalQuery(0, seconds), opmon_query.Sight(None)).lines:
                break
            await asyncio.sleep(0.01)
        asked, message = call
        return await meta.call(asked, message, Extras(), Exchange(PRODUCER, 0))

    answer = run(folder, work, central=central)
    element = answer_element(call, answer)
    assert b"<om:nextRecordsFrom>" in answer.content
    assert answer.attachments[0].headers[-1] == (b"content-id", b"<operational-monitoring-data.json.gz>")
    outer, pieces = related(answer.content_type, answer.kind, answer.headers, answer.content, answer.attachments)
    whole = b"".join(joined(pieces))
    assert outer.startswith("multipart/related")
    # as X-Road-Metrics' collector finds it: by this very line, and by how the boundary begins
    found = re.search(rb"content-id: <operational-monitoring-data\.json\.gz>\r\n\r\n(.+)\r\n--xroad", whole, re.DOTALL)
    assert found is not None
    assert found[1] == body_of(answer)
    told = json.loads(gzip.decompress(found[1]))
    assert element.findtext(f"{{{opmon_query.NS}}}recordsCount") == str(len(told["records"]))
    return told


def test_the_owner_and_the_monitoring_client_collect_all_records_and_others_their_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opmonitor, "_WRITE_SECONDS", 0.02)
    for name, client, central, count in (
        ("owner", OWNER, None, 2),
        ("central", CENTRAL, CENTRAL, 2),
        ("nobody", CENTRAL, None, 0),
        ("part", ADMISSION, CENTRAL, 1),
    ):
        place = folder / name
        place.mkdir()
        told = operational(client, central, place)
        assert len(told["records"]) == count, name
        assert None not in [value for record in told["records"] for value in record.values()]


def test_health_is_told_whole_to_the_owner_and_to_a_provider_of_its_own_services(folder: Path) -> None:
    async def work(meta: Metaservices, core: Parts, store: Store) -> list[int]:
        asked, _ = rest_call("persons")
        at = int(NOW.timestamp() * 1000)
        core.monitor.note(Exchange(PRODUCER, at, asked.detail, at, at, at, status=200))
        out = []
        for client in (OWNER, POPULATION.client, ADMISSION):
            question, message = soap_call(opmon_query.HEALTH, "", client, None, opmon_query.NS)
            answer = await meta.call(question, message, Extras(), Exchange(PRODUCER, 0))
            element = answer_element((question, message), answer)
            out.append(len(element.findall(f".//{{{opmon_query.NS}}}serviceEvents")))
        return out

    assert run(folder, work) == [1, 1, 0]


def test_metrics_are_told_to_the_owner(folder: Path) -> None:
    call = soap_call("getSecurityServerMetrics", "", OWNER, None)
    element = answer_element(call, run(folder, asking(call)))
    name = element[0].findtext("{http://x-road.eu/xsd/monitoring}name")
    assert name == "SERVER:KG/GOV/70000002/node-reg"


# --- descriptions from URLs ------------------------------------------------------------------------------------------


class _Provider(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.calls.append(self.path)  # type: ignore[attr-defined]
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/openapi")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/huge":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(200):
                    self.wfile.write(b" " * 100_000)
            except OSError:
                pass
        else:
            self.send_response(200)
            self.send_header("Content-Type", "application/yaml")
            self.end_headers()
            self.wfile.write(OPENAPI)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    server.calls = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def described(provider: ThreadingHTTPServer, path: str) -> Service:
    return Service(service("births"), "http://x", 5, "openapi", f"http://127.0.0.1:{provider.server_port}{path}")


def test_a_description_is_fetched_once_however_many_ask_at_the_same_time(
    provider: ThreadingHTTPServer, tmp_path: Path
) -> None:
    async def main() -> None:
        descriptions = Descriptions(tmp_path)
        found = await asyncio.gather(*(descriptions.of(described(provider, "/openapi")) for _ in range(8)))
        assert {(one.data, one.media_type) for one in found} == {(OPENAPI, "application/yaml")}

    asyncio.run(main())
    assert provider.calls == ["/openapi"]  # type: ignore[attr-defined]


def test_a_description_is_taken_apart_once_for_the_same_bytes(
    provider: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = openapi_wsdl.endpoints

    def endpoints(data: bytes) -> tuple[tuple[str, str], ...]:
        calls.append(data)
        return real(data)

    monkeypatch.setattr(openapi_wsdl, "endpoints", endpoints)

    async def main() -> None:
        descriptions = Descriptions(tmp_path)
        for _ in range(5):
            assert len(await descriptions.endpoints(described(provider, "/openapi"))) == 2

    asyncio.run(main())
    assert calls == [OPENAPI]


@pytest.mark.parametrize(("path", "why"), [("/redirect", "HTTP 302"), ("/huge", "larger")])
def test_a_redirect_is_not_followed_and_a_flood_is_cut(
    provider: ThreadingHTTPServer, tmp_path: Path, path: str, why: str
) -> None:
    with pytest.raises(DescriptionUnavailable, match=why):
        asyncio.run(Descriptions(tmp_path).of(described(provider, path)))
    assert provider.calls == [path]  # type: ignore[attr-defined]


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://127.0.0.1:1/x", "not-there.yaml"])
def test_other_schemes_and_what_is_not_there_give_a_reason_without_the_address(tmp_path: Path, place: str) -> None:
    one = Service(service("births"), "http://x", 5, "openapi", place)
    with pytest.raises(DescriptionUnavailable) as refused:
        asyncio.run(Descriptions(tmp_path).of(one))
    assert place not in refused.value.text
    assert asyncio.run(Descriptions(tmp_path).endpoints(one)) == ()
