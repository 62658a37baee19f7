"""When the configuration is due, one publication at a time, and nothing left of one that could not be written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kerege.exchange import confdir
from kerege.membership import publish, renewal
from kerege.membership.errors import PublishedElsewhere, PublishHeld
from kerege.membership.renewal import GAP, Given, Register, Standing, why_now

NOW = datetime(2026, 11, 22, 4, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STANDS = Standing("KG", NOW, NOW + timedelta(minutes=10), 7)
SAME, OTHER = Register(3, 7, changed=False), Register(3, 7, changed=True)


def seconds(count: float) -> datetime:
    return NOW + timedelta(seconds=count)


@pytest.mark.parametrize(
    ("at", "every", "register", "why"),
    [
        (0, MINUTE, SAME, None),
        (59.9, MINUTE, SAME, None),
        (60, MINUTE, SAME, "renewal"),
        (9999, MINUTE, SAME, "renewal"),
        (199, timedelta(days=1), SAME, None),
        (200, timedelta(days=1), SAME, "renewal"),  # a third of its ten minutes
        (-1, MINUTE, SAME, "renewal"),  # the clock was put back
        (GAP.total_seconds() - 0.1, MINUTE, OTHER, None),
        (GAP.total_seconds(), MINUTE, OTHER, "change"),
        (
            GAP.total_seconds(),
            MINUTE,
            Register(3, 8, changed=False),
            "change",
        ),  # another hub of this database published
        (GAP.total_seconds(), MINUTE, Register(0, 7, changed=False), None),  # a person published the empty one
    ],
)
def test_it_is_signed_again_in_time_and_when_the_register_changed(
    at: float, every: timedelta, register: Register, why: str | None
) -> None:
    assert why_now(seconds(at), STANDS, every, register) == why


def test_the_first_publication_waits_for_a_member() -> None:
    assert why_now(NOW, None, MINUTE, Register(0, None, changed=True)) is None
    assert why_now(NOW, None, MINUTE, Register(1, None, changed=True)) == "first"


@pytest.mark.parametrize(
    ("register", "reason"),
    [
        (Register(0, 7, changed=True), "has no members"),
        (Register(3, None, changed=True), "notes no version"),
        (Register(3, 5, changed=True), "notes version 5"),
        (Register(3, 5, changed=False), "notes version 5"),
    ],
)
def test_a_database_that_is_not_the_one_it_was_made_from_is_not_published_unasked(
    register: Register, reason: str
) -> None:
    for at in (0, 60, 9999):
        with pytest.raises(PublishHeld, match=reason):
            why_now(seconds(at), STANDS, MINUTE, register)


def test_tries_lie_further_and_further_apart_up_to_a_minute_and_apart_from_others() -> None:
    waits = [renewal.wait_after(tries, timedelta(hours=1), 0.0) for tries in (1, 2, 3, 5, 6, 99999)]
    assert waits == [2, 4, 8, 32, 60, 60]
    assert renewal.wait_after(6, timedelta(hours=1), 1.0) == 30
    assert renewal.wait_after(99, timedelta(seconds=5), 0.5) == 3.75


def test_what_stands_is_read_from_the_signed_directory(tmp_path: Path) -> None:
    assert renewal.standing(tmp_path / "none") is None
    for broken in (b"", b"no directory", b"Content-Type: multipart/related; boundary=x\r\n\r\n--x"):
        (tmp_path / publish.DIRECTORY).write_bytes(broken)
        assert renewal.standing(tmp_path) is None


@pytest.mark.parametrize("text", ["", "2026", "2026112204000012345600", "20261322040000123456000", "x" * 23])
def test_digits_that_are_no_moment_are_none(text: str) -> None:
    assert confdir.generated_at(text) is None


INTERRUPTED = Given("KG", 7, noted=False)


def test_what_was_published_and_not_noted_any_more_is_published_again() -> None:
    for changed in (True, False):
        register = Register(3, 6, changed=changed)
        assert why_now(NOW + GAP, STANDS, MINUTE, register, INTERRUPTED) == "change"
    assert (
        why_now(NOW + GAP, replace(STANDS, version=1), MINUTE, Register(3, None, True), Given("KG", 1, False))
        == "change"
    )


@pytest.mark.parametrize(
    ("stands", "register", "kept"),
    [
        (STANDS, Register(3, 6, changed=False), None),
        (STANDS, Register(3, 6, changed=True), Given("KG", 7, noted=True)),
        (STANDS, Register(3, 6, changed=True), Given("KG", 6, noted=False)),
        (STANDS, Register(3, 5, changed=True), INTERRUPTED),
        (STANDS, Register(3, 7, changed=False), Given("KG", 8, noted=True)),  # an older folder was put back too
        (replace(STANDS, version=None), Register(3, 6, changed=True), Given("KG", 7, noted=True)),
        (None, Register(3, 6, changed=True), Given("KG", 7, noted=True)),
    ],
)
def test_a_database_that_does_not_know_the_version_nodes_were_given_is_not_published_however_little_is_missing(
    stands: Standing | None, register: Register, kept: Given | None
) -> None:
    with pytest.raises(PublishHeld, match="this database notes version"):
        why_now(NOW + MINUTE, stands, MINUTE, register, kept)


def test_where_the_version_of_what_stands_cannot_be_read_the_one_that_was_kept_says_whether_the_database_is_as_new() -> (
    None
):
    unread = replace(STANDS, version=None)
    with pytest.raises(PublishHeld, match="which version stands cannot be read"):
        why_now(NOW + MINUTE, unread, MINUTE, SAME)
    assert why_now(NOW + GAP, unread, MINUTE, SAME, Given("KG", 7, noted=True)) == "change"


def test_the_version_nodes_were_given_is_kept_in_the_home_for_its_instance(tmp_path: Path) -> None:
    assert renewal.given(tmp_path, "KG") is None
    renewal.keep_given(tmp_path, INTERRUPTED)
    assert (renewal.given(tmp_path, "KG"), renewal.given(tmp_path, "EE")) == (INTERRUPTED, None)
    (file,) = tmp_path.iterdir()
    for broken in (b"", b"[]", b"{}", b'{"instance":"KG","version":"7","noted":true}', file.read_bytes()[:-1]):
        file.write_bytes(broken)
        assert renewal.given(tmp_path, "KG") is None


def test_a_generation_is_read_as_the_moment_it_was_written_from() -> None:
    assert confdir.generated_at(confdir.generation(NOW)) == NOW


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def files(stamp: str) -> dict[str, bytes]:
    return {f"V{version}/{stamp}/{name}": stamp.encode() for version in (2, 6) for name in ("shared", "private")}


def directories(stamp: str) -> dict[str, bytes]:
    return {name: stamp.encode() for name in ("internalconf", "internalconf.2", "externalconf")}


def full_after(count: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on the disk is full once `count` files were put on it; what is returned frees it."""
    real, left = os.fsync, [count]

    def fsync(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr("kerege.membership.publish.os.fsync", fsync)
    return monkeypatch.undo


def test_a_disk_that_fills_up_at_any_moment_leaves_all_of_the_last_publication_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish.put_in_place(tmp_path, files("1"), directories("1"))
    before = tree(tmp_path)
    writes = len(files("2")) + 4 + len(directories("2"))  # and the folders of two generations, and those they are in
    for count in range(writes):
        free = full_after(count, monkeypatch)
        with pytest.raises(OSError, match="No space left"):
            publish.put_in_place(tmp_path, files("2"), directories("2"))
        free()
        assert tree(tmp_path) == before, count
    publish.put_in_place(tmp_path, files("2"), directories("2"))
    assert (tmp_path / "externalconf").read_bytes() == b"2"
    assert (tmp_path / "V6/1/shared").exists()


@pytest.mark.parametrize("broken", ["internalconf", "internalconf.2", "externalconf"])
def test_a_directory_that_can_never_be_put_in_its_place_lets_nothing_grow_and_keeps_what_the_served_ones_name(
    tmp_path: Path, broken: str
) -> None:
    def naming(stamp: str) -> dict[str, bytes]:
        """What is served of version 2 and of version 6, as they name their files."""
        versions = {"internalconf": 6, "internalconf.2": 2, "externalconf": 6}
        return {name: b"Content-location: /V%d/%s/shared" % (v, stamp.encode()) for name, v in versions.items()}

    for stamp in ("1", "2", "3"):
        publish.put_in_place(tmp_path, files(stamp), naming(stamp))
    before = len(tree(tmp_path))
    (tmp_path / broken).rename(tmp_path / "aside")
    (tmp_path / broken).mkdir()
    for stamp in "456789":
        with pytest.raises(IsADirectoryError):
            publish.put_in_place(tmp_path, files(stamp), naming(stamp))
        assert len(tree(tmp_path)) <= before + 1 + 3, stamp  # the one aside, and a generation that is still named
        assert not list(tmp_path.glob(".*"))
        for path in tmp_path.glob("*conf*"):
            if path.is_file():
                assert (tmp_path / path.read_text().partition("/")[2]).is_file(), path
    (tmp_path / broken).rmdir()
    publish.put_in_place(tmp_path, files("91"), naming("91"))
    assert {path.read_bytes() for path in tmp_path.glob("*conf*")} == set(naming("91").values())


def test_a_generation_made_by_a_clock_that_was_put_back_is_not_kept_in_place_of_what_is_served(tmp_path: Path) -> None:
    for stamp in ("71", "72", "73", "10", "11", "12"):
        publish.put_in_place(tmp_path, files(stamp), directories(stamp))
        assert (tmp_path / "V6" / stamp / "shared").is_file(), stamp
        assert len(list((tmp_path / "V6").iterdir())) <= publish.GENERATIONS_KEPT
    assert {path.name for path in (tmp_path / "V2").iterdir()} == {"10", "11", "12"}


def test_the_names_of_new_generations_are_on_disk_before_a_directory_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if not (tmp_path / "internalconf").exists():
            synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        real(descriptor)

    monkeypatch.setattr("kerege.membership.publish.os.fsync", fsync)
    publish.put_in_place(tmp_path, files("1"), directories("1"))
    assert {tmp_path / "V2", tmp_path / "V2/1", tmp_path / "V6", tmp_path / "V6/1"} <= set(synced)


def test_what_a_publication_that_was_killed_left_is_taken_away_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".internalconf.abcdef").write_bytes(b"half")
    publish.put_in_place(tmp_path, files("1"), directories("1"))
    assert not list(tmp_path.glob(".*"))


HOLD = """
import sys, time
from pathlib import Path
import django
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
django.setup()
from kerege.membership.renewal import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.django_db
def test_one_publishes_at_a_time_and_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(PublishedElsewhere, match="this home folder"), renewal.alone(tmp_path):
            raise AssertionError("two hold it")
        began = time.monotonic()
        with pytest.raises(PublishedElsewhere), renewal.alone(tmp_path, 0.3):
            raise AssertionError("two hold it")
        assert time.monotonic() - began >= 0.3
        holder.send_signal(signal.SIGKILL)
        with renewal.alone(tmp_path, 10):
            pass
    finally:
        holder.kill()
        holder.wait(10)
        holder.stdout.close()  # type: ignore[union-attr]
