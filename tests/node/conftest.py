"""One running network for the tests that leave it as they found it, and fresh ones for those that do not."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from box import Box, base_rules, make_box


@pytest.fixture(scope="session")
def shared_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    box = make_box(tmp_path_factory.mktemp("network"))
    try:
        for code in ("node-edu", "node-reg"):
            box.start(code)
        for code in ("node-edu", "node-reg"):
            box.wait(code)
        yield box
    finally:
        box.close()


@pytest.fixture
def box(shared_box: Box) -> Iterator[Box]:
    """The running network, with the agency and the rules put back afterwards."""
    shared_box.agency.seen.clear()
    yield shared_box
    shared_box.agency.delay, shared_box.agency.answer = 0.0, None
    if shared_box.rules != base_rules():
        shared_box.publish(base_rules())


@pytest.fixture
def new_box(tmp_path: Path) -> Iterator[Callable[..., Box]]:
    made: list[Box] = []

    def make(**changes: object) -> Box:
        box = make_box(tmp_path / f"network-{len(made)}", **changes)
        made.append(box)
        return box

    yield make
    for box in made:
        box.close()
        shutil.rmtree(box.folder, ignore_errors=True)
