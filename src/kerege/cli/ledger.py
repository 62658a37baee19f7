"""`kerege ledger`: audit a ledger folder and prove that a record is in it. Reads only."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import click

from kerege.ledger import Ledger, VerifierKey, audit

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
    """Recompute everything in FOLDER; status 1 when anything was changed, cut off, rewritten or rolled back."""
    verifier = None if key is None else VerifierKey.parse(key)
    found = audit(folder, verifier, [path.read_text(encoding="utf-8") for path in also])
    if as_json:
        rows = {
            name: [{"code": f.code, "index": f.index, "text": f.text} for f in some]
            for name, some in (("findings", found.findings), ("notices", found.notices))
        }
        facts = {
            "sound": found.sound,
            "size": found.size,
            "root": base64.b64encode(found.root).decode(),
            "checkpoints": found.checkpoints,
            "signatures_checked": found.signatures_checked,
            "first_bad": found.first_bad,
        }
        click.echo(json.dumps(facts | rows))
    else:
        click.echo(f"{found.size} records, root {base64.b64encode(found.root).decode()}")
        if not found.signatures_checked:
            signed = "compared with the tree; give --key to check their signatures"
        elif found.sound:
            signed = "signed by the log and agree with the tree"
        else:
            signed = "readable and signed by the log"
        click.echo(f"{found.checkpoints} checkpoints, {signed}")
        for mark, some in (("wrong ", found.findings), ("notice", found.notices)):
            for finding in some:
                at = "folder" if finding.index is None else f"record {finding.index}"
                click.echo(f"{mark}   {finding.code}  {at}: {finding.text}")
        bad = "" if found.first_bad is None else f" First bad record: {found.first_bad}."
        click.echo("The ledger is sound." if found.sound else f"The ledger is not sound.{bad}")
    if not found.sound:
        sys.exit(1)


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
