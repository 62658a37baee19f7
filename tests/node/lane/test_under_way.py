"""What happens while calls of the native path are under way: slow agencies, lost links and clients, stops, reloads, rights that end."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest
import yaml
from hostile import Caller
from traffic import Asked, Connection, Crowd, Office, lane_calls, log_of, request

from box import ADMISSION, PERSONS, Box, base_rules, closed_permit, far, free_ports, make_box, open_permit
from kerege.exchange import linkmessages as lm
from kerege.exchange.rules import Right

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = pytest.mark.journey

NODES = ("node-edu", "node-reg")
RULES = replace(base_rules(), contracts=())
LIMITS: dict[str, Any] = {"body_megabytes": 1, "bodies_megabytes": 0.5, "connections_per_address": 40}


def service(office: Office, **changes: object) -> dict[str, Any]:
    return {str(PERSONS): {"url": office.url, "timeout_seconds": 5.0, **changes}}


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.close()


@pytest.fixture(scope="module", params=[True, False], ids=["link", "x-road-wire"])
def link(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def running(office: Office, link: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    box = make_box(tmp_path_factory.mktemp("under-way"))
    box.change("node-reg", services=service(office), link=link)
    box.change("node-edu", limits=LIMITS, link=link)
    box.publish(RULES)
    with box.running():
        yield box


@pytest.fixture
def crowd(running: Box, office: Office) -> Iterator[Crowd]:
    """Clients whose way is known; afterwards all is as it was."""
    office.release.clear()
    office.seen.clear()
    with Crowd(running) as made:
        made.warm()
        yield made
    office.release.set()
    for code in NODES:
        if code not in running.processes:
            running.start(code)
            running.wait(code)
    if running.rules != RULES:
        running.publish(RULES)


def seen(office: Office, name: str, count: int) -> None:
    """Wait until the agency was asked so often."""
    deadline = time.monotonic() + 10
    while sum(name in target for target, _ in office.seen) < count:
        assert time.monotonic() < deadline, office.seen
        time.sleep(0.005)


def kept(box: Box, code: str, name: str) -> list[tuple[str, str]]:
    return sorted((one.message_id, one.direction) for one in log_of(box, code) if one.message_id.startswith(name))


def eventually(what: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def both(name: str, count: int) -> list[tuple[str, str]]:
    """Request and response of so many messages."""
    return sorted((f"{name}-{n}", way) for n in range(count) for way in ("request", "response"))


def wires(name: str, path: str, count: int, **changes: Any) -> list[bytes]:
    return [request(path, message_id=f"{name}-{n}", **changes) for n in range(count)]


def told(box: Box, code: str) -> str:
    return (box.laid.nodes[code].folder / "output.txt").read_text()


# --- agencies ---


def test_a_slow_agency_holds_up_nobody_else(crowd: Crowd, office: Office, running: Box) -> None:
    slow = crowd.begin(*wires("held", "/hold", 12))
    seen(office, "hold", 12)
    with Crowd(running) as others:
        others.warm()
        fast = others.ask(*wires("fast", "/a", 12))
        assert [one.status for one in fast] == [200] * 12
        assert max(one.seconds for one in fast) < 1.0
    office.release.set()
    assert [one.status for one in crowd.answers(slow)] == [200] * 12
    assert kept(running, "node-edu", "held") == kept(running, "node-reg", "held") == both("held", 12)


def test_an_agency_that_closes_kept_connections_is_asked_again_where_that_harms_nothing(
    crowd: Crowd, office: Office, running: Box
) -> None:
    for turn in range(4):
        office.weary = 1
        answers = crowd.ask(*wires(f"tired-{turn}", "/tired", 4, method="GET", body=None))
        assert [one.status for one in answers] == [200] * 4
    assert sum("tired-" in message_id for _, message_id in office.seen) > 16
    office.drop()
    time.sleep(0.1)
    answers = crowd.ask(*wires("dropped", "/a", 4))
    assert [one.status for one in answers] == [200] * 4, "connections that were closed while idle are not used"
    office.weary = 1
    posts = crowd.ask(*wires("post", "/tired", 4))
    assert sorted(one.status for one in posts) == [200, 200, 200, 500]
    (failed,) = (one for one in posts if one.status == 500)
    assert "closed the connection before answering" in failed.json["message"]
    ids = [message_id for target, message_id in office.seen if "post-" in message_id]
    assert len(ids) == len(set(ids)), "a request that changes something is sent once"


def test_an_agency_that_never_answers_is_given_up_and_the_call_is_answered_once(running: Box, office: Office) -> None:
    office.release.clear()
    running.change("node-reg", services=service(office, timeout_seconds=0.5))
    try:
        hang_up(running, "node-reg")
        with Crowd(running) as crowd:
            crowd.warm()
            answers = crowd.ask(*wires("never", "/never", 6))
            assert [one.status for one in answers] == [500] * 6
            assert all("did not answer within 0.5 s" in one.json["message"] for one in answers), answers[0].json[
                "message"
            ]
            assert [one.status for one in crowd.ask(*wires("after", "/a", 6))] == [200] * 6
        assert kept(running, "node-reg", "never") == [(f"never-{n}", "request") for n in range(6)]
    finally:
        office.release.set()
        running.change("node-reg", services=service(office))
        hang_up(running, "node-reg")


# --- clients ---


def test_requests_sent_ahead_are_answered_in_order_whatever_way_each_goes(crowd: Crowd, running: Box) -> None:
    chunked = request("/n2", body=None, headers=["Transfer-Encoding: chunked"]) + b"3\r\nabc\r\n0\r\n\r\n"
    ahead = [
        *(request("/n0"), request("/large"), chunked, request("/n3", method="HEAD", body=None)),
        *(request("/n4"), request("/a/../b"), request("/n6", method="GET", body=None)),
    ]
    connection = Connection(running.laid.nodes["node-edu"].client_url)
    connection.send(b"".join(ahead))
    answers = [connection.take(Asked(wire)) for wire in ahead]
    connection.close()
    assert [one.status for one in answers] == [200, 200, 200, 200, 200, 400, 200]
    assert (answers[0].json["target"], len(answers[1].body)) == ("/api/n0", 300_000)
    assert (answers[2].json["got"], answers[4].json["target"], answers[6].json["target"]) == (3, "/api/n4", "/api/n6")


def test_native_requests_sent_ahead_in_crumbs_are_answered_in_order(crowd: Crowd, running: Box) -> None:
    before = lane_calls(running, "node-edu")[0]
    ahead = wires("ahead", "/p", 12)
    connection = Connection(running.laid.nodes["node-edu"].client_url)
    whole = b"".join(ahead)
    for at in range(0, len(whole), 97):
        connection.send(whole[at : at + 97])
        time.sleep(0.0005)
    answers = [connection.take(Asked(wire)) for wire in ahead]
    connection.close()
    assert [one.headers.get("x-road-id") for one in answers] == [f"ahead-{n}" for n in range(12)]
    assert lane_calls(running, "node-edu")[0] > before


def test_clients_that_leave_before_their_answers_leave_nothing_behind(
    crowd: Crowd, office: Office, running: Box
) -> None:
    process, before = running.processes["node-edu"].pid, 0
    for turn, name in enumerate(
        ("first", "gone"), 1
    ):  # the first leaves kept connections between the nodes, the second nothing more
        office.release.clear()
        before = len(os.listdir(f"/proc/{process}/fd"))
        with Crowd(running) as leaving:
            leaving.begin(*wires(name, "/hold", 16))
            seen(office, "hold", 16 * turn)
        office.release.set()
        wanted = both(name, 16)
        eventually(lambda: kept(running, "node-edu", name) == kept(running, "node-reg", name) == wanted)  # noqa: B023
    assert [one.status for one in crowd.ask(*wires("stay", "/a", 4))] == [200] * 4
    eventually(lambda: len(os.listdir(f"/proc/{process}/fd")) <= before + 3)


def test_connections_beyond_the_limit_find_room_where_somebody_is_idle_and_none_where_all_work(
    running: Box, office: Office, crowd: Crowd
) -> None:
    crowd.close()
    busy = Crowd(running)
    held = busy.begin(*wires("busy", "/hold", 40))
    seen(office, "hold", 40)
    late = Connection(running.laid.nodes["node-edu"].client_url, 5)
    late.send(request("/late"))
    assert late.take(Asked(request())).status == 0, "every connection of this address has a call under way"
    office.release.set()
    assert [one.status for one in busy.answers(held)] == [200] * 40
    again = Connection(running.laid.nodes["node-edu"].client_url, 5)
    again.send(request("/again"))
    assert again.take(Asked(request())).status == 200, "the one that was quiet longest made room"
    again.close()
    busy.close()


def test_bodies_held_at_once_stay_within_the_budget_and_the_refusal_is_the_servers(running: Box, crowd: Crowd) -> None:
    wire = request("/a", body=b"b" * 60_000)
    halves = [Connection(running.laid.nodes["node-edu"].client_url) for _ in range(20)]
    for one in halves:
        one.send(wire[:-1])
        time.sleep(0.01)
    refused = whole = 0
    for one in halves:
        one.send(wire[-1:])
    for one in halves:
        answer = one.take(Asked(wire))
        refused += answer.status == 503
        whole += answer.status == 200
        if answer.status == 503:
            assert (
                answer.body == b"the node holds as many bytes of bodies as it may; nothing was carried out, try again\n"
            )
            assert answer.headers["retry-after"] == "1"
        one.close()
    assert refused + whole == 20
    assert refused >= 2, "0.5 MB is the budget, 1.2 MB were sent"
    assert whole >= 6
    eventually(lambda: all(one.status == 200 for one in crowd.ask(*wires("room", "/a", 4, body=b"c" * 60_000))))


# --- the other node ---


def test_a_node_killed_while_calls_are_under_way_fails_each_of_them_once(
    crowd: Crowd, office: Office, running: Box
) -> None:
    held = crowd.begin(*wires("killed", "/hold", 16))
    seen(office, "hold", 16)
    running.stop("node-reg", signal.SIGKILL)
    answers = crowd.answers(held)
    assert [one.status for one in answers] == [500] * 16
    assert max(one.seconds for one in answers) < 3
    assert all("closed the connection before answering" in one.json["message"] for one in answers)
    assert kept(running, "node-edu", "killed") == [(f"killed-{n}", "request") for n in sorted(range(16), key=str)]
    office.release.set()
    running.start("node-reg")
    running.wait("node-reg")
    eventually(lambda: crowd.ask(request("/back"))[0].status == 200)
    assert [one.status for one in crowd.ask(*wires("back", "/a", 16))] == [200] * 16
    assert kept(running, "node-reg", "back") == both("back", 16)


@pytest.mark.parametrize("code", NODES)
def test_a_node_that_stops_answers_what_is_under_way_first(
    crowd: Crowd, office: Office, running: Box, code: str
) -> None:
    name = f"stopped-{code}"
    held = crowd.begin(*wires(name, "/hold", 16))
    seen(office, "hold", 16)
    process = running.processes[code]
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    office.release.set()
    begun = time.monotonic()
    assert [one.status for one in crowd.answers(held)] == [200] * 16
    process.wait(20)
    assert time.monotonic() - begun < 5, "nothing was waited for that is not there any more"
    del running.processes[code]
    for one in NODES:
        assert kept(running, one, name) == both(name, 16)


def test_a_stream_used_twice_in_a_frame_carries_out_no_message_twice(
    crowd: Crowd, office: Office, running: Box, link: bool
) -> None:
    if not link:
        pytest.skip("streams are the link's")
    caller = Caller(running)
    wire = caller.connect()
    nobodys = str(PERSONS).replace("persons", "nothing")
    pairs = [
        [
            caller.request(1, b"x", path="/one", message_id="one"),
            caller.request(1, b"x", path="/two", message_id="two"),
        ],
        [
            caller.request(1, b"x", service=nobodys, message_id="no"),
            caller.request(1, b"x", path="/ok", message_id="ok"),
        ],
        [caller.request(1, b"x", path="/kept", message_id="kept"), caller.request(1, b"x", service=nobodys)],
    ]
    for pair in pairs:
        for leaf, one in enumerate(pair):
            one.leaf = leaf
        wire.send(lm.Messages((caller.group(pair),)))
        wire.closes(0.5)
        if wire.closed:
            wire = caller.connect()
    caller.close()
    time.sleep(0.1)
    asked = [target for target, _ in office.seen if "warm" not in target]
    assert len(asked) == len(set(asked)), asked
    ids = [(one.message_id, one.direction) for one in log_of(running, "node-reg")]
    assert len(ids) == len(set(ids))


# --- configurations ---


def hang_up(box: Box, code: str) -> None:
    before = told(box, code).count("the configuration file was read again")
    box.processes[code].send_signal(signal.SIGHUP)
    eventually(lambda: told(box, code).count("the configuration file was read again") > before)


def error(answer: Asked) -> str:
    return answer.headers.get("x-road-error", "")


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        (replace(RULES, rights=()), "server.serverproxy.access_denied"),
        (replace(RULES, permits=(closed_permit(),)), "server.clientproxy."),
    ],
    ids=["right", "permit"],
)
def test_what_a_new_configuration_takes_away_is_refused_from_the_next_call_on(
    crowd: Crowd, running: Box, rules: Any, code: str
) -> None:
    assert [one.status for one in crowd.ask(*wires("may", "/a", 8))] == [200] * 8
    running.publish(rules)
    answers = crowd.ask(*wires("may-not", "/a", 8))
    assert [one.status for one in answers] == [500] * 8
    assert all(error(one).startswith(code) for one in answers), error(answers[0])
    running.publish(RULES)
    assert [one.status for one in crowd.ask(*wires("may-again", "/a", 8))] == [200] * 8


def test_a_permit_that_the_providers_node_alone_knows_to_be_closed_is_closed(crowd: Crowd, running: Box) -> None:
    running.publish(replace(RULES, permits=(closed_permit(),)), refresh=False)
    assert running.admin("node-reg", "POST", "/refresh").status == 200
    answers = crowd.ask(*wires("closed", "/a", 8))
    assert [one.status for one in answers] == [500] * 8
    assert {error(one) for one in answers} == {"server.serverproxy.access_denied"}
    assert kept(running, "node-reg", "closed") == []
    assert len(kept(running, "node-edu", "closed")) == 8, "the requests alone"


@pytest.mark.parametrize("code", NODES)
def test_a_log_that_cannot_be_written_answers_nothing_of_a_batch_and_goes_on_when_it_can(
    crowd: Crowd, running: Box, code: str
) -> None:
    name = f"full-{code}"
    process = psutil.Process(running.processes[code].pid)
    soft, hard = process.rlimit(resource.RLIMIT_FSIZE)
    process.rlimit(resource.RLIMIT_FSIZE, (0, hard))  # every write fails as on a full disk
    try:
        answers = crowd.ask(*wires(name, "/a", 12))
    finally:
        process.rlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [one.status for one in answers] == [500] * 12
    assert all("exchange.log_f" in one.body.decode() for one in answers)
    eventually(lambda: crowd.ask(request("/a"))[0].status == 200)
    assert [one.status for one in crowd.ask(*wires(f"written-{code}", "/a", 12))] == [200] * 12
    assert [one for one in kept(running, "node-edu", name) if one[1] == "response"] == []
    for one in NODES:
        assert kept(running, one, f"written-{code}") == both(f"written-{code}", 12)


@pytest.mark.parametrize("what", ["right", "right by path", "permit"])
def test_what_ends_while_calls_go_by_it_is_refused_from_then_on(crowd: Crowd, running: Box, what: str) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    rules = {
        "right": replace(RULES, rights=(Right("r", ADMISSION, PERSONS, "*", "/**", end),)),
        "right by path": replace(
            RULES,
            rights=(Right("r", ADMISSION, PERSONS, "*", "/a", end), Right("s", ADMISSION, PERSONS, "*", "/w*", far())),
        ),
        "permit": replace(RULES, permits=(replace(open_permit(), valid_until=end),)),
    }[what]
    running.publish(rules)
    good = bad = 0
    while (now := datetime.now(UTC)) < end + timedelta(seconds=1.6):  # the second it names is in it
        answers = (
            crowd.ask(request("/warm"), *wires("ends", "/a", 3))
            if what == "right by path"
            else crowd.ask(*wires("ends", "/a", 3))
        )
        for one in answers[-3:]:
            if now > end + timedelta(seconds=1, milliseconds=50):
                assert one.status == 500, f"{now - end} after the end"
                bad += 1
            elif one.status == 200:
                good += 1
        time.sleep(0.005)
    assert good > 10
    assert bad > 10


def test_a_client_set_to_https_is_refused_from_the_reload_on(crowd: Crowd, running: Box) -> None:
    file = running.laid.nodes["node-edu"].config
    before = file.read_text()
    found = yaml.safe_load(before)
    assert [one.status for one in crowd.ask(*wires("plain", "/a", 4))] == [200] * 4
    listen = {**found["listen"], "clients_tls": f"127.0.0.1:{free_ports(1)[0]}"}
    running.change("node-edu", clients=[{"id": one, "connection": "https"} for one in found["clients"]], listen=listen)
    try:
        hang_up(running, "node-edu")
        answers = crowd.ask(*wires("too-plain", "/a", 4))
        assert [one.status for one in answers] == [400] * 4
        assert all("it is plain HTTP, and this client is set to HTTPS" in one.json["message"] for one in answers)
        assert kept(running, "node-edu", "too-plain") == []
    finally:
        file.write_text(before)
        hang_up(running, "node-edu")
    assert [one.status for one in crowd.ask(*wires("plain-again", "/a", 4))] == [200] * 4


def test_a_service_closed_in_the_file_is_refused_from_the_reload_on_and_calls_under_way_are_finished(
    crowd: Crowd, office: Office, running: Box
) -> None:
    held = crowd.begin(*wires("open", "/hold", 8))
    seen(office, "hold", 8)
    running.change("node-reg", services=service(office, enabled=False, notice="closed at night"))
    try:
        hang_up(running, "node-reg")
        with Crowd(running) as others:
            answers = others.ask(*wires("shut", "/a", 8))
            assert [one.status for one in answers] == [500] * 8
            assert all("closed at night" in one.json["message"] for one in answers)
        office.release.set()
        assert [one.status for one in crowd.answers(held)] == [200] * 8
    finally:
        running.change("node-reg", services=service(office))
        hang_up(running, "node-reg")


def test_reloads_in_the_middle_of_batches_drop_nothing(crowd: Crowd, running: Box) -> None:
    asked: list[Asked] = []
    for turn in range(6):
        begun = crowd.begin(*wires(f"reload-{turn}", "/a", 16))
        running.processes[NODES[turn % 2]].send_signal(signal.SIGHUP)
        asked += crowd.answers(begun)
        asked += crowd.ask(*wires(f"reloaded-{turn}", "/a", 16))
    assert [one.status for one in asked] == [200] * 192
    for code in NODES:
        assert len(kept(running, code, "reload")) == 384


def test_without_batches_or_the_chained_style_calls_go_the_other_way_and_pass(crowd: Crowd, running: Box) -> None:
    running.change("node-edu", signatures={"batch": False})
    try:
        hang_up(running, "node-edu")
        before = lane_calls(running, "node-edu")[0]
        assert [one.status for one in crowd.ask(*wires("single", "/a", 8))] == [200] * 8
        assert lane_calls(running, "node-edu")[0] == before
    finally:
        running.change("node-edu", signatures=None)
        hang_up(running, "node-edu")
    crowd.warm()
    assert [one.status for one in crowd.ask(*wires("together", "/a", 8))] == [200] * 8
    assert lane_calls(running, "node-edu")[0] >= before + 8


def test_after_all_of_it_nothing_is_left_that_a_node_would_wait_for(crowd: Crowd, running: Box) -> None:
    for code in NODES:
        assert "Traceback" not in told(running, code), told(running, code)
        assert "never retrieved" not in told(running, code)
    crowd.close()
    for code in NODES:
        begun = time.monotonic()
        running.stop(code)
        assert time.monotonic() - begun < 3, "something was still under way"
