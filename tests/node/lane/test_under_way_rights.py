"""What a configuration takes away while calls of the native path go by it: rights, permits, plain HTTP, a service."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from traffic import Asked, Crowd, Office, request
from underway import RULES, hang_up, kept, seen, service, wires

from box import ADMISSION, PERSONS, Box, closed_permit, far, free_ports, open_permit
from kerege.exchange.rules import Right

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = pytest.mark.journey


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
