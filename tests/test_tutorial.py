"""The first steps in docs/tutorial.md are typed as they stand, in a copy of the samples, and answer what the page says they do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.xdist_group("tutorial")  # the page is typed once, for all its tests
NOT_RUN = "make demo\n"  # a country of its own, with its own tests
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
    return [step for step in found if step.commands != NOT_RUN]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str]]:
    """(status, output) of each step, typed one after the other in one shell; a step ends at its first failing command."""
    checkout = tmp_path_factory.mktemp("first") / "checkout"
    (checkout / "docs").mkdir(parents=True)
    (checkout / ".venv").symlink_to(sys.prefix)
    samples = checkout / "docs/tutorial"
    samples.mkdir()
    for file in sorted((ROOT / "docs/tutorial").glob("*.csv")):
        (samples / file.name).write_bytes(file.read_bytes())
    script = ""
    for step in steps():
        typed = [f"if [ $code = 0 ]; then {line}\ncode=$?; fi\n" for line in step.commands.splitlines()]
        script += f'code=0\n{"".join(typed)}echo "{_NEXT}$code"\n'
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("KEREGE_", "DJANGO_"))}
    ran = subprocess.run(
        ["/bin/bash", "-c", script], cwd=checkout, env=environment, text=True, timeout=120, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    parts = re.split(rf"^{_NEXT}(\d+)\n", ran.stdout, flags=re.MULTILINE)
    return [(int(code), said) for said, code in zip(parts[0::2], parts[1::2], strict=False)]


def plain(text: str) -> str:
    """Without the differences a terminal's width makes."""
    return " ".join(text.split())


def test_every_step_ends_with_the_status_the_page_says(answers: list[tuple[int, str]]) -> None:
    told = [step.status for step in steps()]
    assert len(told) > 8, "the page's command blocks were not found"
    assert 2 in told
    assert [code for code, _ in answers] == told, "\n".join(said for _, said in answers)


def test_every_line_of_output_the_page_shows_is_printed(answers: list[tuple[int, str]]) -> None:
    assert len(answers) == len(steps())
    for step, (_, said) in zip(steps(), answers, strict=True):
        for line in step.promised:
            assert plain(line) in plain(said), f"after {step.commands}: {line!r} is not in\n{said}"
    assert sum(len(step.promised) for step in steps()) > 15


def test_names_of_directors_never_stand_in_an_answer(answers: list[tuple[int, str]]) -> None:
    rows = (ROOT / "docs/tutorial/ours.csv").read_text(encoding="utf-8").splitlines()[1:]
    names = {row.split(",")[3] for row in rows}
    assert len(names) > 20
    assert not [name for name in names if any(name in said for _, said in answers)]
