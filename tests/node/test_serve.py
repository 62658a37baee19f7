"""A network in a box: two real node processes, a real HTTP server behind the provider's, signed configuration between them."""

import base64
import hashlib
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from box import (
    ADMISSION,
    EMIS,
    PERSONS,
    Agency,
    Box,
    base_rules,
    closed_permit,
    far,
    http,
    open_permit,
)
from kerege.exchange import logfolder, messagelog
from kerege.exchange.pki import TestAuthority
from kerege.exchange.rules import Right
from kerege.exchange.trust import Trust
from kerege.node.network import publish, shared_parameters

pytestmark = pytest.mark.journey


def type_of(answer: object) -> str:
    return str(answer.json["type"])  # type: ignore[attr-defined]


def records(box: Box, code: str) -> list[messagelog.LogRecord]:
    return [found for _, _, found in messagelog.read(box.laid.nodes[code].folder / "log")]


# --- carrying messages ---


def test_a_call_reaches_the_agency_and_its_answer_comes_back_unchanged(box: Box) -> None:
    box.agency.answer = (200, {"Content-Type": "text/plain; charset=koi8-r", "X-Agency": "yes"}, b"\x00\xff bytes")
    answer = box.call("/a%20b/c?q=1&z=%C3%A4", headers={"X-Road-Id": "mine", "Authorization": "kept"})
    assert (answer.status, answer.body) == (200, b"\x00\xff bytes")
    assert answer.headers["Content-Type"] == "text/plain; charset=koi8-r"
    assert answer.headers["X-Agency"] == "yes"
    assert answer.headers["x-road-id"] == "mine"
    assert answer.headers["x-road-service"] == str(PERSONS)
    assert "X-Road-Error" not in answer.headers
    (seen,) = box.agency.seen
    assert seen.path == "/api/persons/a%20b/c?q=1&z=%C3%A4"
    assert seen.headers["Authorization"] == "kept"
    assert seen.headers["X-Road-Client"] == str(ADMISSION)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_verbs_and_bodies_travel(box: Box, method: str) -> None:
    body = bytes(range(256)) * 300
    assert box.call("/x", method=method, body=body).json["got"] == len(body)
    assert box.agency.seen[0].body == body


@pytest.mark.parametrize("status", [201, 204, 404, 500])
def test_the_agencys_own_status_passes_through_without_x_road_error(box: Box, status: int) -> None:
    box.agency.answer = (status, {}, b"")
    answer = box.call("/x")
    assert answer.status == status
    assert "X-Road-Error" not in answer.headers


def test_the_response_names_the_hash_of_the_request_that_was_logged(box: Box) -> None:
    answer = box.call("/x", method="POST", body=b"body")
    sent = next(r for r in records(box, "node-edu") if r.request_id == answer.headers["x-road-request-id"])
    whole = hashlib.sha512(hashlib.sha512(sent.message).digest() + hashlib.sha512(b"body").digest()).digest()
    assert answer.headers["x-road-request-hash"] == base64.b64encode(whole).decode()


def test_both_nodes_log_both_messages_and_every_signature_verifies(box: Box) -> None:
    answer = box.call("/x", method="POST", body=b"body")
    trust = Trust(shared_parameters(box.folder, box.plan))
    for code, side in (("node-edu", "client"), ("node-reg", "provider")):
        mine = [r for r in records(box, code) if r.request_id == answer.headers["x-road-request-id"]]
        assert [(r.direction, r.side) for r in mine] == [("request", side), ("response", side)]
        assert [r.body for r in mine] == [b"body", answer.body]
        report = messagelog.verify(box.laid.nodes[code].folder / "log", trust)
        assert report.ok, report.problems[:3]


def test_a_monitoring_record_is_written_on_both_sides_without_what_was_asked(box: Box) -> None:
    since = int(time.time() * 1000)
    answer = box.call("/21203198000017?dob=2019-01-01", headers={"X-Road-UserId": "officer", "X-Road-Issue": "case-1"})
    for code, side in (("node-edu", "Client"), ("node-reg", "Producer")):
        raw = box.admin(code, "GET", f"/monitoring?since={since}").body
        (record,) = orjson.loads(raw)["records"]
        assert record["securityServerType"] == side
        assert record["xRequestId"] == answer.headers["x-road-request-id"]
        assert (record["messageUserId"], record["messageIssue"]) == ("officer", "case-1")
        assert record["succeeded"] is True
        assert b"21203198000017" not in raw
        assert (box.laid.nodes[code].folder / "monitoring.jsonl").read_bytes().endswith(orjson.dumps(record) + b"\n")


def test_many_calls_at_once_share_durable_writes(box: Box) -> None:
    before = box.admin("node-reg", "GET", "/health").json["log"]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: box.call(f"/n{n}"), range(160)))
    assert [a.status for a in answers] == [200] * 160
    assert [a.json["path"] for a in answers] == [f"/api/persons/n{n}" for n in range(160)]
    after = box.admin("node-reg", "GET", "/health").json["log"]
    assert after["records"] - before["records"] == 320  # type: ignore[index]
    assert after["batches"] - before["batches"] < 320  # type: ignore[index]


# --- refusing ---


def test_a_client_without_a_right_is_denied_and_the_agency_never_asked(box: Box) -> None:
    answer = box.call(client=str(EMIS))
    assert (answer.status, type_of(answer)) == (500, "server.serverproxy.access_denied")
    assert answer.headers["X-Road-Error"] == "server.serverproxy.access_denied"
    assert "exchange.access_denied" in str(answer.json["detail"])
    assert "node-reg refused it" in str(answer.json["message"])
    reference = str(uuid.UUID(answer.headers["X-Kerege-Fault"]))
    assert answer.json["reference"] == reference
    (line,) = [
        one for one in (box.laid.nodes["node-reg"].folder / "output.txt").read_text().splitlines() if reference in one
    ]
    assert f"client {EMIS}, data service {PERSONS}" in line
    assert box.agency.seen == []


def test_a_right_may_be_for_a_method_and_paths_only(box: Box) -> None:
    box.publish(replace(base_rules(), rights=(Right("r", ADMISSION, PERSONS, "GET", "/open/*", far()),)))
    assert box.call("/open/1").status == 200
    for refused in (box.call("/closed"), box.call("/open/1/2"), box.call("/open/1", method="POST", body=b"x")):
        assert type_of(refused) == "server.serverproxy.access_denied"
    assert len(box.agency.seen) == 1


def test_a_permit_opens_closes_and_opens_traffic_by_new_signed_configuration(box: Box) -> None:
    base = base_rules()
    box.publish(replace(base, permits=()))
    refused = box.call()
    assert type_of(refused) == "server.clientproxy.access_denied"
    assert "no traffic permit was ever given" in str(refused.json["message"])
    box.publish(replace(base, permits=(open_permit(),)))
    assert box.call().status == 200
    box.publish(replace(base, permits=(open_permit(), closed_permit())))
    closed = box.call()
    assert "criterion C4 fails" in str(closed.json["message"])
    assert len(box.agency.seen) == 1
    box.publish(replace(base, permits=(open_permit(), closed_permit(), open_permit(3))))
    assert box.call().status == 200


def test_the_provider_refuses_too_when_only_it_knows_that_the_permit_is_closed(box: Box) -> None:
    box.publish(replace(base_rules(), permits=(open_permit(), closed_permit())), refresh=False)
    assert box.admin("node-reg", "POST", "/refresh").status == 200
    answer = box.call()
    assert type_of(answer) == "server.serverproxy.access_denied"
    assert "exchange.permit_closed" in str(answer.json["detail"])
    assert box.agency.seen == []


@pytest.mark.parametrize("path", ["/a/../b", "/a/%2e%2e/b", "/a%2Fb", "/a/%252e%252e/b", "//b"])
def test_path_tricks_are_refused_before_anything_leaves(box: Box, path: str) -> None:
    answer = box.call(path)
    assert (answer.status, type_of(answer)) == (400, "client.bad_request")
    assert box.agency.seen == []


@pytest.mark.parametrize(
    ("service", "client"),
    [
        ("KG/GOV/70000002%2Fpopulation/persons", str(ADMISSION)),
        ("KG/GOV/70000002/population", str(ADMISSION)),
        (str(PERSONS), "KG/GOV/70000003%2Fadmission"),
        (str(PERSONS), "KG/GOV"),
    ],
)
def test_identifiers_that_are_not_whole_are_refused(box: Box, service: str, client: str) -> None:
    answer = box.call("", service=service, client=client)
    assert answer.status == 400
    assert box.agency.seen == []


def test_a_call_without_client_header_is_refused_in_the_callers_language(box: Box) -> None:
    url = f"{box.laid.nodes['node-edu'].client_url}/r1/{PERSONS}/x"
    answer = http("GET", url, {"Accept": "application/xml"})
    assert (answer.status, answer.headers["X-Road-Error"]) == (400, "client.missing_header")
    assert answer.body.startswith(b"<?xml")
    assert b"<type>client.missing_header</type>" in answer.body


def test_a_client_of_another_node_is_not_served_here(box: Box) -> None:
    answer = box.call(client="KG/GOV/70000002/population")
    assert type_of(answer) == "server.clientproxy.unknown_member"


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("KG/GOV/70000002/population/nothing", "server.serverproxy.unknown_service"),
        ("KG/GOV/70000002/nothing/persons", "server.clientproxy.unknown_member"),
    ],
)
def test_a_service_or_member_nobody_knows_is_named(box: Box, service: str, code: str) -> None:
    assert type_of(box.call(service=service)) == code


def test_another_server_may_be_asked_for_and_a_wrong_one_is_not_called(box: Box) -> None:
    right, wrong = "KG/GOV/70000002/node-reg", "KG/GOV/70000003/node-edu"
    assert box.call(headers={"X-Road-Security-Server": right}).status == 200
    assert type_of(box.call(headers={"X-Road-Security-Server": wrong})) == "server.clientproxy.invalid_security_server"


# --- the agency's system ---


def test_a_slow_agency_is_a_fault_that_says_how_long_was_waited(box: Box) -> None:
    box.agency.delay = 2.6
    answer = box.call()
    assert (answer.status, type_of(answer)) == (500, "server.serverproxy.service_failed")
    assert "did not answer within 2 s" in str(answer.json["message"])
    box.agency.delay = 0.0
    assert box.call().status == 200


def test_an_agency_that_is_down_is_a_fault_and_the_request_is_on_record(box: Box) -> None:
    url, port = box.agency.url, int(box.agency.url.rsplit(":", 1)[1].split("/")[0])
    box.agency.close()
    try:
        answer = box.call(headers={"X-Road-Id": "while-down"})
        assert type_of(answer) == "server.serverproxy.service_failed"
        assert "could not be reached" in str(answer.json["message"]) or "closed" in str(answer.json["message"])
        assert [r.direction for r in records(box, "node-reg") if r.message_id == "while-down"] == ["request"]
    finally:
        back = Agency(port)
        assert back.url == url
        box.agency = back
    assert box.call().status == 200


def test_a_body_beyond_the_limit_is_refused_with_the_limit(new_box: Callable[..., Box]) -> None:
    box = new_box()
    for code in ("node-edu", "node-reg"):
        config = box.laid.nodes[code].config
        limits = "limits: {body_megabytes: 0.1}\n" if code == "node-edu" else "limits: {body_megabytes: 0.05}\n"
        config.write_text(config.read_text() + limits)
        box.start(code)
    for code in ("node-edu", "node-reg"):
        box.wait(code)
    over_both = box.call("/x", method="POST", body=bytes(110_000))
    assert over_both.status == 413
    assert over_both.json["message"] == "The body is larger than the limit of 104857 bytes."
    assert type_of(over_both) == over_both.headers["X-Road-Error"] == "server.clientproxy.invalid_request"
    assert over_both.headers["X-Kerege-Fault"] == over_both.json["reference"]
    in_xml = box.call("/x", method="POST", body=bytes(110_000), headers={"Accept": "text/xml"})
    assert b"<type>server.clientproxy.invalid_request</type>" in in_xml.body
    over_provider = box.call("/x", method="POST", body=bytes(90_000))
    assert type_of(over_provider) == "server.serverproxy.invalid_request"
    assert box.agency.seen == []
    box.agency.answer = (200, {}, bytes(60_000))
    assert "52428 bytes" in str(box.call("/x").json["message"])


# --- configuration ---


def test_a_forged_configuration_is_refused_and_traffic_goes_on(box: Box) -> None:
    assert box.call().status == 200  # there was some: each node has the other's OCSP answer
    genuine = dict(box.publisher.files)
    forger = TestAuthority.create("KG", datetime.now(UTC))
    folder = box.folder / "forged"
    (folder / "authority").mkdir(parents=True, exist_ok=True)
    forger.save(folder / "authority")
    for code in ("node-edu", "node-reg"):
        target = folder / "nodes" / code
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            target.symlink_to(box.laid.nodes[code].folder)
    forged = publish(folder, box.plan, box.rules, datetime.now(UTC), box.version + 1)
    box.publisher.files = {
        **{f"/internalconf/{n}": c for n, c in forged.files.items()},
        "/internalconf": forged.directory,
    }
    answer = box.admin("node-edu", "POST", "/refresh")
    assert answer.status == 502
    assert answer.json["problem"]["code"] == "exchange.configuration_forged"  # type: ignore[index]
    assert box.call().status == 200
    box.publisher.files = genuine
    assert box.admin("node-edu", "POST", "/refresh").status == 200


def test_an_exchanged_file_is_refused(box: Box) -> None:
    genuine = dict(box.publisher.files)
    box.publish(replace(base_rules(), permits=()), refresh=False)
    for name in [n for n in box.publisher.files if n.endswith("kerege-rules.json")]:
        box.publisher.files[name] = next(c for n, c in genuine.items() if n.endswith("kerege-rules.json"))
    answer = box.admin("node-edu", "POST", "/refresh")
    assert answer.json["problem"]["code"] == "exchange.configuration_forged"  # type: ignore[index]
    assert "KEREGE-RULES" in str(answer.json["problem"])
    box.publish(base_rules())


def test_an_older_configuration_is_refused(box: Box) -> None:
    old = dict(box.publisher.files)
    box.publish(replace(base_rules(), permits=(open_permit(), closed_permit())))
    box.publisher.files = old  # a replay of the open permit
    answer = box.admin("node-edu", "POST", "/refresh")
    assert answer.json["problem"]["code"] == "exchange.configuration_older"  # type: ignore[index]
    assert type_of(box.call()) == "server.clientproxy.access_denied"
    box.publish(base_rules(), version=box.version - 1, refresh=False)  # newer directory, older rules
    answer = box.admin("node-edu", "POST", "/refresh")
    assert answer.json["problem"]["code"] == "exchange.configuration_older"  # type: ignore[index]
    box.version += 1
    box.publish(base_rules())


def test_a_configuration_that_expired_stops_traffic_and_says_when(new_box: Callable[..., Box]) -> None:
    box = new_box(valid_for=timedelta(seconds=6))
    for code in ("node-edu", "node-reg"):
        box.start(code)
    for code in ("node-edu", "node-reg"):
        box.wait(code)
    box.publish()
    assert box.call().status == 200
    expires = str(box.admin("node-edu", "GET", "/health").json["configuration"]["expires"])  # type: ignore[index]
    box.publisher.files = {}
    time.sleep(max(0.0, (datetime.fromisoformat(expires) - datetime.now(UTC)).total_seconds()) + 0.1)
    answer = box.call()
    assert type_of(answer) == "server.clientproxy.global_conf_outdated"
    assert expires.replace("T", " ") in str(answer.json["message"])
    assert box.admin("node-edu", "GET", "/health").status == 503
    assert box.admin("node-edu", "POST", "/refresh").status == 502
    box.publish()
    assert box.call().status == 200


def test_a_node_goes_on_without_the_publisher_and_starts_again_from_its_own_folder(new_box: Callable[..., Box]) -> None:
    box = new_box()
    for code in ("node-edu", "node-reg"):
        box.start(code)
    for code in ("node-edu", "node-reg"):
        box.wait(code)
    assert box.call().status == 200
    box.publisher.files = {}  # neither configuration nor OCSP answers
    assert box.admin("node-edu", "POST", "/refresh").status == 502
    assert box.call().status == 200
    box.stop("node-edu")
    box.start("node-edu")
    box.wait("node-edu")
    assert box.call().status == 200


def test_a_node_without_any_configuration_says_so(new_box: Callable[..., Box]) -> None:
    box = new_box()
    box.publisher.files = {}
    box.start("node-edu")
    box.wait("node-edu", ok=False)
    answer = box.call()
    assert type_of(answer) == "server.clientproxy.global_conf_outdated"
    assert "404" in str(answer.json["message"])


# --- crashes ---


def test_after_kill_9_under_load_every_answered_message_is_on_record_and_the_log_goes_on(
    new_box: Callable[..., Box],
) -> None:
    box = new_box()
    for code in ("node-edu", "node-reg"):
        box.start(code)
    for code in ("node-edu", "node-reg"):
        box.wait(code)
    answered: list[str] = []

    def call(number: int) -> None:
        try:
            answer = box.call(f"/n{number}", headers={"X-Road-Id": f"n-{number}"})
        except OSError:
            return
        if answer.status == 200:
            answered.append(f"n-{number}")

    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(call, n) for n in range(400)]
        while len(answered) < 60:
            time.sleep(0.01)
        box.stop("node-reg", signal.SIGKILL)
        time.sleep(0.05)
        box.stop("node-edu", signal.SIGKILL)
        for one in work:
            one.result()
    trust = Trust(shared_parameters(box.folder, box.plan))
    for code in ("node-edu", "node-reg"):
        logged = {(r.message_id, r.direction) for r in records(box, code)}
        assert {(m, d) for m in answered for d in ("request", "response")} <= logged
        # nothing was asked of the agency that is not on record
        if code == "node-reg":
            asked = {seen.headers["X-Road-Id"] for seen in box.agency.seen}
            assert asked <= {m for m, d in logged if d == "request"}
    for code in ("node-edu", "node-reg"):
        box.start(code)
    for code in ("node-edu", "node-reg"):
        box.wait(code)
    assert box.call(headers={"X-Road-Id": "after"}).status == 200
    for code in ("node-edu", "node-reg"):
        folder = box.laid.nodes[code].folder / "log"
        for torn in logfolder.torn(folder):  # killed within a write: looked at, then moved elsewhere
            torn.rename(box.folder / f"{code}-{torn.name}")
        report = messagelog.verify(folder, trust)
        assert report.ok, report.problems[:3]
        assert [r.message_id for r in records(box, code)][-2:] == ["after", "after"]


def test_a_provider_node_that_is_down_is_a_fault_that_names_it(new_box: Callable[..., Box]) -> None:
    box = new_box()
    box.start("node-edu")
    box.wait("node-edu")
    answer = box.call()
    assert type_of(answer) == "server.clientproxy.network_error"
    assert "KG/GOV/70000002/node-reg" in str(answer.json["message"])
    assert records(box, "node-edu") == []  # nothing left, so nothing is logged


def test_a_port_in_use_ends_the_start_with_a_message(new_box: Callable[..., Box]) -> None:
    box = new_box()
    box.start("node-edu")
    box.wait("node-edu")
    node = box.laid.nodes["node-edu"]
    second = node.config.with_name("second.yaml")
    lines = node.config.read_text().splitlines()
    second.write_text("\n".join([*lines, "log: {folder: other-log}", "state: other-state"]) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "kerege", "node", "--config", str(second)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "node.address_in_use" in done.stderr
