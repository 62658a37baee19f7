"""`kill -9` of either node at random moments under load: no message answered without its log record on both nodes, no record without its message.

In the tests a few seconds with a fixed seed; `make soak SECONDS=600` runs as long as it is told, with a seed that it prints.
"""

from __future__ import annotations

import base64
import http.client
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from independent import CLIENT, SERVICE, Network

from kerege.exchange import rest
from kerege.exchange.lane import BUILT
from kerege.exchange.logrecord import LogRecord

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("independent-box")]

SOAK = float(os.environ.get("KEREGE_SOAK_SECONDS", "0"))
# each wire and each log once in the tests, all four ways in the soak: (link, encrypted)
WAYS = [(False, False), (True, True)] + ([(False, True), (True, False)] if SOAK else [])
CLIENTS = 24  # at once, so that batches of the native path are large
MOST_CALLS = 200_000
HEADERS = {"X-Road-Client": str(CLIENT), "Accept": "application/json"}


@dataclass
class Load:
    """Clients that call without pause until told to stop; every message id is asked once and never again."""

    box: Network
    name: str
    answered: dict[str, bytes] = field(default_factory=dict)
    refused: int = 0
    lost: int = 0
    asked: int = 0

    def __post_init__(self) -> None:
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._call, args=(n,), daemon=True) for n in range(CLIENTS)]

    def _call(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.box.ports["asker"][0], timeout=20)
        for turn in range(MOST_CALLS // CLIENTS):
            if self._stop.is_set():
                break
            message_id = f"{self.name}-{number}-{turn}"
            body = f'{{"id":"{message_id}"}}'.encode()
            with self._lock:
                self.asked += 1
            try:
                connection.request("POST", f"/r1/{SERVICE}/soak", body, {**HEADERS, "X-Road-Id": message_id})
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                with self._lock:
                    self.lost += 1  # the node went away before the whole answer came
                connection.close()  # the next request makes another
                time.sleep(0.05)
                continue
            with self._lock:
                if answer.status == 200:
                    self.answered[message_id] = content
                else:
                    self.refused += 1
            if answer.status != 200:
                time.sleep(0.02)
        connection.close()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in self._threads)


def by_message(records: list[LogRecord]) -> dict[tuple[str, str], LogRecord]:
    """Records by message id and direction; a message is logged once at a node."""
    counted = Counter((record.message_id, record.direction) for record in records)
    assert [key for key, count in counted.items() if count > 1] == [], "a message is logged once at each node"
    return {(record.message_id, record.direction): record for record in records}


def check(box: Network, load: Load) -> dict[str, int]:
    """The invariant, by reading both logs. The nodes are stopped."""
    for side in ("asker", "owner"):
        told = box.command(side, "verify-log")
        assert told.returncode == 0, f"{side}: {told.stdout}{told.stderr}"
    asker, owner = by_message(box.records("asker")), by_message(box.records("owner"))
    for message_id, body in load.answered.items():
        for side, records in (("asker", asker), ("owner", owner)):
            for direction in ("request", "response"):
                assert (message_id, direction) in records, f"{message_id} was answered, {side} has no {direction}"
        response = asker[message_id, "response"]
        assert response.body == body, "what was logged is what was answered"
        assert rest.decode_response(response.message).status == 200
    # what one node received is what the other sent: the same bytes under the same signature, and it was logged there first
    for (message_id, direction), record in owner.items():
        if direction == "request":
            sent = asker.get((message_id, direction))
            assert sent is not None, f"{message_id} reached the owner's node and is not in the asker's log"
            assert (sent.message, sent.body, sent.signature) == (record.message, record.body, record.signature)
    for (message_id, direction), record in asker.items():
        if direction == "response":
            made = owner.get((message_id, direction))
            assert made is not None, f"the answer to {message_id} came and is not in the owner's log"
            assert (made.message, made.body, made.signature) == (record.message, record.body, record.signature)
    # the information system was called for nothing that was not logged before, and no record speaks of a call nobody made
    assert {(seen, "request") for seen in box.system.seen} <= set(owner)
    for records in (asker, owner):
        for message_id, direction in records:
            assert message_id.startswith(load.name)
            assert direction == "request" or (message_id, "request") in records, "an answer has its request before it"
    return {"asker": len(asker), "owner": len(owner)}


def batter(box: Network, load: Load, seconds: float, dice: random.Random) -> tuple[list[str], Counter[str]]:
    """Kill a node, start it again, for `seconds`; which were killed, and what the native path had done until then."""
    killed: list[str] = []
    native: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(killed) < 2:
        time.sleep(dice.uniform(0.3, 1.8))
        victims = dice.choice([("asker",), ("owner",), ("asker", "owner")])
        for side in victims:
            calls, batches = box.native(side)
            native += Counter({"calls": calls, "batches": batches})
            box.stop(side, signal.SIGKILL)
        killed += victims
        if dice.random() < 0.3:
            time.sleep(dice.uniform(0.0, 0.5))
        box.start(*victims)
        box.wait(*victims)
        before = len(load.answered)
        deadline = time.monotonic() + 20
        while len(load.answered) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(load.answered) > before, "after the restart calls pass again"
    return killed, native


@pytest.mark.timeout(int(SOAK * 3) + 300)
@pytest.mark.parametrize(
    ("link", "encrypted"), WAYS, ids=[f"{'link' if a else 'wire'}-{'sealed' if b else 'plain'}" for a, b in WAYS]
)
def test_nodes_killed_at_random_moments_answer_nothing_that_both_logs_do_not_hold(
    network: Callable[..., Network], link: bool, encrypted: bool, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(1 << 32) if SOAK else 20261122 + encrypted
    also: dict[str, object] = {"link": link}
    if encrypted:
        key_file = tmp_path / "log.key"
        key_file.write_text(base64.b64encode(bytes(range(32))).decode())
        key_file.chmod(0o600)
        also["log"] = {"key_file": str(key_file)}
    box = network(also=also)
    with Load(box, f"soak-{seed}") as load:
        killed, native = batter(box, load, SOAK or 3.0, random.Random(seed))
    for side in ("asker", "owner"):
        box.stop(side)
    records = check(box, load)
    assert len(killed) >= 2
    assert len(load.answered) >= 10
    if BUILT:
        assert native["calls"] > 2 * native["batches"] > 0, (
            "what was killed was the native path, with batches under way"
        )
    print(
        f"seed {seed}: {load.asked} asked, {len(load.answered)} answered, {load.refused} refused, {load.lost} lost with a node; "
        f"{len(killed)} kills; records {records}; native {dict(native)}"
    )


def test_a_node_killed_while_the_information_system_works_keeps_the_request_and_answers_nothing(
    network: Callable[..., Network],
) -> None:
    box = network()
    release = threading.Event()
    seen = box.system.seen

    class Slow(list[str]):
        def append(self, message_id: str) -> None:
            super().append(message_id)
            release.wait(10)

    box.system.seen = Slow(seen)
    outcome: list[object] = []

    def ask() -> None:
        try:
            outcome.append(box.call("/slow", method="POST", body=b"{}", message_id="soak-slow"))
        except (OSError, http.client.HTTPException) as problem:
            outcome.append(problem)

    caller = threading.Thread(target=ask, daemon=True)
    caller.start()
    deadline = time.monotonic() + 10
    while not box.system.seen and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(box.system.seen) == ["soak-slow"]
    box.stop("owner", signal.SIGKILL)
    release.set()
    caller.join(30)
    assert outcome, "the asker's node answers although the other is gone"
    assert getattr(outcome[0], "status", 0) == 500, outcome
    box.start("owner")
    box.wait("owner")
    assert [(r.message_id, r.direction) for r in box.records("owner")] == [("soak-slow", "request")]
    assert [(r.message_id, r.direction) for r in box.records("asker")] == [("soak-slow", "request")]
    box.system.seen = []
    assert box.call("/again", message_id="soak-again").status == 200
