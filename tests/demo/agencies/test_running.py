import os
import signal
import subprocess
import sys

import psutil

from kerege.demo.agencies import AGENCIES, start_agency, start_all, write_agencies


def test_an_agency_stops_on_sigterm_with_status_nought(folder):
    agency = start_agency("education", folder / "education")
    assert psutil.pid_exists(agency.pid)
    assert agency.stop() == 0
    assert not psutil.pid_exists(agency.pid)


def test_all_agencies_are_stopped_when_the_block_ends_in_an_error(folder):
    seen = []
    try:
        with start_all(folder, database="sqlite") as agencies:
            seen += [agency.pid for agency in agencies.values()]
            raise RuntimeError("the demo fell")
    except RuntimeError:
        pass
    assert len(seen) == len(AGENCIES)
    assert not [pid for pid in seen if psutil.pid_exists(pid)]


def test_an_agency_ends_when_its_starter_is_killed(folder):
    script = (
        "import sys, time; from pathlib import Path; from kerege.demo.agencies import start_agency\n"
        "print(start_agency('education', Path(sys.argv[1])).pid, flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", script, str(folder / "education")], stdout=subprocess.PIPE)
    pid = int(starter.stdout.readline())
    agency = psutil.Process(pid)
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    _gone, alive = psutil.wait_procs([agency], timeout=10)
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]


def test_nothing_in_the_agencies_folders_tells_the_truth(folder, world):
    files = [p for p in folder.rglob("*") if p.is_file()]
    assert files
    names = {p.name for p in files}
    assert not {"applications.jsonl", "links.csv", "areas.csv", "regions.csv"} & names
    contents = b"".join(p.read_bytes() for p in files)
    assert world.applications[0].id.encode() not in contents
    for word in (b"enrolled_elsewhere", b"in_catchment", b"pin_mistyped"):
        assert word not in contents


def test_no_agency_but_population_knows_soate(folder):
    import re

    for name in ("civil", "education", "health"):
        contents = b"".join(p.read_bytes() for p in (folder / name).rglob("*") if p.is_file())
        assert not re.search(rb"(?<!\d)4170[2-8]\d{9}(?!\d)", contents)


def test_writing_again_replaces_the_data_whole_and_leaves_no_parts(world, tmp_path):
    first = write_agencies(world, tmp_path)
    (first["civil"] / "old").touch()
    write_agencies(world, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(AGENCIES)
    assert not (first["civil"] / "old").exists()


def test_an_agency_process_does_not_load_the_world():
    script = (
        "import sys, kerege.demo.agencies.civil; print([m for m in sys.modules if m.startswith('kerege.demo.world')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
