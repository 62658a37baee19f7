"""Nodes with and without the native path beside each other, and nodes whose native modules are missing or were made for others."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from traffic import Crowd, Office, lane_calls, log_of, request, told_of

from box import EMIS, PERSONS, POPULATION, Box, base_rules, far, make_box
from kerege.exchange import asic, lane
from kerege.exchange.ids import DataServiceId, SubsystemId
from kerege.exchange.rules import Right

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = pytest.mark.journey
NODES = ("node-edu", "node-reg")
CIVIL_SYSTEM = SubsystemId.parse("KG/GOV/70000001/civil")
PUPILS = DataServiceId.parse(f"{EMIS}/pupils")
RULES = replace(base_rules(), contracts=())


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.close()


def box_of(folder: Path, office: Office, *without: str) -> Box:
    box = make_box(folder)
    box.change("node-reg", services={str(PERSONS): {"url": office.url}})
    for code in without:
        box.change(code, lane=False)
    box.publish(RULES)
    return box


def wires(name: str, count: int = 12, **changes: Any) -> list[bytes]:
    return [request("/a", message_id=f"{name}-{n}", **changes) for n in range(count)]


@pytest.mark.parametrize("without", NODES)
def test_a_node_with_the_native_path_and_one_without_understand_each_other(
    tmp_path: Path, office: Office, without: str
) -> None:
    box = box_of(tmp_path, office, without)
    with box.running(), Crowd(box) as crowd:
        crowd.warm()
        assert [one.status for one in crowd.ask(*wires("mixed"))] == [200] * 12
        for code in NODES:
            assert (lane_calls(box, code)[0] >= 12) == (code != without)
            records = [one for one in log_of(box, code) if one.message_id.startswith("mixed")]
            assert len(records) == 24
            for record in records:
                asic.read(asic.container(record)).verify()


def test_calls_of_two_members_that_come_together_are_each_signed_by_their_own(tmp_path: Path, office: Office) -> None:
    box = make_box(tmp_path)
    box.change("node-edu", services={str(PUPILS): {"url": office.url}})
    rights = [Right(f"r{n}", one, PUPILS, "*", "/**", far()) for n, one in enumerate((POPULATION, CIVIL_SYSTEM))]
    box.publish(replace(RULES, rights=tuple(rights), bindings=(), permits=()))
    with box.running(), Crowd(box, "node-reg") as crowd:
        clients = (str(POPULATION), str(CIVIL_SYSTEM))
        for client in clients * 2:
            (one,) = crowd.ask(request("/a", client=client, service=str(PUPILS)))
            assert one.status == 200, one.body
        mixed = [request("/a", client=clients[n % 2], service=str(PUPILS), message_id=f"member-{n}") for n in range(16)]
        assert [one.status for one in crowd.ask(*mixed)] == [200] * 16
        text = box.admin("node-reg", "GET", "/metrics").body.decode()
        assert 'kerege_lane_calls_total{side="client"}' in text
        records = [one for one in log_of(box, "node-reg") if one.message_id.startswith("member-")]
    assert len(records) == 32
    for record in records:
        facts = asic.read(asic.container(record)).verify()
        if record.direction == "request":
            assert record.client.member_code in facts.certificate.subject.rfc4514_string(), record.message_id


def test_limits_below_what_the_native_path_takes_are_told_as_without_it(tmp_path: Path, office: Office) -> None:
    bodies = (("/a", 10_000), ("/a", 30_000), ("/a", 50_000), ("/edge", 10), ("/a", 70_000), ("/b", 20_000))
    asked = [request(path, body=b"x" * size, message_id=f"size-{n}") for n, (path, size) in enumerate(bodies)]
    told = {}
    for native in (True, False):
        box = make_box(tmp_path / str(native))
        services = {str(PERSONS): {"url": office.url}}
        box.change("node-reg", services=services, limits={"body_megabytes": 0.02}, lane=native)
        box.change("node-edu", limits={"body_megabytes": 0.04}, lane=native)
        box.publish(RULES)
        with box.running(), Crowd(box) as crowd:
            crowd.warm()
            told[native] = [told_of(one) for one in crowd.ask(*asked)]
    assert told[True] == told[False]
    assert [one[0] for one in told[True]] == [200, 500, 413, 500, 413, 200]


@pytest.fixture(scope="module")
def started_again(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A network whose first node the tests start again and again."""
    system = Office()
    box = box_of(tmp_path_factory.mktemp("again"), system)
    with box.running():
        yield box
    system.close()


FINDER = """
import importlib.abc, sys
class Refusing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            raise {error}
sys.meta_path.insert(0, Refusing())
"""


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("kerege.exchange.lane.call", "ImportError('it is not there')"),
        ("kerege.exchange.lane.restlines", "ValueError('call.Call size changed, may indicate binary incompatibility')"),
        ("kerege.exchange.lane.frames", "ValueError('call.Part size changed, may indicate binary incompatibility')"),
        ("kerege.exchange.lane.lines", "TypeError('C function call.x has wrong signature')"),
        ("kerege.node.lane.clientport", "ImportError('it is not there')"),
    ],
)
def test_a_node_whose_native_modules_do_not_fit_says_so_once_and_goes_the_other_way(
    tmp_path: Path, started_again: Box, name: str, error: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(FINDER.format(name=name, error=error))
    box = started_again
    box.stop("node-edu")
    node, source = box.laid.nodes["node-edu"], str(Path(__file__).parents[3] / "src")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), source))}
    out = node.folder / "output.txt"
    with out.open("wb") as log:
        command = [sys.executable, "-m", "kerege", "node", "--config", str(node.config)]
        box.processes["node-edu"] = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    box.wait("node-edu")
    with Crowd(box) as crowd:
        crowd.warm()
        assert [one.status for one in crowd.ask(*wires("without"))] == [200] * 12
    assert lane_calls(box, "node-edu") == (-1, -1)
    assert out.read_text().count("all messages go the longer way, for the native modules cannot be used") == 1
    assert out.read_text().count("Traceback") == 0


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def find(name: str, package: str | None = None) -> Any:
        if name == "kerege.exchange.lane.records":
            raise ValueError("call.Way size changed")
        return real(name, package)

    lane.problem.cache_clear()
    try:
        monkeypatch.setattr(importlib, "import_module", find)
        assert lane.problem() == "records: call.Way size changed"
        assert lane.BUILT is False
    finally:
        monkeypatch.undo()
        lane.problem.cache_clear()
    assert lane.BUILT is True
    with pytest.raises(AttributeError):
        _ = lane.SOMETHING  # type: ignore[attr-defined]
