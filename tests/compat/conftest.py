"""The bench of `bench732`, once with TLS between servers and once without; and where the captures are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench732 import Bench, bench
from signature732 import VECTORS


@pytest.fixture(scope="session")
def captures() -> Path:
    folder = VECTORS / "live-7.3.2"
    if not folder.is_dir():
        pytest.skip(f"not there: {folder}")
    return folder


@pytest.fixture(scope="session", params=["tls", "plain"])
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield from bench(tmp_path_factory.mktemp(request.param), tls=request.param == "tls")
