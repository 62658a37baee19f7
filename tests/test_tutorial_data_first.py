"""docs/tutorial-data-first.md is typed as it stands, in a copy of its samples, and answers what the page says."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/tutorial-data-first.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.xdist_group("tutorial-data-first")  # the page is typed once, for all its tests
_BLOCK = re.compile(r"(?:<!-- ends with status (\d) -->\n)?```(sh|text)\n(.*?)```", re.DOTALL)
_NEXT = "=== block "


@dataclass(frozen=True)
class Step:
    """Commands of the page with the status they end with and the lines it promises."""

    commands: str
    status: int
    promised: tuple[str, ...]


def steps() -> list[Step]:
    found: list[Step] = []
    for status, kind, text in _BLOCK.findall(PAGE):
        if kind == "sh":
            found.append(Step(text, int(status or 0), ()))
        else:
            last = found[-1]
            found[-1] = Step(last.commands, last.status, (*last.promised, *text.splitlines()))
    return found


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, str]]]:
    """(the reader's folder, (status, output) of each step); a step ends at its first failing command."""
    checkout = tmp_path_factory.mktemp("data") / "checkout"
    contracts = "src/kerege/country/kg/contracts"
    shutil.copytree(ROOT / "docs/tutorial-data", checkout / "docs/tutorial-data")
    shutil.copytree(ROOT / contracts, checkout / contracts)
    (checkout / ".venv").symlink_to(sys.prefix)
    script = ""
    for step in steps():
        lines = [f"if [ $code = 0 ]; then {line}\ncode=$?; fi\n" for line in step.commands.splitlines()]
        script += f'code=0\n{"".join(lines)}echo "{_NEXT}$code"\n'
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("KEREGE_", "DJANGO_"))}
    ran = subprocess.run(
        ["/bin/bash", "-c", script], cwd=checkout, env=environment, text=True, timeout=300, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    parts = re.split(rf"^{_NEXT}(\d+)\n", ran.stdout, flags=re.MULTILINE)
    return checkout.parent / "data-first", [
        (int(code), said) for said, code in zip(parts[0::2], parts[1::2], strict=False)
    ]


def plain(text: str) -> str:
    """Without the differences a terminal's width makes."""
    return " ".join(text.split())


def test_every_step_ends_with_the_status_the_page_says(typed: tuple[Path, list[tuple[int, str]]]) -> None:
    told = [step.status for step in steps()]
    assert len(told) > 10, "the page's command blocks were not found"
    assert {0, 1, 2} == set(told)
    assert [code for code, _ in typed[1]] == told, "\n".join(said for _, said in typed[1])


def test_every_line_of_output_the_page_shows_is_printed(typed: tuple[Path, list[tuple[int, str]]]) -> None:
    assert len(typed[1]) == len(steps())
    for step, (_, said) in zip(steps(), typed[1], strict=True):
        for line in step.promised:
            assert plain(line) in plain(said), f"after {step.commands}: {line!r} is not in\n{said}"
    assert sum(len(step.promised) for step in steps()) > 25


def test_the_published_entry_is_in_the_export_and_what_is_not_published_is_not(
    typed: tuple[Path, list[tuple[int, str]]],
) -> None:
    exported = (typed[0] / "catalogue.ttl").read_text(encoding="utf-8")
    assert "births" in exported
    assert "spravki" not in exported


def test_nobodys_name_or_number_stands_in_an_answer_or_in_the_catalogue(
    typed: tuple[Path, list[tuple[int, str]]],
) -> None:
    folder, answers = typed
    with (folder / "births.csv").open(encoding="utf-8", newline="") as file:
        people = list(csv.DictReader(file))
    values = {p[c] for p in people for c in ("Pin", "MatPin", "MatFio", "OtFio") if len(p[c]) > 10}
    assert len(values) > 200
    kept = (folder / "var/hub.sqlite3").read_bytes().decode("utf-8", "replace")
    said = "\n".join(text for _, text in answers)
    assert [v[:1] for v in values if v in said or v in kept or v in (folder / "classes.csv").read_text()] == []
