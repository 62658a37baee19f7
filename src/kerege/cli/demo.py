"""`kerege demo`: the country in a box."""

from __future__ import annotations

import signal
import tempfile
import threading
from pathlib import Path

import click


@click.command()
@click.option("--once", is_flag=True, help="Stop when the figures are there, instead of keeping the pages up.")
@click.option(
    "--applications",
    default=1000,
    show_default=True,
    type=click.IntRange(1, 20_000),
    help="How many applications to process.",
)
@click.option(
    "--seed", default=7, show_default=True, type=int, help="Seed of the people, their dirt and their applications."
)
@click.option(
    "--persons",
    default=20_000,
    show_default=True,
    type=click.IntRange(500, 500_000),
    help="How many people live in the country.",
)
@click.option(
    "--dirt",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Another dirt file (docs/reference/demo-dirt.md).",
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures to this file."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where everything is put; by default var/demo, or a temporary folder with --once.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with the country's soate.csv; KEREGE_COUNTRY_DATA or ../shared/data/kg otherwise.",
)
@click.option(
    "--database",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "postgresql", "sqlite"]),
    help="What the population register runs on.",
)
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the hub's pages; 0, or --once, takes a free one.",
)
def demo(
    once: bool,
    applications: int,
    seed: int,
    persons: int,
    dirt: Path | None,
    json_file: Path | None,
    folder: Path | None,
    data: Path | None,
    database: str,
    port: int,
) -> None:
    """A small country in a box: agencies, nodes, hub, people, applications decided two ways."""
    from kerege.demo.country.options import Options, country_data
    from kerege.demo.country.ready import make_ready

    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="kerege-demo-") as temporary:
        chosen = folder or (Path(temporary) / "country" if once else Path("var") / "demo")
        options = Options(
            folder=chosen.absolute(),
            applications=applications,
            seed=seed,
            persons=persons,
            dirt=dirt,
            data=data or country_data(),
            json=json_file.absolute() if json_file else None,
            once=once,
            database=database,
            port=0 if once else port,
        )
        held = make_ready(options)
        from kerege.demo.country.story import tell

        stop = threading.Event()
        try:
            tell(options, stop.wait)
        except KeyboardInterrupt:
            click.echo("\nEnded.")
        finally:
            held.close()


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
