"""The same traffic through two nodes with the native path and through two without: answers, logs, containers and monitoring are the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from traffic import BODY, Asked, Crowd, Office, lane_calls, log_of, request, told_of

from box import ADMISSION, EMIS, PERSONS, Box, base_rules, far, make_box
from kerege.exchange import asic
from kerege.exchange.ids import DataServiceId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.rules import Right

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)

pytestmark = pytest.mark.journey

OPENED = str(PERSONS).replace("persons", "opened")
UNKNOWN = str(PERSONS).replace("persons", "nothing")
# services whose agency cannot be asked, by what their address is made of
ADDRESSES = {"gone": "http://127.0.0.1:1/x", "nowhere": "http://nowhere.invalid/x", "odd": "http://a..b/x"}
OTHERS = {name: str(PERSONS).replace("persons", name) for name in ADDRESSES}
ASKED: dict[str, bytes] = {
    "post": request("/a"),
    "get": request("/a", method="GET", body=None),
    "get-query": request("/a/b-c_d~1.x?who=Asan%20uulu&n=1", method="GET", body=None),
    "get-empty-query": request("/a?", method="GET", body=None),
    "get-no-path": request("", method="GET", body=None),
    "get-slash": request("/", method="GET", body=None),
    "get-body": request("/a", method="GET"),
    "put": request("/a", method="PUT"),
    "delete": request("/a", method="DELETE", body=None),
    "patch": request("/a", method="PATCH"),
    "options": request("/a", method="OPTIONS", body=None),
    "head": request("/a", method="HEAD", body=None),
    "post-empty": request("/a", body=b""),
    "post-none": request("/a", body=None),
    "post-60k": request("/a", body=b"z" * 60_000),
    "post-64k": request("/a", body=b"z" * 65_536),
    "post-64k-and-1": request("/a", body=b"z" * 65_537),
    "post-300k": request("/a", body=b"z" * 300_000),
    "typed": request("/a", headers=["Content-Type: text/csv; header=absent"]),
    "userid": request("/a", headers=["X-Road-UserId: officer-1", "X-Road-Issue: case/7", "X-Road-Represented-Party: COM/42"]),
    "many-headers": request("/a", headers=[f"X-Own-{n}: {n}" for n in range(50)]),
    "more-headers": request("/a", headers=[f"X-Own-{n}: {n}" for n in range(95)]),
    "spaced": request("/a", headers=["X-Own:   spaced\t "]),
    "latin": request("/a", headers=["X-Own: \xe9t\xe9"]),
    "expects": request("/a", headers=["X-Road-Security-Server: KG/GOV/70000002/node-reg"]),
    "expects-other": request("/a", headers=["X-Road-Security-Server: KG/GOV/70000002/node-other"]),
    "encoded": request("/a%20b/%D1%8F"),
    "opened": request("/a", service=OPENED),
    # answers
    "nothing": request("/nothing"),
    "nothing-head": request("/nothing", method="HEAD", body=None),
    "unchanged": request("/unchanged", method="GET", body=None),
    "chunked": request("/chunked"),
    "closing": request("/closing"),
    "endless": request("/endless", method="GET", body=None),
    "interim": request("/interim"),
    "empty": request("/empty"),
    "noreason": request("/noreason"),
    "shadows": request("/shadows"),
    "crumbs": request("/crumbs"),
    "large": request("/large"),
    "edge": request("/edge"),
    "slow": request("/slow"),
    "missing": request("/missing"),
    "broken": request("/broken"),
    "half": request("/half"),
    "nonsense": request("/nonsense"),
    "two-lengths": request("/two-lengths"),
    "switching": request("/switching"),
    "deaf": request("/deaf"),
    "deaf-get": request("/deaf", method="GET", body=None),
    "never": request("/never"),
    "hash-only": request("/a", service=OPENED, client=str(EMIS)),
    **{f"{name}-{n}": request("/a", service=service) for name, service in OTHERS.items() for n in range(2)},
    # refusals
    "dots": request("/a/../b"),
    "double-slash": request("/a//b"),
    "encoded-slash": request("/a%2Fb"),
    "no-right": request("/a", client=str(EMIS)),
    "no-right-path": request("/closed", service=OPENED),
    "no-service": request("/a", service=UNKNOWN),
    "no-client": request("/a", client="KG/GOV/70000003/other"),
    "no-client-xml": request("/a", client="KG/GOV/70000003/other", accept="application/xml"),
    "client-missing": request("/a", client=""),
    "client-twice": request("/a", headers=[f"X-Road-Client: {EMIS}"]),
    "shadowed": request("/a", headers=[f"X_Road_Client: {EMIS}"]),
    "id-empty": request("/a", headers=["X-Road-Id:"]),
    "id-long": request("/a", headers=["X-Road-Id: " + "i" * 256]),
    "target": request("/a<b"),
    "hash-from-client": request("/a", headers=["X-Road-Request-Hash: mine", "X-Road-Request-Id: mine"]),
    "framing": request("/a", headers=["Transfer-Encoding: chunked"]),
    "upgrade": request("/a", headers=["Connection: upgrade", "Upgrade: h2c"]),
    "canonical": request("/a", accept="application/vnd.kerege.canonical+json"),
    "too-large": request("/a", body=b"z" * 1_500_000),
    "closes": request("/a", headers=["Connection: close"]),
    "old": request("/a").replace(b"HTTP/1.1\r\n", b"HTTP/1.0\r\n"),
    "chunked-request": request("/a", body=None, headers=["Transfer-Encoding: chunked"]) + b"3\r\nabc\r\n0\r\n\r\n",
    "absolute": request("/a").replace(b"POST /r1", b"POST http://node/r1"),
    "bare-lf": request("/a").replace(b"\r\nHost: node\r\n", b"\nHost: node\n"),
    "folded": request("/a", headers=["X-Own: a", " b"]),
    "no-token": request("/a", headers=["X Own: a"]),
    "not-r1": request("/a").replace(b"/r1/", b"/r2/"),
    "page": b"GET /listClients HTTP/1.1\r\nHost: node\r\nAccept: application/json\r\n\r\n",
}  # fmt: skip
# what the native path must have answered of them, both ways; more may be
NATIVE = {
    *("post", "get", "get-query", "put", "delete", "patch", "options", "post-empty", "post-none", "post-60k", "typed"),
    *("hash-only", "userid", "many-headers", "nothing", "missing", "broken", "empty", "edge", "opened", "crumbs"),
}
_OURS = re.compile(rb"(?i)(x-road-request-id|x-road-request-hash):[^\r]*")


def named(name: str, wire: bytes) -> bytes:
    """With a message id of its own, so that both networks' records can be held against each other."""
    if b"X-Road-Client" not in wire or b"X-Road-Id" in wire:
        return wire
    return wire.replace(b"\nX-Road-Client", b"\nX-Road-Id: same-%b\r\nX-Road-Client" % name.encode(), 1)


def make(folder: Any, office: Office, *, lane: bool, link: bool) -> Box:
    box = make_box(folder)
    service = {"url": office.url, "timeout_seconds": 1.0}
    services = {str(PERSONS): service, OPENED: service, **{OTHERS[name]: {"url": ADDRESSES[name]} for name in OTHERS}}
    box.change("node-reg", services=services, lane=lane, limits={"body_megabytes": 1})
    box.change("node-edu", lane=lane, limits={"body_megabytes": 1})
    for code in ("node-edu", "node-reg"):
        box.change(code, link=link, log={"bodies_of": {str(EMIS): "hash"}})
    opened = [
        Right(f"opened-{n}", one, DataServiceId.parse(OPENED), "POST", "/a*", far())
        for n, one in enumerate((ADMISSION, EMIS))
    ]
    more = [
        Right(f"other-{name}", ADMISSION, DataServiceId.parse(one), "*", "/**", far()) for name, one in OTHERS.items()
    ]
    box.publish(replace(base_rules(), rights=(*base_rules().rights, *opened, *more), contracts=()))
    return box


@pytest.fixture(scope="module")
def both(link: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, tuple[Box, dict[str, Asked]]]]:
    """Two networks, with and without, after all of the traffic has gone through each: over the Kerege link, over X-Road's wire."""
    office, done = Office(), {}
    try:
        for lane in (True, False):
            box = make(tmp_path_factory.mktemp("lane"), office, lane=lane, link=link)
            with box.running(), Crowd(box) as crowd:
                crowd.warm()
                crowd.ask(request("/a", service=OPENED))
                names = list(ASKED)
                answers: dict[str, Asked] = {}
                for at in range(0, len(names), 24):
                    some = names[at : at + 24]
                    (known,) = crowd.ask(request("/a", service=OPENED))  # the ways are known again
                    crowd.ask(request("/a", service=OPENED, client=str(EMIS)))
                    for other in OTHERS.values():
                        crowd.ask(request("/a", service=other))
                    crowd.warm()
                    answers |= zip(some, crowd.ask(*[named(one, ASKED[one]) for one in some]), strict=True)
                    assert known.status == 200
                counts = lane_calls(box, "node-edu"), lane_calls(box, "node-reg")
                records = {code: log_of(box, code) for code in ("node-edu", "node-reg")}
                told = {code: json.loads(box.admin(code, "GET", "/monitoring?since=0").body) for code in records}
            done[lane] = {"answers": answers, "counts": counts, "records": records, "told": told}
        yield done  # type: ignore[misc]
    finally:
        office.close()


def test_the_native_path_took_what_is_plain_and_nothing_where_it_is_off(both: Any) -> None:
    (client, client_batches), (producer, producer_batches) = both[True]["counts"]
    assert client >= len(NATIVE)
    assert producer >= len(NATIVE)
    assert client_batches < client
    assert producer_batches < producer
    assert both[False]["counts"] == ((-1, -1), (-1, -1))


@pytest.mark.parametrize("name", ASKED)
def test_every_answer_and_every_refusal_is_the_same_with_and_without(both: Any, name: str) -> None:
    assert told_of(both[True]["answers"][name]) == told_of(both[False]["answers"][name])


def test_answers_are_what_was_asked_for(both: Any) -> None:
    answers = both[True]["answers"]
    wrong = {name: answers[name].status for name in NATIVE if answers[name].status not in (200, 204, 404, 503)}
    assert wrong == {}
    assert answers["post"].json == {"target": "/api/a", "method": "POST", "got": len(BODY)}
    assert (answers["broken"].status, answers["broken"].reason) == (503, "Busy just now")
    assert answers["edge"].body == b"y" * 65_536
    assert answers["no-right"].headers["x-road-error"] == "server.serverproxy.access_denied"
    assert answers["too-large"].status == 413


def shape(record: LogRecord) -> Any:
    """A record but for its moment, its identifiers and the signature."""
    return (
        record.message_id,
        record.direction,
        record.side,
        str(record.client),
        str(record.service),
        record.kind,
        _OURS.sub(rb"\1:", record.message),
        record.body,
        record.attachment_digests,
    )


@pytest.mark.parametrize("code", ["node-edu", "node-reg"])
def test_the_logs_hold_the_same_records(both: Any, code: str) -> None:
    with_lane, without = (
        sorted((shape(one) for one in both[lane]["records"][code] if one.message_id.startswith("same-")), key=repr)
        for lane in (True, False)
    )
    assert [one[:3] for one in with_lane] == [one[:3] for one in without]
    assert with_lane == without


@pytest.mark.parametrize("code", ["node-edu", "node-reg"])
def test_every_container_holds_and_both_nodes_have_the_same_messages(both: Any, code: str) -> None:
    records = both[True]["records"]
    for record in records[code]:
        found = asic.read(asic.container(record))
        found.verify(bodies=record.body is not None)
        assert found.message == record.message
    own = {(one.message_id, one.direction): one for one in records[code]}
    other = {(one.message_id, one.direction): one for one in records["node-reg" if code == "node-edu" else "node-edu"]}
    for key in own.keys() & other.keys():
        assert (own[key].message, own[key].body, own[key].signature) == (
            other[key].message,
            other[key].body,
            other[key].signature,
        )


def test_no_message_is_answered_without_its_records_and_none_is_recorded_twice(both: Any) -> None:
    for lane in (True, False):
        records = both[lane]["records"]
        for code in records:
            keys = [(one.message_id, one.direction) for one in records[code]]
            assert len(keys) == len(set(keys))
            for name, answer in both[lane]["answers"].items():
                if answer.headers.get("x-road-id") and "x-road-error" not in answer.headers:
                    assert {(f"same-{name}", "request"), (f"same-{name}", "response")} <= set(keys), name


_OWN_TIMES = {"monitoringDataTs", "requestInTs", "requestOutTs", "responseInTs", "responseOutTs", "xRequestId"}


@pytest.mark.parametrize("code", ["node-edu", "node-reg"])
def test_monitoring_tells_the_same_of_every_call(both: Any, code: str) -> None:
    def told(lane: bool) -> list[Any]:
        kept = [
            one for one in both[lane]["told"][code]["records"] if str(one.get("messageId", "same-")).startswith("same-")
        ]
        return sorted(
            ([*sorted((k, v) for k, v in one.items() if k not in _OWN_TIMES), ("has", sorted(one))] for one in kept),
            key=repr,
        )

    assert told(True) == told(False)
