"""Big bodies through two running nodes, both ways and over both wires: the bytes arrive, and neither node's memory grows with them.

The agency and the client here stream too, so that what is measured is the nodes'. One gigabyte is a test of its own: `KEREGE_BIG=1`.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml
from hostile import open_files, resident

from box import ADMISSION, PERSONS, Box, _Server, make_box

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]
CODES = ("node-edu", "node-reg")
MIB = 2**20
BLOCK = os.urandom(MIB)
ROOM = 300 * MIB


def digest_of(size: int) -> str:
    made = hashlib.sha256()
    for at in range(0, size, MIB):
        made.update(BLOCK[: min(MIB, size - at)])
    return made.hexdigest()


class Mill:
    """An agency that takes a body and says its digest, or gives as many bytes as it is asked for; chunked when asked."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                left, made = int(self.headers["content-length"]), hashlib.sha256()
                while left:
                    data = self.rfile.read(min(left, 65536))
                    if not data:
                        return
                    made.update(data)
                    left -= len(data)
                said = made.hexdigest().encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def do_GET(self) -> None:
                how, size = self.path.rsplit("/", 2)[1:]
                left, chunked, cut = int(size), how == "chunked", how == "cut"
                self.send_response(200)
                if chunked:
                    self.send_header("Transfer-Encoding", "chunked")
                else:
                    self.send_header("Content-Length", size)
                self.end_headers()
                while left:
                    data = BLOCK[: min(MIB, left)]
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
                    left -= len(data)
                    if cut and left < int(size) // 2:
                        self.close_connection = True
                        self.connection.shutdown(socket.SHUT_RDWR)
                        return
                if chunked:
                    self.wfile.write(b"0\r\n\r\n")

        self.server = _Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/api"


@pytest.fixture(params=[True, False], ids=["kerege-link", "x-road-wire"], scope="module")
def box(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    made, mill = make_box(tmp_path_factory.mktemp("big")), Mill()
    for code in CODES:
        config: Path = made.laid.nodes[code].config
        found = yaml.safe_load(config.read_text())
        found["link"] = request.param
        found["limits"] = {"body_megabytes": 1100}
        found["log"] = {"least_free_megabytes": 1}
        if code == "node-reg":
            found["services"] = {str(PERSONS): {"url": mill.url, "timeout_seconds": 60}}
        config.write_text(yaml.safe_dump(found))
    try:
        with made.running():
            yield made
    finally:
        mill.server.end()


def connect(box: Box) -> http.client.HTTPConnection:
    url = box.laid.nodes["node-edu"].client_url.removeprefix("http://")
    return http.client.HTTPConnection(url, timeout=120)


def up(box: Box, size: int) -> str:
    """Send so many bytes; the digest that the agency saw."""
    connection = connect(box)
    connection.putrequest("POST", f"/r1/{PERSONS}/up")
    connection.putheader("X-Road-Client", str(ADMISSION))
    connection.putheader("Content-Length", str(size))
    connection.endheaders()
    for at in range(0, size, MIB):
        connection.send(BLOCK[: min(MIB, size - at)])
    answer = connection.getresponse()
    said = answer.read().decode()
    connection.close()
    assert answer.status == 200, said
    return said


def down(box: Box, size: int, how: str = "plain") -> str:
    """Ask for so many bytes; the digest of what came."""
    connection = connect(box)
    connection.request("GET", f"/r1/{PERSONS}/{how}/{size}", headers={"X-Road-Client": str(ADMISSION)})
    answer = connection.getresponse()
    made = hashlib.sha256()
    said = b""
    while data := answer.read(65536):
        made.update(data)
        said = said or data
    connection.close()
    assert answer.status == 200, said[:300]
    return made.hexdigest()


def check_memory(box: Box) -> None:
    for code in CODES:
        pid = box.processes[code].pid
        assert resident(pid, "VmHWM") < ROOM, f"{code}: {resident(pid, 'VmHWM') // MIB} MiB"
        deadline = time.monotonic() + 5  # the caller has its last byte a moment before the node gives the file back
        while open_files(pid, "spool"):
            assert time.monotonic() < deadline, f"{code}: a spool is still open"
            time.sleep(0.02)


@pytest.mark.parametrize("size", [10_000, 65_536, 65_537, 262_144, 262_145, MIB, 5 * MIB + 1])
def test_bodies_of_every_size_arrive_as_they_left(box: Box, size: int) -> None:
    expected = digest_of(size)
    assert up(box, size) == expected
    assert down(box, size) == expected
    assert down(box, size, "chunked") == expected


def test_a_hundred_megabytes_pass_both_ways_in_bounded_memory(box: Box) -> None:
    expected = digest_of(100 * MIB)
    assert up(box, 100 * MIB) == expected
    assert down(box, 100 * MIB) == expected
    check_memory(box)


def test_eight_bodies_of_nineteen_megabytes_at_once_pass_in_bounded_memory(box: Box) -> None:
    expected = digest_of(19 * MIB)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: up(box, 19 * MIB), range(8))) == [expected] * 8
        assert list(pool.map(lambda _: down(box, 19 * MIB), range(8))) == [expected] * 8
    check_memory(box)


def test_small_calls_pass_beside_a_big_one(box: Box) -> None:
    with ThreadPoolExecutor(2) as pool:
        big = pool.submit(up, box, 60 * MIB)
        small = [up(box, 1000) for _ in range(20)]
        assert set(small) == {digest_of(1000)}
        assert big.result() == digest_of(60 * MIB)


def test_an_agency_gone_in_the_middle_of_its_answer_is_a_fault_and_leaves_nothing(box: Box) -> None:
    with pytest.raises(AssertionError, match="service_failed"):
        down(box, 8 * MIB, "cut")
    check_memory(box)
    assert down(box, 1000) == digest_of(1000)


def test_a_client_gone_in_the_middle_of_its_body_leaves_nothing(box: Box) -> None:
    before = len(list((box.laid.nodes["node-edu"].folder).glob("state/spool/*")))
    connection = connect(box)
    connection.putrequest("POST", f"/r1/{PERSONS}/up")
    connection.putheader("X-Road-Client", str(ADMISSION))
    connection.putheader("Content-Length", str(8 * MIB))
    connection.endheaders()
    connection.send(BLOCK * 4)
    assert connection.sock is not None
    connection.sock.close()
    assert up(box, 1000) == digest_of(1000)
    assert len(list((box.laid.nodes["node-edu"].folder).glob("state/spool/*"))) == before
    check_memory(box)


def test_a_client_gone_in_the_middle_of_the_answer_leaves_nothing(box: Box) -> None:
    connection = connect(box)
    connection.request("GET", f"/r1/{PERSONS}/plain/{20 * MIB}", headers={"X-Road-Client": str(ADMISSION)})
    answer = connection.getresponse()
    assert len(answer.read(65536)) == 65536
    answer.close()
    connection.close()
    assert down(box, 2 * MIB) == digest_of(2 * MIB)
    check_memory(box)


@pytest.mark.skipif(not os.environ.get("KEREGE_BIG"), reason="one gigabyte each way: KEREGE_BIG=1")
def test_a_gigabyte_passes_both_ways_in_bounded_memory(box: Box) -> None:
    expected = digest_of(1024 * MIB)
    assert up(box, 1024 * MIB) == expected
    assert down(box, 1024 * MIB) == expected
    check_memory(box)
