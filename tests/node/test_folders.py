"""Folders that cannot be made or written: the start ends with a code and what to do, as the check tells it, and with no trace."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from kerege.cli import main
from kerege.ground.clock import now
from kerege.node import folders
from kerege.node.lab import Lab


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A node's file that is right, and beside it a file `taken`, where a folder is wanted."""
    laid = Lab(tmp_path / "lab", 8700).lay(now() - timedelta(minutes=1))
    (tmp_path / "taken").write_text("a file")
    return next(iter(laid.nodes.values())).config


def started(file: Path, change: dict[str, object]) -> Result:
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | change))
    return CliRunner().invoke(main, ["node", "--config", str(file)])


@pytest.mark.parametrize("key", ["state", "log.folder", "limits.spool", "monitoring"])
def test_a_node_that_cannot_make_a_folder_says_which_key_names_it_and_how_to_make_it(
    file: Path, tmp_path: Path, key: str
) -> None:
    folder = tmp_path / "taken" / "in it"
    if key == "monitoring":
        done = started(file, {key: str(folder / "records.jsonl")})
    else:
        first, _, second = key.partition(".")
        done = started(file, {first: {second: str(folder)} if second else str(folder)})
    assert done.exit_code == 2, done.output
    assert f"node.folder_unusable\n         {key}: {tmp_path / 'taken'} is no folder." in done.output
    assert f"install -d -m 700 -o USER {folder}" in done.output


def test_a_monitoring_file_that_is_a_folder_is_named_itself(file: Path, tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    done = started(file, {"monitoring": str(tmp_path / "records")})
    assert done.exit_code == 2, done.output
    assert f"monitoring: {tmp_path / 'records'}: Is a directory." in done.output
    assert f"ls -ld {tmp_path / 'records'}" in done.output


def test_a_folder_that_another_user_owns_is_told_as_the_check_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders.os, "access", lambda *_: False)  # root may write everywhere
    assert folders.unusable(tmp_path / "state") == f"{tmp_path} may not be written by this user"


def test_a_lab_in_a_folder_that_cannot_be_made_asks_for_another(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    done = CliRunner().invoke(main, ["node", "lab", str(tmp_path / "taken" / "lab"), "--port", "18760"])
    assert done.exit_code == 2, done.output
    assert f"FOLDER: {tmp_path / 'taken'} is no folder." in done.output
    assert "Name a folder that this user may make, or write." in done.output
