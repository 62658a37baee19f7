"""A reload of the file while a call waits for its connection: that call ends as it began, and nothing that was decided about it is held
to for the next one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hostile import Side
from hostilewire import Answerer, dealt, well
from traffic import Asked, Crowd, lane_calls, log_of, request
from underway import eventually, hang_up, told

from box import ADMISSION, EMIS, Box, make_box
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import save_pair

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = pytest.mark.journey

OTHER = {"member": "KG/GOV/70000002", "key": "keys/sign-other.key", "certificate": "keys/sign-other.pem"}


class Slow(Answerer):
    """Begins no TLS handshake while it is held."""

    def __init__(self, box: Box) -> None:
        self.go = threading.Event()
        self.came = 0
        super().__init__(box, dealt(well))

    def _serve(self, plain: socket.socket) -> None:
        self.came += 1
        self.go.wait(10)
        super()._serve(plain)

    def hang_up(self) -> None:
        """End every connection that was made."""
        for one in self.open:
            socket.socket.shutdown(one, socket.SHUT_RDWR)
        self.open.clear()


class Held(dict[str, bytes]):
    """What a publisher has: no configuration before it is released, so that a node goes on with the one it has."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(files)
        self.released = threading.Event()

    def get(self, path: str, default: Any = None) -> Any:
        self.released.wait(10)
        return super().get(path, default)


@pytest.fixture(scope="module", params=[True, False], ids=["lane", "no-lane"])
def lane(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def consumer(lane: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """node-edu alone, with a key of another member too; where node-reg should be, a test stands."""
    box = make_box(tmp_path_factory.mktemp("consumer"))
    side = Side(box, "node-reg", "sign-GOV-70000002")
    since = side.authority.ca.certificate.not_valid_before_utc
    pair = side.authority.sign_certificate(MemberId("KG", "GOV", "70000002"), "Other", "x", since)
    save_pair(pair, box.laid.nodes["node-edu"].folder / "keys", "sign-other")
    keys = yaml.safe_load(box.laid.nodes["node-edu"].config.read_text())["keys"]
    box.change("node-edu", link=False, lane=lane, keys={**keys, "sign": [*keys["sign"], OTHER]})
    try:
        box.start("node-edu")
        box.wait("node-edu", ok=False)  # no answer is there about the other key
        yield box
        assert "Traceback" not in told(box, "node-edu"), told(box, "node-edu")
    finally:
        box.close()


@pytest.fixture
def side(consumer: Box) -> Iterator[Slow]:
    made = Slow(consumer)
    yield made
    made.go.set()
    made.close()
    assert made.problems == []


def without_client(file: dict[str, Any]) -> dict[str, Any]:
    assert file["clients"] == [str(EMIS), str(ADMISSION)]
    return {"clients": [str(EMIS)]}


def without_key(file: dict[str, Any]) -> dict[str, Any]:
    """Neither the key that its member's calls are signed with nor any client of that member is left."""
    return {"clients": [], "keys": {**file["keys"], "sign": [OTHER]}}


@pytest.mark.parametrize("changes", [without_client, without_key])
def test_a_client_that_is_taken_out_while_its_call_waits_for_a_connection_is_refused_from_the_next_one_on(
    consumer: Box, side: Slow, changes: Any
) -> None:
    file = consumer.laid.nodes["node-edu"].config
    before, files = file.read_text(), consumer.publisher.files
    held, name = Held(files), changes.__name__
    with Crowd(consumer) as crowd:
        side.go.set()
        for _ in range(2):  # of another client: of this one nothing is decided yet
            assert [one.status for one in crowd.ask(request("/warm", client=str(EMIS)))] == [200]
        side.go.clear()
        side.hang_up()
        time.sleep(0.05)
        came, natively = side.came, lane_calls(consumer, "node-edu")
        waiting = crowd.begin(request("/warm", message_id=f"{name}-first"))
        eventually(lambda: side.came > came)
        try:
            consumer.change("node-edu", **changes(yaml.safe_load(before)))
            consumer.publisher.files = held
            hang_up(consumer, "node-edu")
            side.go.set()
            assert [one.status for one in crowd.answers(waiting)] == [200]
            later: list[Asked] = []
            for n in range(6):
                later += crowd.ask(request("/warm", message_id=f"{name}-later-{n}"))
                time.sleep(0.02)
        finally:
            file.write_text(before)
            held.released.set()
            consumer.publisher.files = files
            hang_up(consumer, "node-edu")
    assert [one.status for one in later] == [500] * 6, [one.body for one in later]
    assert {one.json["type"] for one in later} == {"server.clientproxy.unknown_member"}
    assert lane_calls(consumer, "node-edu") == natively
    assert (
        sorted(one.message_id for one in log_of(consumer, "node-edu") if one.message_id.startswith(name))
        == [f"{name}-first"] * 2
    )
