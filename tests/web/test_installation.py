"""A home folder made ready: the session secret is made once, kept to its owner, and never replaced in silence."""

import contextlib
import os
import pwd
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from django.db import connection

from kerege.web import installation
from kerege.web.errors import DatabaseUnreadable, HomeExposed, HomeUnusable, SecretExposed, SecretTooShort
from kerege.web.installation import keep_private, prepare, secret_file


def test_the_secret_is_made_once_and_only_its_owner_reads_it(tmp_path):
    first = secret_file(tmp_path)
    text = first.read_text()
    assert len(text.strip()) >= 50
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert secret_file(tmp_path).read_text() == text
    assert [file.name for file in first.parent.iterdir()] == ["session.secret"]


def test_two_folders_have_two_secrets(tmp_path):
    assert secret_file(tmp_path / "a").read_text() != secret_file(tmp_path / "b").read_text()


def test_a_secret_others_may_read_is_refused_and_left_as_it_is(tmp_path):
    file = secret_file(tmp_path)
    text = file.read_text()
    os.chmod(file, 0o644)
    with pytest.raises(SecretExposed, match="0644"):
        secret_file(tmp_path)
    assert file.read_text() == text


def test_a_short_secret_is_refused(tmp_path):
    file = tmp_path / "keys" / "session.secret"
    file.parent.mkdir()
    file.write_text("short")
    os.chmod(file, 0o600)
    with pytest.raises(SecretTooShort, match="holds 5"):
        secret_file(tmp_path)


@pytest.fixture
def loose_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_home_made_ready_can_be_read_by_its_owner_only(tmp_path, loose_umask):
    """The whole of `prepare`, in a process of its own: the database with sessions and personal numbers among it."""
    home = tmp_path / "home"
    script = (
        "import sys; from pathlib import Path; from kerege.web.installation import prepare; prepare(Path(sys.argv[1]))"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("KEREGE_", "DJANGO_"))}
    done = subprocess.run(
        [sys.executable, "-c", script, str(home)], check=True, timeout=120, env=environ, capture_output=True, text=True
    )
    assert "some seconds" in done.stderr, "making the tables takes long enough to be told"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert (home / "hub.sqlite3").is_file()
    open_to_others = [path for path in home.rglob("*") if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert open_to_others == []


def test_a_home_an_earlier_version_left_open_is_shut(tmp_path, loose_umask):
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    for name in ("hub.sqlite3", "hub.sqlite3-wal"):
        (home / name).write_bytes(b"")
    keep_private(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in home.iterdir()] == [0o600, 0o600]


def test_a_folder_everybody_writes_to_is_no_home_and_is_left_as_it_is(tmp_path, loose_umask):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with pytest.raises(HomeExposed, match="1777"):
        keep_private(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777


@contextlib.contextmanager
def a_user_without_rights():
    """Within, the process is nobody where the tests run as root, who may do everything; its name."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield pwd.getpwuid(os.geteuid()).pw_name
    finally:
        os.seteuid(before)


@pytest.mark.parametrize("ready", [keep_private, prepare])
def test_a_home_that_cannot_be_made_is_told_with_the_user_and_the_command_that_makes_it(tmp_path, ready, loose_umask):
    above = tmp_path / "lib"
    above.mkdir()
    above.chmod(0o500)
    home = above / "kerege"
    with a_user_without_rights() as user, pytest.raises(HomeUnusable) as refused:
        ready(home)
    assert f"{home} cannot be used by {user}: Permission denied" in refused.value.text
    assert f"sudo install -d -m 700 -o {user} {home}" in refused.value.next_step


def test_the_home_of_another_user_is_told_before_the_database_is_opened(loose_umask):
    if os.geteuid() != 0:
        pytest.skip("as one user only: there is no folder of another")
    with tempfile.TemporaryDirectory() as shared:
        os.chmod(shared, 0o755)
        home = Path(shared) / "home"
        home.mkdir(mode=0o700)
        with a_user_without_rights() as user, pytest.raises(HomeUnusable) as refused:
            keep_private(home)
        assert f"by {user}: it belongs to root" in refused.value.text
        assert refused.value.next_step.endswith("700 -o nobody FOLDER."), "it stays its owner's"


def test_a_database_that_another_user_made_in_ones_home_is_told_with_its_owner(loose_umask):
    if os.geteuid() != 0:
        pytest.skip("as one user only: there is no file of another")
    with tempfile.TemporaryDirectory() as shared:
        os.chmod(shared, 0o755)
        home = Path(shared) / "home"
        home.mkdir(mode=0o700)
        (home / "hub.sqlite3").touch(mode=0o600)
        os.chown(home, 65534, -1)
        with a_user_without_rights() as user, pytest.raises(DatabaseUnreadable, match="belongs to root") as refused:
            keep_private(home)
        assert f"sudo chown {user} {home / 'hub.sqlite3'}" in refused.value.next_step


def test_a_database_that_lacks_a_migration_is_known_without_loading_one(db):
    assert installation._all_applied()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('web', '9999_of_a_later_version', CURRENT_TIMESTAMP)"
        )
        assert installation._all_applied(), "a later version's own migration is no reason to look further"
        cursor.execute("DELETE FROM django_migrations WHERE app = 'identity' AND name LIKE '0001%'")
    assert not installation._all_applied()
