"""Two hubs over one home: the configuration is renewed before it expires and soon after an approval, by one of them at a time, whichever is alive."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from kerege.exchange import confdir, globalconf

pytestmark = pytest.mark.journey
HOLDS = 60  # seconds a configuration holds here: it is renewed after a third of them

LAY = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from kerege.web.installation import prepare
home = Path(sys.argv[1]); prepare(home)
from kerege.exchange import management
from kerege.exchange.ids import ClientId, ServerId
from kerege.exchange.management import Envelope, Kind, ManagementRequest
from kerege.exchange.management_proof import Proof
from kerege.ledger import open_signing
from kerege.membership import central, requests, signing
from kerege.membership.models import CentralSetting
now = datetime.now(UTC)
folder = home / "keys" / "configuration"
signing.make_keys(folder, "KG", now); signing.anchors(folder, "KG", "http://cs.kg", now)
names = {"name_ky": "a", "name_ru": "a", "name_en": "a"}
server, client = ServerId.parse("KG/GOV/1/node"), ClientId.parse("KG/GOV/1/emis")
with open_signing(home) as ledger:
    for kind, name, body in (
        ("setting", "management_provider", {"value": "KG/GOV/1/management"}),
        ("class", "GOV", {"description": "Government"}),
        ("member", "KG/GOV/1", names),
        ("subsystem", "KG/GOV/1/management", {"name": ""}),
        ("server", str(server), {"address": "node.kg"}),
    ):
        central.put(kind, name, body, ledger=ledger, now=now, by="office")
    CentralSetting.objects.create(name="valid_seconds", value=int(sys.argv[2]))  # less than may be set: time is short here
    request = ManagementRequest(Kind.CLIENT_REG, server, client=client)
    owner = ClientId.parse("KG/GOV/1")
    soap = management.build(request, owner, ClientId.parse("KG/GOV/1/management"))
    proof = Proof(Envelope(request, owner, ClientId.parse("KG/GOV/1/management"), "1"), owner.member)
    received = requests.receive(requests.remember(proof, soap, now=now), ledger=ledger, now=now)
    ledger.sign_head(now)
print(received.number, received.state)
"""
APPROVE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from kerege.web.installation import open_database
open_database()
from kerege.ledger import open_signing
from kerege.membership import requests
with open_signing(Path(sys.argv[1])) as ledger:
    requests.approve(int(sys.argv[2]), by="office", reason="known to us", ledger=ledger, now=datetime.now(UTC))
"""


class Hub:
    """`kerege hub` as a process of its own."""

    def __init__(self, home: Path, number: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.log = home.parent / f"hub-{number}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kerege", "hub", "--port", str(self.port)],
                env=environment(home), stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return bytes(answer.read())

    def configuration(self) -> dict[str, Any]:
        found = json.loads(self.get("/health"))["configuration"]
        assert isinstance(found, dict)
        return found

    def published(self) -> list[tuple[datetime, str]]:
        lines = re.findall(r"published (\S+) \((\w+)\), holds until", self.log.read_text())
        return [(datetime.fromisoformat(moment), why) for moment, why in lines]

    def kill(self) -> None:
        """Both of its processes at once, as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KEREGE_", "DJANGO_"))}
    return kept | {"KEREGE_HOME": str(home)}


def script(text: str, home: Path, *arguments: str) -> str:
    command = [sys.executable, "-c", text, str(home), *arguments]
    return subprocess.run(
        command, env=environment(home), check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


def wait_for(what: Any, seconds: float = 30.0) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            found = what()
            if found:
                return found
        time.sleep(0.2)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def hubs(tmp_path: Path) -> Iterator[tuple[Hub, Hub]]:
    home = tmp_path / "home"
    assert script(LAY, home, str(HOLDS)) == "1 waiting"
    running = Hub(home, 1), Hub(home, 2)
    try:
        yield running
    finally:
        for one in running:
            one.kill()


def clients(hub: Hub) -> set[str]:
    directory = confdir.unverified_directory(hub.get("/internalconf"))
    part = directory.part(confdir.SHARED)
    assert part is not None
    (server,) = globalconf.parse_shared(confdir.check_file(part, hub.get(part.location), "hub")).servers
    return {str(client) for client in server.clients}


def test_two_hubs_keep_the_configuration_alive_as_one_and_the_other_goes_on_when_one_is_killed(
    hubs: tuple[Hub, Hub], tmp_path: Path
) -> None:
    first, second = hubs
    begun = wait_for(lambda: first.configuration()["published"] and second.configuration())
    assert begun["by_itself"] is True
    assert clients(first) == set()

    def renewed() -> bool:
        told = second.configuration()
        assert told["status"] == "ok", told
        return bool(told["published"] > begun["published"])

    wait_for(renewed, HOLDS / 3 + 5)  # long before it is over
    assert clients(second) == set()

    script(APPROVE, tmp_path / "home", "1")
    wait_for(
        lambda: clients(second) == {"KG/GOV/1/emis"}, 17
    )  # ten seconds after the renewal, seen within five, not at the next
    assert first.configuration()["version"] == 2

    done = sorted(one for hub in hubs for one in hub.published())
    assert [why for _, why in done] == ["first", "renewal", "change"]  # each once, whoever did it
    assert (done[1][0] - done[0][0]).total_seconds() > HOLDS / 3 - 1  # expiry is written in whole seconds
    assert list((tmp_path / "home/globalconf").glob(".*")) == []

    survivor, victim = (first, second) if done[2] in second.published() else (second, first)
    victim.kill()  # the one that published last
    wait_for(lambda: (survivor.published() or done)[-1][0] > done[2][0], HOLDS / 3 + 5)
    assert survivor.published()[-1][1] == "renewal"
    assert survivor.configuration()["status"] == "ok"
