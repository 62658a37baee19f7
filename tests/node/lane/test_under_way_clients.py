"""Clients while calls of the native path are under way: requests sent ahead, clients that leave, more connections or bytes than there is room for."""

from __future__ import annotations

import os
import time

import pytest
from traffic import Asked, Connection, Crowd, Office, lane_calls, request
from underway import both, eventually, kept, seen, wires

from box import Box

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = pytest.mark.journey


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
