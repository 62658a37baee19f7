"""Commands about the node's message log: is it whole, the containers of an exchange, and whether containers and archives hold."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kerege.cli.telling import counted

if TYPE_CHECKING:
    from kerege.exchange.asic import BatchStamp
    from kerege.exchange.logrecord import LogRecord
    from kerege.node.config import NodeConfig

_BODIES = click.option(
    "--without-bodies",
    is_flag=True,
    help="A body that was logged by digest only counts with the digest that was signed.",
)
_FILES = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command(name="verify-log")
@click.pass_obj
def verify_log(config: object) -> None:
    """Count the message log's records and verify every signature, under the configuration the node keeps."""
    from kerege.exchange.errors import LogDamaged
    from kerege.exchange.messagelog import entries, verify
    from kerege.node.assembly import read_log_key
    from kerege.node.conf.keeper import kept_trust
    from kerege.node.config import NodeConfig

    assert isinstance(config, NodeConfig)
    key = read_log_key(config.log)
    with contextlib.suppress(LogDamaged):  # is in the report
        next(
            iter(entries(config.log.folder, key)), None
        )  # a key that does not fit is no damage: LogKeyWrong says which
    report = verify(config.log.folder, kept_trust(config), key)
    click.echo(
        f"{counted(report.records, 'record')} ({counted(report.requests, 'request')}, "
        f"{counted(report.responses, 'response')}), {report.verified} verified"
    )
    for problem in report.problems:
        click.echo(
            f"{problem.file} at byte {problem.offset}, request {problem.request_id or '?'}: {problem.reason}", err=True
        )
    sys.exit(0 if report.ok else 1)


@click.command()
@click.argument("request_id")
@click.option("--out", "folder", default=".", type=click.Path(path_type=Path, file_okay=False), help="Where to write.")
@click.pass_obj
def asic(config: object, request_id: str, folder: Path) -> None:
    """Write the ASiC-E containers of one exchange, by its x-road-request-id, with their time-stamps."""
    from kerege.exchange.asic import container
    from kerege.node.config import NodeConfig
    from kerege.node.keys.files import write_private

    assert isinstance(config, NodeConfig)
    written = 0
    for record, stamp in _stamped(config, request_id):
        path = folder / f"{request_id}-{record.direction}-{record.side}.asice"
        write_private(path, container(record, stamp))
        click.echo(str(path) + ("" if stamp is not None else " (no time-stamp)"))
        written += 1
    if not written:
        click.echo("no record with this request id", err=True)
        sys.exit(1)


def _stamped(config: NodeConfig, request_id: str) -> Iterator[tuple[LogRecord, BatchStamp | None]]:
    """The records of one exchange with their time-stamps, found in the log itself: also beside a node that runs."""
    import hashlib

    from kerege.exchange import messagelog
    from kerege.exchange.asic import BatchStamp
    from kerege.exchange.logrecord import LogRecord
    from kerege.exchange.tschain import Tree
    from kerege.node.assembly import read_log_key

    waiting: list[tuple[int, LogRecord]] = []
    for entry in messagelog.entries(config.log.folder, read_log_key(config.log)):
        record = entry.record
        if isinstance(record, LogRecord):
            if record.request_id == request_id:
                waiting.append((entry.number, record))
            continue
        for number, found in [one for one in waiting if record.first <= one[0] <= record.last]:
            waiting.remove((number, found))
            chain = Tree(record.leaves).chain_of(hashlib.sha512(found.signature).digest())
            yield found, BatchStamp(record.token, chain)
    for _, record in waiting:
        yield record, None


@click.command(name="verify-container")
@click.argument("files", nargs=-1, required=True, type=_FILES)
@_BODIES
@click.pass_obj
def verify_container(config: object, files: tuple[Path, ...], without_bodies: bool) -> None:
    """Verify ASiC-E containers under the configuration the node keeps: who signed what when, and who stamped it."""
    from kerege.exchange import asic as containers
    from kerege.ground.clock import iso
    from kerege.ground.errors import KeregeError
    from kerege.node.conf.keeper import kept_trust
    from kerege.node.config import NodeConfig

    assert isinstance(config, NodeConfig)
    trust, bad = kept_trust(config), 0
    for file in files:
        try:
            verdict = containers.read(file.read_bytes()).check(trust, bodies=not without_bodies)
        except KeregeError as problem:
            bad += 1
            click.echo(f"{file.name}: does not hold. {problem}", err=True)
            continue
        stamp = f"; stamped {iso(verdict.stamp.time)}" if verdict.stamp is not None else "; no time-stamp"
        click.echo(f"{file.name}: holds; signed by {verdict.member} at {iso(verdict.facts.signing_time)}{stamp}")
    sys.exit(1 if bad else 0)


@click.command(name="verify-archive")
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
@_BODIES
@click.pass_obj
def verify_archive(config: object, folder: Path | None, without_bodies: bool) -> None:
    """Verify a folder of archives (log.archive.folder when none is named): the chain from file to file, and every container."""
    from kerege.exchange import archive
    from kerege.node.conf.keeper import kept_trust
    from kerege.node.config import NodeConfig

    assert isinstance(config, NodeConfig)
    if folder is None:
        if config.log.archive is None:
            click.echo("log.archive is not in the node's configuration; name a folder", err=True)
            sys.exit(2)
        folder = config.log.archive.folder
    trust = kept_trust(config)
    report = archive.verify_archive(folder, lambda container: container.check(trust, bodies=not without_bodies))
    click.echo(f"{counted(report.archives, 'archive')}, {counted(report.containers, 'container')}")
    if not report.archives and not report.problems:
        click.echo(f"no archive (mlog-*.zip) was found in {folder}; nothing was verified", err=True)
        sys.exit(1)
    for problem in report.problems:
        click.echo(str(problem), err=True)
    sys.exit(0 if report.ok else 1)
