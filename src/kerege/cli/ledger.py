"""`kerege ledger`: audit a ledger folder and prove that a record is in it. Reads only."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import click

from kerege.cli.telling import counted
from kerege.ledger import Audit, Ledger, VerifierKey, audit

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def ledger() -> None:
    """Check the append-only ledger: audit a folder, prove a record."""


@ledger.command()
@click.argument("folder", type=_FOLDER)
@click.option("--key", help="The log's verifier key, <name>+<id>+<base64>; checks the checkpoints' signatures too.")
@click.option(
    "--also",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A checkpoint kept elsewhere (a witness's); may be given more than once.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def verify(folder: Path, key: str | None, also: tuple[Path, ...], as_json: bool) -> None:
    """Recompute everything in FOLDER.

    Status 0 when it is sound up to a signed head, 1 when anything was changed, cut off, rewritten or rolled back, 3 when nothing is
    wrong but no signed head says how long it was.
    """
    verifier = None if key is None else VerifierKey.parse(key)
    found = audit(folder, verifier, [path.read_text(encoding="utf-8") for path in also])
    if as_json:
        rows = {
            name: [{"code": f.code, "index": f.index, "text": f.text} for f in some]
            for name, some in (("findings", found.findings), ("notices", found.notices))
        }
        facts = {
            "sound": found.sound and found.head is not None,
            "head": found.head,
            "size": found.size,
            "root": base64.b64encode(found.root).decode(),
            "checkpoints": found.checkpoints,
            "signatures_checked": found.signatures_checked,
            "first_bad": found.first_bad,
        }
        click.echo(json.dumps(facts | rows))
    else:
        click.echo(f"{counted(found.size, 'record')}, root {base64.b64encode(found.root).decode()}")
        if not found.signatures_checked:
            signed = "compared with the tree; give --key to check their signatures"
        elif found.sound:
            signed = "signed by the log and agree with the tree"
        else:
            signed = "readable and signed by the log"
        click.echo(f"{counted(found.checkpoints, 'checkpoint')}, {signed}")
        for mark, some in (("wrong ", found.findings), ("notice", found.notices)):
            for finding in some:
                at = "folder" if finding.index is None else f"record {finding.index}"
                click.echo(f"{mark}   {finding.code}  {at}: {finding.text}")
        click.echo(_conclusion(found))
    if not found.sound or found.head is None:
        sys.exit(1 if not found.sound else 3)


def _conclusion(found: Audit) -> str:
    """The last line: no more than was established."""
    if not found.sound:
        bad = "" if found.first_bad is None else f" First bad record: {found.first_bad}."
        return f"The ledger is not sound.{bad}"
    if found.head is None:
        return "The records agree with their hashes; no signed head: a cut at the end cannot be seen."
    if not found.signatures_checked:
        return f"The ledger is sound up to record {found.head}, if that head is the log's own: give --key to know."
    past = found.size - found.head
    if past:
        return f"The ledger is sound up to its newest signed head; of the {counted(past, 'record')} after it a cut cannot be seen."
    return "The ledger is sound."


@ledger.command()
@click.argument("folder", type=_FOLDER)
@click.argument("index", type=int)
@click.option(
    "--size", type=int, help="Prove it in the tree of this size (a checkpoint's); default: the tree as it is."
)
def prove(folder: Path, index: int, size: int | None) -> None:
    """The record number INDEX with the proof that it is in the tree, as JSON anyone can check."""
    with Ledger.open(folder) as log:
        entry = log.entry(index)
        asked = log.size if size is None else size
        proof = log.inclusion(index, asked)
        root = log.root(asked)
    click.echo(
        json.dumps(
            {
                "index": index,
                "size": asked,
                "root": base64.b64encode(root).decode(),
                "leaf_hash": base64.b64encode(entry.leaf_hash).decode(),
                "proof": [base64.b64encode(item).decode() for item in proof],
                "record": {"at": entry.at, "body": dict(entry.body), "kind": entry.kind},
            },
            ensure_ascii=False,
            indent=2,
        )
    )
