"""Bodies that are kept in the log, many at once: what waits to be written is bounded too."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from hostile import Caller, fault_of, of_stream, resident

from box import Box, make_box
from kerege.exchange import linkmessages as lm

pytestmark = [pytest.mark.journey, pytest.mark.timeout(120)]
CODES = ("node-edu", "node-reg")
MIB = 2**20


@pytest.fixture(scope="module", params=[True, False], ids=["kerege-link", "x-road-wire"])
def box(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    made = make_box(tmp_path_factory.mktemp("kept"))
    for code in CODES:
        made.change(code, link=request.param)
    with made.running():
        yield made


def test_eight_kept_bodies_of_nine_megabytes_at_once_stay_under_the_bound(box: Box) -> None:
    body = os.urandom(9 * MIB)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: box.call("/x", method="POST", body=body), range(16)))
    assert {answer.status for answer in answers} == {200}
    for code in CODES:
        assert resident(box.processes[code].pid, "VmHWM") < 300 * MIB, resident(box.processes[code].pid, "VmHWM") // MIB


def test_an_unsigned_request_id_as_long_as_a_book_harms_nobody(box: Box) -> None:
    caller = Caller(box)
    if not yaml.safe_load(box.laid.nodes["node-reg"].config.read_text())["link"]:
        pytest.skip("by hand over the link")
    wire = caller.connect()
    for stream, value in enumerate((b"x" * 60_000, b"\xff\x00\n", b""), 1):
        wire.send(lm.Messages((caller.group([caller.request(stream, headers=((b"x-road-request-id", value),))]),)))
        frame = wire.read(of_stream(stream))
        assert isinstance(frame, lm.Messages) or fault_of(frame)
    assert box.call().status == 200
    caller.close()
