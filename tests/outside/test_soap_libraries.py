"""Other people's X-Road libraries at both ends: pyxroad asks, fastapi-xroad-soap answers, first each other and then through two nodes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "box"))

from independent import CLIENT, SERVICE, Network, free_ports

HERE = Path(__file__).parent
VENVS = HERE.parents[1] / ".venv/outside"
PIN = "12345678901234"

pytestmark = [
    pytest.mark.journey,
    pytest.mark.xdist_group("independent-box"),
    pytest.mark.skipif(
        not all((VENVS / name / ".ready").exists() for name in ("pyxroad", "provider")),
        reason="not there: make outside",
    ),
]


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The provider's information system, running; its address."""
    (port,) = free_ports(1)
    process = subprocess.Popen([VENVS / "provider" / "bin" / "python", HERE / "provider_app.py", str(port)])
    try:
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None, "the provider did not start"
            try:
                socket.create_connection(("127.0.0.1", port), 0.5).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/service"
    finally:
        process.terminate()
        process.wait(20)


def ask(
    server: str, *, pin: str = PIN, client: str = str(CLIENT), message_id: str = "outside-1", direct: bool = False
) -> Any:
    """One call by pyxroad: {"result": ...} or {"fault": {"code", "message"}}."""
    environment = {"PATH": os.environ["PATH"], **({"DIRECT": "1"} if direct else {})}
    told = subprocess.run(
        [
            *(VENVS / "pyxroad" / "bin" / "python", HERE / "client_call.py", server, client, str(SERVICE)),
            *(HERE / "persons.wsdl", pin, "41", message_id),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        env=environment,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-3000:]
    return json.loads(told.stdout.splitlines()[-1])


@pytest.fixture
def through(network: Callable[..., Network], provider: str) -> Network:
    return network(services={str(SERVICE): {"url": provider, "kind": "wsdl", "timeout_seconds": 10}})


def test_the_two_libraries_understand_each_other_with_nothing_between(provider: str) -> None:
    assert ask(provider, direct=True)["result"] == {"Name": f"person {PIN} for 70000003", "Number": 42}
    assert ask(provider, pin="1", direct=True)["fault"]["message"] == "the PIN has 14 digits"


def test_a_call_passes_through_two_nodes_and_is_logged_as_soap_at_both(through: Network) -> None:
    server = f"http://127.0.0.1:{through.ports['asker'][0]}"
    assert ask(server, message_id="outside-42")["result"] == {"Name": f"person {PIN} for 70000003", "Number": 42}
    for side in ("asker", "owner"):
        records = through.records(side)
        assert [(r.kind, r.direction, r.message_id) for r in records] == [
            ("SOAP", "request", "outside-42"),
            ("SOAP", "response", "outside-42"),
        ]
        assert PIN.encode() in records[0].message
        assert b"requestHash" in records[1].message
    for side in ("asker", "owner"):
        through.stop(side)
        told = through.command(side, "verify-log")
        assert told.returncode == 0, told.stdout + told.stderr


def test_the_providers_own_fault_comes_back_as_its_fault_and_signed(through: Network) -> None:
    server = f"http://127.0.0.1:{through.ports['asker'][0]}"
    fault = ask(server, pin="1")["fault"]
    assert (fault["code"].rpartition(":")[2], fault["message"]) == ("Client", "the PIN has 14 digits")
    assert [r.direction for r in through.records("asker")] == ["request", "response"], "a provider's fault is an answer"


def test_a_fault_sent_with_http_400_is_a_failed_service_as_it_is_with_x_road(through: Network) -> None:
    """SOAP 1.1 sends faults with 500; X-Road takes 200 and 500 from a provider and nothing else."""
    server = f"http://127.0.0.1:{through.ports['asker'][0]}"
    fault = ask(server, pin="letters")["fault"]
    assert fault["code"].lower().endswith("service_failed.http_error"), fault
    assert "400" in fault["message"]


def test_a_client_that_the_node_does_not_serve_is_told_so_by_a_fault_the_library_reads(through: Network) -> None:
    server = f"http://127.0.0.1:{through.ports['asker'][0]}"
    fault = ask(server, client="KG/GOV/70000003/nobody")["fault"]
    assert fault["code"].lower().startswith(("server.", "client.")), fault
    assert "nobody" in fault["message"]
    assert through.records("asker") == []
