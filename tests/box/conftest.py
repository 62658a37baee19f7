"""Networks in a box, each test its own, ended with the test."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from independent import Network


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Callable[..., Network]]:
    """Make a network; both nodes are up and well when it returns."""
    made: list[Network] = []

    def make(**settings: object) -> Network:
        folder = tmp_path / f"box-{len(made)}"
        folder.mkdir()
        box = Network(folder, **settings)  # type: ignore[arg-type]
        made.append(box)
        box.start()
        box.wait()
        return box

    yield make
    for box in made:
        box.close()
        shutil.rmtree(box.folder, ignore_errors=True)
