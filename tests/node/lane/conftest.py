"""What the tests of the native path share is beside them; here are the agency, and the two nodes of calls that are under way."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from traffic import Crowd, Office
from underway import LIMITS, NODES, RULES, nothing_left, service

from box import Box, make_box


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.close()


@pytest.fixture(scope="module", params=[True, False], ids=["link", "x-road-wire"])
def link(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def running(office: Office, link: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    box = make_box(tmp_path_factory.mktemp("under-way"))
    box.change("node-reg", services=service(office), link=link)
    box.change("node-edu", limits=LIMITS, link=link)
    box.publish(RULES)
    with box.running():
        yield box
        nothing_left(box)


@pytest.fixture
def crowd(running: Box, office: Office) -> Iterator[Crowd]:
    """Clients whose way is known; afterwards all is as it was."""
    office.release.clear()
    office.seen.clear()
    with Crowd(running) as made:
        made.warm()
        yield made
    office.release.set()
    for code in NODES:
        if code not in running.processes:
            running.start(code)
            running.wait(code)
    if running.rules != RULES:
        running.publish(RULES)
