"""`kerege hub`: prepares the home folder and serves the hub's pages with granian (WSGI, one worker process).

What it prepares: the folder, the secret that signs sessions (made once, mode 0600) and the database tables. Order matters: the
secret goes into the environment before Django's settings are read, here and in the worker that inherits it. The worker publishes the signed
configuration besides (`web.publisher`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from kerege.ground import settings
from kerege.web.installation import check_port, prepare

_THREADS: Final = 4  # pages wait for the database, not for the processor; SQLite has one writer at a time anyway


@click.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
def hub(port: int, host: str) -> None:
    """Serve the hub's pages: home, catalogue, discrepancies, applications, gate, measures, network."""
    home = Path(settings.get("home")).absolute()
    prepare(home)
    check_port(host, port)
    from kerege.web import publisher

    publisher.every()  # a setting that cannot be read is said here, not in the worker's log
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    click.echo(f"The hub listens on http://{host}:{port}/ (Ctrl-C ends it)")
    Granian(
        "kerege.web.wsgi:served",
        factory=True,
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
