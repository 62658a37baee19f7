"""Commands about the node's message log: is it whole, the containers of an exchange, and whether containers and archives hold."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kerege.cli.telling import counted

if TYPE_CHECKING:
    from kerege.exchange.asic import BatchStamp
    from kerege.exchange.logrecord import LogRecord
    from kerege.exchange.trust import Trust
    from kerege.node.config import NodeConfig

_BODIES = click.option(
    "--without-bodies",
    is_flag=True,
    help="A body that was logged by digest only counts with the digest that was signed.",
)
_CONFIGURATION = click.option(
    "--configuration",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="An unpacked verificationconf (GET /verificationconf of a node) in place of what the node keeps.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="What was found as JSON.")
_NONE: Final = "It is no container, or a damaged one: kerege node asic writes them, and archives hold them. Take the file anew from there."
_FORGED: Final = (
    "It proves nothing as it is: changed after signing, or signed by whom the configuration does not believe. Compare it with the"
    " archives of both servers, each verified with verify-archive."
)
_FILES = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command(name="verify-log")
@_CONFIGURATION
@_JSON
@click.pass_obj
def verify_log(config: object, configuration: Path | None, as_json: bool) -> None:
    """Count the message log's records and verify every signature, under the configuration the node keeps."""
    from kerege.exchange.errors import LogDamaged
    from kerege.exchange.logfolder import is_there
    from kerege.exchange.messagelog import entries, verify
    from kerege.node.assembly import read_log_key
    from kerege.node.config import NodeConfig

    assert isinstance(config, NodeConfig)
    key, folder = read_log_key(config.log), config.log.folder
    with contextlib.suppress(LogDamaged):  # is in the report
        next(iter(entries(folder, key)), None)  # a key that does not fit is no damage: LogKeyWrong says which
    report, there = verify(folder, _trust(config, configuration), key), is_there(folder)
    if as_json:
        names = ("records", "requests", "responses", "verified")
        problems = [
            {"file": one.file, "offset": one.offset, "request_id": one.request_id or None, "reason": one.reason}
            for one in report.problems
        ]
        said: dict[str, object] = {"ok": report.ok and there, "folder": str(folder), "found": there}
        _tell(said | {name: getattr(report, name) for name in names} | {"problems": problems})
    elif there or report.problems:
        click.echo(
            f"{counted(report.records, 'record')} ({counted(report.requests, 'request')}, "
            f"{counted(report.responses, 'response')}), {report.verified} verified"
        )
    else:
        click.echo(f"no message log (segment-*.log) was found in {folder} (log.folder); nothing was verified", err=True)
    for problem in () if as_json else report.problems:
        click.echo(
            f"{problem.file} at byte {problem.offset}, request {problem.request_id or '?'}: {problem.reason}", err=True
        )
    sys.exit(0 if report.ok and there else 1)


@click.command()
@click.argument("request_id")
@click.option("--out", "folder", default=".", type=click.Path(path_type=Path, file_okay=False), help="Where to write.")
@click.pass_obj
def asic(config: object, request_id: str, folder: Path) -> None:
    """Write the ASiC-E containers of one exchange, by its x-road-request-id, with their time-stamps."""
    from kerege.exchange.asic import container
    from kerege.node.config import NodeConfig
    from kerege.node.errors import RecordMissing
    from kerege.node.keys.files import write_private

    assert isinstance(config, NodeConfig)
    written = 0
    for record, stamp in _stamped(config, request_id):
        path = folder / f"{request_id}-{record.direction}-{record.side}.asice"
        write_private(path, container(record, stamp))
        click.echo(str(path) + ("" if stamp is not None else " (no time-stamp)"))
        written += 1
    if not written:
        raise RecordMissing(folder=config.log.folder, request_id=request_id)


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
@_CONFIGURATION
@_JSON
@click.pass_obj
def verify_container(
    config: object, files: tuple[Path, ...], without_bodies: bool, configuration: Path | None, as_json: bool
) -> None:
    """Verify ASiC-E containers under the configuration the node keeps: who signed what when, and who stamped it."""
    from kerege.exchange import asic as containers
    from kerege.exchange.errors import SignatureMalformed
    from kerege.ground.clock import iso
    from kerege.ground.errors import KeregeError

    trust, found = _trust(config, configuration), []
    for file in files:
        try:
            verdict = containers.read(file.read_bytes()).check(trust, bodies=not without_bodies)
        except KeregeError as problem:
            do = _NONE if isinstance(problem, SignatureMalformed) else _FORGED
            found.append({"file": str(file), "holds": False, "code": problem.code, "reason": problem.text, "do": do})
            if not as_json:
                click.echo(f"{file.name}: does not hold. {problem.text} [{problem.code}]\n    {do}", err=True)
            continue
        signed, stamped = (
            iso(verdict.facts.signing_time),
            iso(verdict.stamp.time) if verdict.stamp is not None else None,
        )
        member = str(verdict.member)
        found.append({"file": str(file), "holds": True, "member": member, "signed": signed, "stamped": stamped})
        if not as_json:
            stamp = f"; stamped {stamped}" if stamped else "; no time-stamp"
            click.echo(f"{file.name}: holds; signed by {member} at {signed}{stamp}")
    good = all(one["holds"] for one in found)
    if as_json:
        _tell({"ok": good, "containers": found})
    sys.exit(0 if good else 1)


@click.command(name="verify-archive")
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
@_BODIES
@_CONFIGURATION
@_JSON
@click.pass_obj
def verify_archive(
    config: object, folder: Path | None, without_bodies: bool, configuration: Path | None, as_json: bool
) -> None:
    """Verify a folder of archives (log.archive.folder when none is named): the chain from file to file, and every container."""
    from kerege.exchange import archive

    folder = folder or _archives(config)
    trust = _trust(config, configuration)
    report = archive.verify_archive(folder, lambda container: container.check(trust, bodies=not without_bodies))
    there = bool(report.archives or report.problems)
    good = there and report.ok
    if as_json:
        counts = {"archives": report.archives, "containers": report.containers, "problems": list(report.problems)}
        _tell({"ok": good, "folder": str(folder), "found": there} | counts)
    elif not there:
        click.echo(f"no archive (mlog-*.zip) was found in {folder}; nothing was verified", err=True)
    else:
        verdict = "all hold" if good else counted(len(report.problems), "problem")
        click.echo(f"{counted(report.archives, 'archive')}, {counted(report.containers, 'container')}: {verdict}")
        for problem in report.problems:
            click.echo(str(problem), err=True)
    sys.exit(0 if good else 1)


def _archives(config: object) -> Path:
    """Where the node's file says that archives go. Raises NodeConfigInvalid."""
    from kerege.node.config import NodeConfig
    from kerege.node.errors import NodeConfigInvalid

    if not isinstance(config, NodeConfig):
        raise click.UsageError("Missing argument 'FOLDER': without a node's file nothing says where archives are.")
    if config.log.archive is None:
        do = "Name the folder: verify-archive FOLDER. Or say in the file where archives go."
        raise NodeConfigInvalid(
            file=config.file, key="log.archive", reason="it is not there, and no folder is named", do=do
        )
    return config.log.archive.folder


def _trust(config: object, configuration: Path | None) -> Trust:
    """What signatures are verified under: the folder named, or what the node keeps. Raises NoConfigurationKept and what is wrong."""
    from kerege.node.conf.verifying import folder_trust, kept_trust
    from kerege.node.config import NodeConfig

    if configuration is not None:
        return folder_trust(configuration)
    if not isinstance(config, NodeConfig):
        raise click.UsageError(
            "Name a node's file (kerege node --config FILE ...) or an unpacked configuration (--configuration FOLDER)."
        )
    return kept_trust(config)


def _tell(said: dict[str, object]) -> None:
    click.echo(json.dumps(said, ensure_ascii=False, indent=2))
