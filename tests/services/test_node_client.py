"""The door to the registers over HTTP: headers of the protocol, one pool, faults instead of exceptions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import orjson
import pytest

from kerege.services.evidence import Call
from kerege.services.node_client import CANONICAL, NodeClient, read_answer

SERVICE = "KG/GOV/70000002/population/persons"
MESSAGE = {
    "records": [{"pin": "1", "house": None}],
    "problems": [],
    "mapping": {"id": "kg:population.person", "version": "1+abc"},
    "original": {"sha256": "cd" * 32, "content_type": "application/json", "message_id": "m-9"},
}


class Node(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    seen: ClassVar[list[tuple[str, str, dict[str, str], bytes]]] = []
    headers_out: ClassVar[dict[str, str]] = {}
    status, body = 200, orjson.dumps(MESSAGE)

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        Node.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(Node.status)
        for name, value in Node.headers_out.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(Node.body)))
        self.end_headers()
        self.wfile.write(Node.body)

    do_GET = do_POST = _answer

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def node() -> Iterator[str]:
    Node.seen, Node.status, Node.headers_out, Node.body = [], 200, {}, orjson.dumps(MESSAGE)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Node)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_call_speaks_the_protocol_and_its_answer_keeps_the_provenance(node: str) -> None:
    client = NodeClient(node, "KG/GOV/70000003/admission")
    answer = client.send(Call(SERVICE, path="institutions", issue="A-1", canonical=True))
    client.close()
    ((method, path, headers, _),) = Node.seen
    assert (method, path) == ("GET", f"/r1/{SERVICE}/institutions")
    assert headers["x-road-client"] == "KG/GOV/70000003/admission"
    assert headers["x-road-issue"] == "A-1"
    assert len(headers["x-road-id"]) == 36
    assert headers["accept"] == CANONICAL
    assert answer.ok
    assert (answer.message_id, answer.mapping_version, answer.original_sha256) == ("m-9", "1+abc", "cd" * 32)
    assert answer.records == ({"pin": "1", "house": None},)


def test_a_body_travels_with_its_content_type_and_a_query_is_encoded(node: str) -> None:
    client = NodeClient(node, "KG/GOV/70000003/admission")
    answer = client.send(
        Call(SERVICE, "POST", query=(("part", "a b"),), body=b"<x/>", content_type="text/xml", canonical=False)
    )
    client.close()
    ((method, path, headers, body),) = Node.seen
    assert (method, path, headers["content-type"], body) == ("POST", f"/r1/{SERVICE}?part=a+b", "text/xml", b"<x/>")
    assert (answer.ok, answer.body) == (True, Node.body)


def test_many_calls_share_one_connection(node: str) -> None:
    client = NodeClient(node, "KG/GOV/70000003/admission", workers=1)
    for _ in range(5):
        assert client.send(Call(SERVICE)).ok
    pool = client._pool.connection_from_url(node)
    assert pool.num_connections == 1
    client.close()


@pytest.mark.parametrize(
    ("status", "headers", "body", "fault"),
    [
        (500, {}, b"", "status_500"),
        (500, {"X-Road-Error": "Server.ServerProxy.AccessDenied"}, b"{}", "Server.ServerProxy.AccessDenied"),
        (200, {}, b"<html>", "services.not_canonical"),
        (200, {}, b'{"records": 1}', "services.not_canonical"),
        (200, {}, b"[]", "services.not_canonical"),
    ],
)
def test_what_goes_wrong_becomes_a_fault(
    node: str, status: int, headers: dict[str, str], body: bytes, fault: str
) -> None:
    Node.status, Node.headers_out, Node.body = status, headers, body
    client = NodeClient(node, "KG/GOV/70000003/admission")
    answer = client.send(Call(SERVICE))
    client.close()
    assert (answer.ok, answer.fault) == (False, fault)


def test_a_node_that_is_not_there_is_a_fault_and_not_an_exception() -> None:
    client = NodeClient("http://127.0.0.1:9", "KG/GOV/70000003/admission", timeout=1)
    answer = client.send(Call(SERVICE))
    assert (answer.ok, answer.fault) == (False, "services.exchange_unreachable")


def test_records_the_translation_held_back_are_known_by_their_place() -> None:
    held = [{"record": 0, "verdict": "quarantined"}, {"record": 4, "verdict": "rejected"}]
    body = orjson.dumps(MESSAGE | {"withheld": held})
    assert read_answer(200, {}, body, "m", canonical=True).withheld == (0, 4)
    assert read_answer(200, {}, orjson.dumps(MESSAGE), "m", canonical=True).withheld == ()


@pytest.mark.parametrize("withheld", [5, [5], [{"verdict": "rejected"}], [{"record": None}], [{"record": "x"}]])
def test_an_unreadable_list_of_what_was_held_back_is_no_canonical_answer(withheld: object) -> None:
    answer = read_answer(200, {}, orjson.dumps(MESSAGE | {"withheld": withheld}), "m", canonical=True)
    assert (answer.ok, answer.fault) == (False, "services.not_canonical")


def test_not_found_at_the_provider_is_an_answer() -> None:
    assert read_answer(404, {"X-Road-Id": "m"}, b"{}", "m", canonical=True).ok
    assert not read_answer(404, {"X-Road-Error": "Server.UnknownService"}, b"{}", "m", canonical=True).ok
