"""Agencies while calls of the native path are under way: slow ones, ones that close kept connections, ones that never answer."""

from __future__ import annotations

import time

import pytest
from traffic import Crowd, Office
from underway import both, hang_up, kept, seen, service, wires

from box import Box

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = pytest.mark.journey


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
