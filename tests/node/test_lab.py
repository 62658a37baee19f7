"""`kerege node lab`: what it says where it cannot listen."""

from __future__ import annotations

import socket
from pathlib import Path

from click.testing import CliRunner

from kerege.cli import main


def test_on_a_port_that_is_taken_nothing_is_laid_out_and_another_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = CliRunner().invoke(main, ["node", "lab", str(folder), "--port", port])
    assert done.exit_code == 2
    assert "node.address_in_use" in done.output
    assert "give --port another" in done.output
    assert "clients at" not in done.output
    assert not folder.exists()
