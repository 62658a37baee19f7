"""`kerege hub`: prepares the home folder and serves the hub's pages with granian (WSGI, one worker process).

What it prepares: the folder, the secret that signs sessions (made once, mode 0600) and the database tables. Order matters: the
secret goes into the environment before Django's settings are read, here and in the worker that inherits it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import stat
from pathlib import Path
from typing import Final

import click

from kerege.ground import settings
from kerege.web.errors import PortTaken, SecretExposed, SecretTooShort

_LEAST: Final = 32
_THREADS: Final = 8  # pages wait for the database, not for the processor; SQLite has one writer at a time anyway


@click.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
def hub(port: int, host: str) -> None:
    """Serve the hub's pages: home, catalogue, discrepancies, applications, gate, measures, network."""
    home = Path(settings.get("home")).absolute()
    prepare(home)
    check_port(host, port)
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    click.echo(f"The hub listens on http://{host}:{port}/ (Ctrl-C ends it)")
    Granian(
        "kerege.web.wsgi:application",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=_THREADS,
        backpressure=64,
        websockets=False,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
    ).serve()


def prepare(home: Path) -> None:
    """The folder, the secret and the tables; running it again changes nothing that is in order."""
    home.mkdir(parents=True, exist_ok=True)
    os.environ["KEREGE_HOME"] = str(home)
    if "KEREGE_SECRET_KEY" not in os.environ and not os.environ.get("KEREGE_SECRET_KEY_FILE"):
        os.environ["KEREGE_SECRET_KEY_FILE"] = str(secret_file(home))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kerege.web.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)


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
