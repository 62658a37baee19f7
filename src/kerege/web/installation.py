"""A home folder made ready for the hub: the folder, open to its owner alone, the secret that signs sessions, the database's tables.

Order matters: the secret goes into the environment before Django's settings are read, here and in the worker that inherits it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import socket
import stat
import sys
from pathlib import Path
from typing import Final

from kerege.ground import settings
from kerege.web.errors import (
    DatabaseUnreadable,
    HomeExposed,
    HomeUnusable,
    PortTaken,
    SecretExposed,
    SecretTooShort,
)

_LEAST: Final = 32


def prepare(home: Path) -> None:
    """The folder, the secret and the tables; running it again changes nothing that is in order."""
    os.umask(
        0o077
    )  # sessions, personal numbers and keys are written from here on, here and in the worker that inherits it
    keep_private(home)
    os.environ["KEREGE_HOME"] = str(home)
    if "KEREGE_SECRET_KEY" not in os.environ and not os.environ.get("KEREGE_SECRET_KEY_FILE"):
        try:
            os.environ["KEREGE_SECRET_KEY_FILE"] = str(secret_file(home))
        except OSError as fault:
            raise _unusable(home, fault) from fault
    open_database()


def open_database() -> None:
    """Django with the hub's database, its tables as this version wants them; the home folder is its owner's alone.

    For every command that opens the database. Where Django is up already (tests, a running hub) only the tables are looked at.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kerege.web.settings")
    import django
    from django.apps import apps

    if not apps.ready:
        os.umask(0o077)
        keep_private(Path(settings.get("home")).absolute())
        django.setup()
    if _all_applied():
        return
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        sys.stderr.write("Making the hub's tables, or bringing them up to date: some seconds.\n")
        call_command("migrate", interactive=False, verbosity=0)


def _all_applied() -> bool:
    """Whether the database has every migration there is a file of: what nearly every command finds, asked without loading one of them."""
    from django.apps import apps
    from django.db import DatabaseError, connection

    folders = ((app.label, Path(app.path) / "migrations") for app in apps.get_app_configs())
    written = {(label, file.stem) for label, folder in folders for file in folder.glob("[0-9]*.py")}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT app, name FROM django_migrations")
            return written <= set(cursor.fetchall())
    except DatabaseError:  # no such table: nothing was applied yet
        return False


def keep_private(home: Path) -> None:
    """`home`, made when it is not there, open to its owner alone; and so the database an earlier version left in it.

    Raises HomeExposed, HomeUnusable and DatabaseUnreadable: what the database's library would say names neither folder nor user.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _shut(home)
    except OSError as fault:
        raise _unusable(home, fault) from fault
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        reason = f"it belongs to {_user(home.stat().st_uid)}"
        raise HomeUnusable(folder=home, user=_user(os.geteuid()), reason=reason, make="FOLDER")
    for file in home.glob("hub.sqlite3*"):
        if not os.access(file, os.R_OK | os.W_OK, effective_ids=True):
            raise DatabaseUnreadable(file=file, user=_user(os.geteuid()), owner=_user(file.stat().st_uid))
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            with contextlib.suppress(PermissionError):  # another user's; the folder is shut
                file.chmod(0o600)


def _shut(home: Path) -> None:
    there = home.stat()
    mode = stat.S_IMODE(there.st_mode)
    if mode & 0o077:
        if there.st_uid != os.geteuid() or mode & stat.S_ISVTX:
            reason = "everybody's folder" if mode & stat.S_ISVTX else "another user's folder"
            raise HomeExposed(folder=home, mode=f"{mode:04o}", reason=reason)
        home.chmod(0o700)


def _unusable(home: Path, fault: OSError) -> HomeUnusable:
    told = fault.strerror or "unknown"
    where = f" ({fault.filename})" if fault.filename and Path(fault.filename) != home else ""
    make = "FOLDER" if os.access(home, os.F_OK) else home
    return HomeUnusable(folder=home, user=_user(os.geteuid()), reason=f"{told}{where}", make=make)


def _user(number: int) -> str:
    """The user's name; the number where nobody has it."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def secret_file(home: Path) -> Path:
    """`home`/keys/session.secret, made on first use; a file that is too short or open to others is refused, never replaced."""
    file = home / "keys" / "session.secret"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
                out.write(secrets.token_urlsafe(48) + "\n")
                out.flush()
                os.fsync(out.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(aside, file)  # a link never replaces: of two processes that start together, one secret wins
        finally:
            aside.unlink()
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        raise SecretExposed(file=file, mode=f"{mode:04o}")
    length = len(file.read_text(encoding="utf-8").strip())
    if length < _LEAST:
        raise SecretTooShort(file=file, least=_LEAST, length=length)
    return file


def check_port(host: str, port: int) -> None:
    """Say plainly that a port is taken, before a worker process would die of it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as fault:
            raise PortTaken(host=host, port=port, reason=fault.strerror or "unknown") from fault
