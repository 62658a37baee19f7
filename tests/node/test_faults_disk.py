"""A disk that takes no more: messages are refused with the reason, nothing is answered without its record, and traffic resumes."""

import resource
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from box import Box, make_box
from kerege.exchange import messagelog

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]
CODES = ("node-edu", "node-reg")


@pytest.fixture(params=[True, False], ids=["kerege-link", "x-road-wire"])
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    made = make_box(tmp_path / "network")
    for code in CODES:
        made.change(code, link=request.param)
    with made.running():
        yield made


@pytest.mark.parametrize("code", CODES)
def test_a_log_that_cannot_be_written_answers_nothing_and_resumes_when_it_can(box: Box, code: str) -> None:
    """The size a file may have is set below what the log's segment has: every further write fails as on a full disk."""
    assert box.call(headers={"X-Road-Id": "before"}).status == 200
    process = psutil.Process(box.processes[code].pid)
    soft, hard = process.rlimit(resource.RLIMIT_FSIZE)
    process.rlimit(resource.RLIMIT_FSIZE, (0, hard))
    answers = [box.call(headers={"X-Road-Id": f"full-{n}"}) for n in range(3)]
    assert [answer.status for answer in answers] == [500] * 3
    assert all("exchange.log_f" in answer.body.decode() for answer in answers), answers[0].body
    process.rlimit(resource.RLIMIT_FSIZE, (soft, hard))
    after = [box.call(headers={"X-Road-Id": f"after-{n}"}).status for n in range(3)]
    assert after[-1] == 200, after
    found = {
        one: [(r.message_id, r.direction) for _, _, r in messagelog.read(box.laid.nodes[one].folder / "log")]
        for one in CODES
    }
    for one in CODES:
        for message_id in ("before", "after-2"):
            assert (message_id, "request") in found[one]
            assert (message_id, "response") in found[one]
    assert not any(i.startswith("full") and d == "response" for i, d in found["node-edu"])
