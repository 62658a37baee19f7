"""The pages a reader types from nothing are typed as they stand, on free ports, and answer what they say they do."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {
    "docs/tutorial-exchange.md": (10, 12),
    "docs/how-to/soap-services.md": (5, 4),
}  # steps and promised lines, at least
_BLOCK = re.compile(r"(?:<!-- ends with status (\d) -->\n)?```(sh|text)\n(.*?)```", re.DOTALL)
_NEXT = "=== block "
_metrics: dict[str, str] = {}  # page -> what the provider's node counted
# one after the other, in one worker: two shells at once would look for free ports at the same time
pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("typed-pages")]


@dataclass(frozen=True)
class Step:
    commands: str
    status: int
    promised: tuple[str, ...]


def free_base() -> int:
    """The first of eight free ports in a row, ending in two zeros as the page's do."""
    start = os.getpid() % 80  # two runs beside each other begin at different places
    for base in (21700 + (start + number) % 80 * 100 for number in range(80)):
        sockets = [socket.socket() for _ in range(8)]
        try:
            for number, one in enumerate(sockets):
                one.bind(("127.0.0.1", base + number))
            return base
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise AssertionError("no eight free ports")


def steps(page: str, base: int) -> list[Step]:
    found: list[Step] = []
    page = re.sub(r"\b87(0[0-7])\b", lambda m: str(base + int(m[1])), page)
    for status, kind, text in _BLOCK.findall(page):
        if kind == "sh":
            found.append(Step(text, int(status or 0), ()))
        else:
            last = found[-1]
            found[-1] = Step(last.commands, last.status, (*last.promised, *text.splitlines()))
    return found


@pytest.fixture(scope="module", params=PAGES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def typed(name: str, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Step, int, str]]:
    """Each step with its status and what it said, all in one shell, as a person would."""
    for tool in ("curl", "unzip"):
        if shutil.which(tool) is None:
            pytest.skip(f"not there: {tool}")
    checkout = tmp_path_factory.mktemp("service") / "checkout"
    checkout.mkdir()
    (checkout / ".venv").symlink_to(sys.prefix)
    base = free_base()
    wanted = steps((ROOT / name).read_text(encoding="utf-8"), base)
    script = ""
    for number, step in enumerate(wanted):
        (checkout / f"{number}.sh").write_text(step.commands)
        if number == len(wanted) - 1:  # a moment before all ends
            script += f"curl -s -o {checkout}/metrics.txt http://127.0.0.1:{base + 3}/metrics\n"
        script += f'. {checkout}/{number}.sh\ncode=$?\necho\necho "{_NEXT}$code"\n'
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("KEREGE_", "DJANGO_"))}
    environment["PYTHONPATH"] = str(ROOT / "src")
    shell = subprocess.Popen(
        ["/bin/bash", "-c", script], cwd=checkout, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        said = shell.communicate(timeout=180)[0]
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGTERM)
        said = shell.communicate()[0]
    finally:  # whatever a step left running ends with its shell
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
    parts = re.split(rf"^{_NEXT}(\d+)\n", said, flags=re.MULTILINE)
    ended = [(int(code), text) for text, code in zip(parts[0::2], parts[1::2], strict=False)]
    assert len(ended) == len(wanted), said
    _metrics[name] = (checkout / "metrics.txt").read_text()
    return [(step, code, text) for step, (code, text) in zip(wanted, ended, strict=True)]


def test_every_step_ends_with_the_status_the_page_says(name: str, typed: list[tuple[Step, int, str]]) -> None:
    assert len(typed) > PAGES[name][0], "the page's command blocks were not found"
    for step, code, said in typed[:-1]:  # the last waits for what was told to end
        assert code == step.status, f"after {step.commands}:\n{said}"


def test_every_line_of_output_the_page_shows_is_printed(name: str, typed: list[tuple[Step, int, str]]) -> None:
    for step, _, said in typed:
        for line in step.promised:
            assert line in said, f"after {step.commands}: {line!r} is not in\n{said}"
    assert sum(len(step.promised) for step, _, _ in typed) > PAGES[name][1]


def test_no_step_waits_without_end_and_none_hides_what_check_says(name: str) -> None:
    commands = "".join(step.commands for step in steps((ROOT / name).read_text(encoding="utf-8"), 21700))
    assert "until " not in commands
    assert "while " not in commands
    assert "| tail" not in commands


def test_what_does_not_come_is_given_up_with_the_last_line_of_its_log(name: str, tmp_path: Path) -> None:
    page = (ROOT / name).read_text(encoding="utf-8")
    within = re.search(r"^within\(\) \{.*?^\}\n", page, re.DOTALL | re.MULTILINE)
    assert within is not None
    (tmp_path / "log.txt").write_text("begun\nthe address is taken\n")
    script = within[0].replace("seq 150", "seq 2") + "within log.txt grep -q 'was read again' log.txt"
    tried = subprocess.run(
        ["/bin/bash", "-c", script], cwd=tmp_path, text=True, capture_output=True, timeout=20, check=False
    )
    assert tried.returncode == 1
    assert tried.stdout.endswith("the last line of log.txt:\nthe address is taken\n")


def test_a_page_typed_again_begins_in_an_empty_folder(name: str) -> None:
    first = steps((ROOT / name).read_text(encoding="utf-8"), 21700)[0].commands
    folder = re.search(r"rm -rf (\.\./[a-z-]+) && mkdir (\S+) && cd (\S+)", first)
    assert folder is not None
    assert len(set(folder.groups())) == 1


def test_the_tutorials_call_goes_the_native_way_at_the_agencys_node(
    typed: list[tuple[Step, int, str]], name: str
) -> None:
    if name != "docs/tutorial-exchange.md":
        return
    pytest.importorskip("kerege.exchange.lane.call", reason="not there: make setup compiles the native modules")
    counted = re.search(r'kerege_lane_calls_total\{side="producer"\} (\S+)', _metrics[name])
    assert counted is not None
    assert float(counted[1]) >= 1
