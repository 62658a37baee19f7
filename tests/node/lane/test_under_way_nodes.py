"""The life of a node while calls of the native path are under way: killed, stopped, read again, unable to write its log, asked by a strange node."""

from __future__ import annotations

import resource
import signal
import time

import psutil
import pytest
from hostile import Caller
from traffic import Asked, Crowd, Office, lane_calls, log_of, request
from underway import NODES, both, eventually, hang_up, kept, nothing_left, seen, wires

from box import PERSONS, Box
from kerege.exchange import linkmessages as lm

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = pytest.mark.journey


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
    crowd.close()
    assert sorted(running.processes) == sorted(NODES)
    nothing_left(running)
