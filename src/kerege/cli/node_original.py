"""`kerege node original`: what an agency's system really answered, for an auditor."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.argument("message_id")
@click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), help="Where to write the bytes.")
@click.pass_obj
def original(config: object, message_id: str, folder: Path | None) -> None:
    """What an agency's system answered where something else was signed, by the X-Road message id.

    The SHA-256 shown stands in the signed answer, whose container is GET /asic's or `kerege node asic`'s.
    """
    import orjson

    from kerege.node.assembly import read_log_key
    from kerege.node.config import NodeConfig
    from kerege.node.contracts.originals import find
    from kerege.node.keys.files import write_private

    assert isinstance(config, NodeConfig)
    found = find(config.log, config.state, read_log_key(config.log), message_id)
    for number, one in enumerate(found, 1):
        record = one.record
        about = {
            "time": record.time.isoformat(),
            "client": str(record.client),
            "service": str(record.service),
            "request_id": record.request_id,
            **one.head,
            "kept": one.body is not None,
        }
        click.echo(orjson.dumps(about, option=orjson.OPT_INDENT_2).decode())
        if folder is not None and one.body is not None:
            path = folder / f"original-{number}-{one.head['sha256'][:16]}.bin"
            write_private(path, one.body)
            click.echo(str(path))
    if not found:
        click.echo("no original with this message id", err=True)
        sys.exit(1)
