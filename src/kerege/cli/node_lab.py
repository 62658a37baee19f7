"""`kerege node lab`: a TEST network on this machine, to learn on and to try an integration with."""

from __future__ import annotations

import signal
from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--port", default=8700, show_default=True, type=click.IntRange(1024, 65000), help="The first of seven ports."
)
def lab(folder: Path, port: int) -> None:
    """Lay two nodes out in FOLDER and serve their TEST configuration until stopped; start each with `kerege node --config`."""
    from kerege.ground.clock import now
    from kerege.node.folders import written
    from kerege.node.lab import OFFICE, REGISTER, Lab

    one = Lab(folder, port)
    one.listen()
    with written("FOLDER", folder, "Name a folder that this user may make, or write."):
        laid = one.lay(now())
    for client, node in zip((REGISTER, OFFICE), laid.nodes.values(), strict=True):
        click.echo(f"{node.config}: {client}, clients at {node.client_url}, admin at {node.admin_url}")
    click.echo(f"configuration at http://127.0.0.1:{port}/internalconf until stopped. TEST keys: for learning only.")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: one.stop())
    one.serve()
