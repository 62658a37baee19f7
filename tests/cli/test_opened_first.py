"""Every command, typed in a fresh process: the hub's database is opened before the first of its models is imported."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kerege.cli import main

ROOT = Path(__file__).parents[2]


def test_no_command_of_a_fresh_process_ends_in_a_trace(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("opened_first.py")), str(tmp_path)],
        capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    told: dict[str, str] = json.loads(done.stdout)
    assert {w: e for w, e in told.items() if not re.fullmatch(r"opened|status \d|[a-z_]+(\.[a-z_]+)+", e)} == {}
    opened = {words for words, end in told.items() if end == "opened"}
    assert opened >= {
        "reference list",
        "reference propose",
        "reference publish",
        "lifecycle show",
        "owner show",
        "search",
    }
    assert len(opened) > 40


@pytest.mark.django_db
def test_the_page_on_publishing_reference_data_is_true_when_it_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEREGE_HOME", str(tmp_path))
    assert "None yet" in CliRunner().invoke(main, ["reference", "list"]).output
    page = (ROOT / "docs/how-to/publish-reference-data.md").read_text("utf-8")
    plan = re.search(r"`(kerege reference publish .* --plan)`", page)
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    assert plan is not None
    for line in [plan[1], *"".join(blocks).replace("\\\n", " ").splitlines()]:
        result = CliRunner().invoke(main, shlex.split(line)[1:])
        assert result.exit_code == 0, f"{line}: {result.output}"
    assert "Published kg-sex 2022" in result.output
