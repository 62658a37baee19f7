"""Whichever command opens the hub's database first, what it makes is its owner's alone."""

import os
import stat
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "command",
    [["harvest", "--list"], ["network"], ["network", "keys", "--url", "http://cs.kg"], ["measures"]],
    ids=lambda c: " ".join(c[:2]),
)
def test_a_command_that_makes_the_home_folder_keeps_it_private(command, tmp_path):
    home = tmp_path / "home"
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("KEREGE_", "DJANGO_"))} | {
        "KEREGE_HOME": str(home)
    }
    done = subprocess.run(
        [sys.executable, "-m", "kerege", *command], capture_output=True, text=True, timeout=60, env=environ
    )
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for made in home.rglob("*"):
        assert stat.S_IMODE(made.stat().st_mode) & 0o077 == 0, made.name
