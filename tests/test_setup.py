"""`tools/setup.sh` takes the Python that the project is tried with wherever it can make the environment."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "setup.sh"
OWN = "/usr/bin/python3.11"
Interpreters = dict[str, tuple[tuple[int, int], str]]
"""By name: the version, and what it lacks (headers, venv or nothing)."""

WHOLE = ((3, 11), "")


def picked(folder: Path, there: Interpreters) -> str:
    """The name of the interpreter that the script makes the environment with, or what it asks for."""
    found = folder / "found"
    found.mkdir()
    for name, (version, lacks) in there.items():
        place = found / name
        include = folder / f"include-{name}"
        include.mkdir()
        if lacks != "headers":
            (include / "Python.h").touch()
        place.write_text(
            f"""#!/bin/sh
[ "$1" = -m ] && {{ echo {name}; exit 9; }}
exec {sys.executable} -c "import sys, sysconfig
sys.version_info = (*{version}, 0)
sysconfig.get_path = lambda name: '{include}'
{"sys.modules['ensurepip'] = None" if lacks == "venv" else ""}
$2"
"""
        )
        place.chmod(0o755)
    script = folder / "setup.sh"
    script.write_text(SCRIPT.read_text(encoding="utf-8").replace(OWN, str(found / "own3.11")), encoding="utf-8")
    done = subprocess.run(  # nothing else is on the path, so that nothing is installed
        ["/bin/sh", script, folder / "venv"], env={"PATH": str(found)}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0  # making the environment ends here
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("made_before", [False, True])
def test_what_takes_a_minute_the_first_time_is_said_before_it_begins(tmp_path: Path, made_before: bool) -> None:
    venv = tmp_path / "venv"
    make = f"/bin/mkdir -p {venv}/bin; /bin/cp $0 {venv}/bin/python"
    python = tmp_path / "python3.11"
    python.write_text(f"""#!/bin/sh
case "$*" in "-m pip "*) echo "packages are installed" >&2; exit 9;; "-m venv "*) {make};; esac
""")
    python.chmod(0o755)
    if made_before:
        (venv / "bin").mkdir(parents=True)
        (venv / "bin" / "python").write_bytes(python.read_bytes())
        (venv / "bin" / "python").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", SCRIPT, venv],
        env={"PATH": str(tmp_path), "PY": str(python)},
        capture_output=True,
        text=True,
        check=False,
    )  # nothing else is on the path, so that nothing is installed
    assert done.returncode == 9
    *said, last = done.stderr.splitlines()
    assert last == "packages are installed"
    told = f"kerege setup: making {venv} and installing packages: a minute or two, and nothing more is said meanwhile"
    assert said == ([] if made_before else [told])


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        ({"own3.11": WHOLE, "python3.11": WHOLE, "python3": ((3, 12), "")}, "own3.11"),
        ({"own3.11": ((3, 11), "headers"), "python3.11": WHOLE}, "python3.11"),
        ({"own3.11": ((3, 11), "headers"), "python3": WHOLE}, "python3"),
        ({"own3.11": ((3, 11), "headers"), "python3.11": ((3, 11), "headers"), "python3": ((3, 12), "")}, "own3.11"),
        ({"python3.11": ((3, 11), "headers"), "python3": ((3, 12), "")}, "python3.11"),
        ({"python3.11": ((3, 11), "venv"), "python3": ((3, 12), "")}, "python3"),
        ({"python3.11": ((3, 11), "venv"), "python3": ((3, 12), "headers")}, "python3"),
        ({"python3": ((3, 13), "")}, "python3"),
    ],
)
def test_a_python_of_3_11_comes_before_a_newer_one_also_without_headers(
    tmp_path: Path, there: Interpreters, taken: str
) -> None:
    assert picked(tmp_path, there) == taken


@pytest.mark.parametrize("there", [{}, {"python3": ((3, 10), "")}, {"python3.11": ((3, 11), "venv")}])
def test_where_no_python_can_make_the_environment_it_is_said_what_to_ask_for(
    tmp_path: Path, there: Interpreters
) -> None:
    assert picked(tmp_path, there).endswith("Ask an administrator for: apt-get install python3 python3-venv")
