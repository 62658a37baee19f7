import os

import pytest

from kerege.demo.errors import ProcessDidNotStart
from kerege.demo.processes import Processes, free_port


def test_processes_end_with_the_block_they_were_started_in(tmp_path):
    with Processes(tmp_path) as processes:
        process = processes.start("quiet", ["http.server", "--bind", "127.0.0.1", str(port := free_port())])
        processes.wait_for("quiet", process, f"http://127.0.0.1:{port}/")
        os.kill(process.pid, 0)
    assert process.poll() is not None


def test_a_process_that_ends_before_it_is_ready_is_named_with_its_log(tmp_path):
    with Processes(tmp_path) as processes:
        process = processes.start("broken", ["no_such_module_here"])
        with pytest.raises(ProcessDidNotStart, match=r"broken\.log"):
            processes.first_line("broken", process, seconds=20)
    assert b"no_such_module_here" in (tmp_path / "broken.log").read_bytes()
