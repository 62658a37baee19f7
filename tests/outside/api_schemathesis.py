"""Schemathesis asks the catalogue's API everything its OpenAPI document allows, and much that it does not; every answer must be as promised.

Run by `make outside-api` and not with the other tests: it takes a minute.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "catalogue"))  # for `open_catalogue`

import open_catalogue as world

from kerege.catalogue.board import doings as board
from kerege.catalogue.search import index as search_index
from kerege.ground import clock

TOOL = Path(__file__).parents[2] / ".venv/outside-schemathesis/bin/schemathesis"


@pytest.mark.django_db(transaction=True)
def test_every_answer_is_as_the_document_promises(live_server: Any, settings: Any, tmp_path: Path) -> None:
    if not TOOL.is_file():
        pytest.skip("not there: make outside-api")
    settings.HOME = tmp_path / "hub"
    world.fill()
    world.reference("kg-sex", "kg:sex", "2022")
    board.start("the plan", by="steward", now=clock.now())
    search_index.rebuild()
    asked = [TOOL, "run", f"{live_server.url}/api/v1/openapi.json", "--url", f"{live_server.url}/api/v1", "--max-examples", "15", "--workers", "1",
             "--phases", "examples,coverage,fuzzing", "--seed", "7", "--exclude-checks", "positive_data_acceptance",
             "--generation-database", "none"]  # fmt: skip
    # what is well formed and names nothing there is a 404, which that check takes for a refusal
    ran = subprocess.run(asked, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-1000:]
