"""What Kerege imports is what its package asks for, and what the lock file is made of."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]


def named(requirement: str) -> str:
    return re.split(r"[\[<>=]", requirement)[0].strip().lower().replace("_", "-")


def runtime() -> list[str]:
    lines = (ROOT / "requirements" / "runtime.in").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def imported() -> set[str]:
    out = set()
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                out |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                out.add(node.module.partition(".")[0])
    return out - sys.stdlib_module_names - {"kerege"}


def test_the_package_asks_for_what_the_lock_file_is_made_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == runtime()


def test_everything_imported_is_asked_for_by_name() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = {named(one) for one in (*runtime(), *(one for extra in extras.values() for one in extra))}
    owners = packages_distributions()
    missing = {name for name in imported() if not asked & {named(owner) for owner in owners.get(name, [name])}}
    assert missing == set()


def test_everything_asked_for_is_in_the_lock_file() -> None:
    locked = {named(line) for line in (ROOT / "requirements" / "lock.txt").read_text().splitlines() if "==" in line}
    assert {named(one) for one in runtime()} <= locked
