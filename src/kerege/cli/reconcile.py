"""`kerege reconcile`: two registers compared as tables, persons linked, the clerks' queue, findings, and the workload before and after.

`run` and `link` need no hub: they read two files and write one. The others work on the hub's database. Who acts is given by `--person`: the
command line trusts whoever may run it on this machine. No person's value is ever printed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kerege.cli import reconcile_files as files
from kerege.cli.reading import encoding_of
from kerege.cli.reasons import names_nobody
from kerege.cli.reconcile_findings import findings, settlements
from kerege.cli.reconcile_keys import part
from kerege.cli.telling import agreed, counted
from kerege.ground import clock, settings
from kerege.ground.ids import new_id
from kerege.web.installation import open_database

if TYPE_CHECKING:
    import duckdb

    from kerege.reconcile.bulk import BulkResult
    from kerege.reconcile.fields import ComparedFields
    from kerege.reconcile.recording import Recorded

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OUT = click.Path(dir_okay=False, writable=True, path_type=Path)


_ENCODING = click.option(
    "--encoding", default="utf-8", show_default=True, help="Encoding of the two registers' CSV files."
)


@click.group()
def reconcile() -> None:
    """Compare two registers, link persons, settle what differs, measure the work."""


reconcile.add_command(findings)
reconcile.add_command(settlements)
reconcile.add_command(part)


@reconcile.command()
@click.argument("left", type=FILE)
@click.argument("right", type=FILE)
@click.option("--pair", required=True, help="The two registers, as in the list of compared fields: civil~health.")
@click.option(
    "--mappings", required=True, help="Their mappings, in that order: kg:civil.birth-record~kg:health.vaccination."
)
@click.option("--ids", required=True, help="The columns that number their records: ActNo~N_SPR.")
@click.option(
    "--links",
    type=FILE,
    help="Which records are of one person: a file with left_id and right_id (kerege reconcile link).",
)
@click.option(
    "--with-clerical",
    is_flag=True,
    help="With --links: compare the pairs too that wait for a clerk; without, accepted ones only.",
)
@click.option("--by", help="Instead of --links: columns that are equal as written, Pin~PIN.")
@click.option(
    "--truth", type=FILE, help="Where the truth is known: a file with left_id and field of what really differs."
)
@click.option("--out", type=OUT, help="Write the class of every field of every linked pair here (CSV; no values).")
@_ENCODING
@click.option(
    "--store",
    "service",
    help="Record it in the hub, for this public service: what differs is settled by the rules and told to owners, what agrees now is closed.",
)
@click.option(
    "--cases",
    type=OUT,
    help="With --store: which records the names of links in findings stand for (CSV: case, left_id, right_id), for you alone.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def run(
    left: Path, right: Path, pair: str, mappings: str, ids: str, links: Path | None, with_clerical: bool, by: str | None,
    truth: Path | None, out: Path | None, encoding: str, service: str | None, cases: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Compare two registers' files field by field, and tell the work before and after harmonising."""
    import duckdb

    from kerege.reconcile import bulk, fields, workload
    from kerege.semantics.engines import duck_words as sql

    if cases is not None and service is None:
        raise click.UsageError("--cases needs --store: only what is recorded has a name")
    (a, b), maps, numbers = files.two(pair, "--pair"), files.two(mappings, "--mappings"), files.two(ids, "--ids")
    compared = fields.of_country()
    declared = compared.pair(a, b)
    if declared is None:
        known = ", ".join(f"{p.left}~{p.right}" for p in compared.pairs)
        raise click.BadParameter(f"{a} and {b} are no pair of the list; known: {known}", param_hint="--pair")
    if (links is None) == (by is None):
        raise click.UsageError(
            "Which records are of one person? Give --links FILE (kerege reconcile link writes it), or --by COLUMN~COLUMN; one of the two."
        )
    connection, pack, joined = duckdb.connect(), files.pack(), files.two(by, "--by") if by is not None else None
    for n, (name, file) in enumerate((("left_table", left), ("right_table", right))):
        files.read(
            connection,
            name,
            file,
            (numbers[n], *joined[n : n + 1]) if joined else numbers[n : n + 1],
            encoding_of(encoding),
        )
    undecided = 0
    if links is not None:
        files.read(connection, "links", links, ("left_id", "right_id"))
        undecided = 0 if with_clerical else files.accepted_only(connection)
    elif joined is not None:
        files.join(connection, numbers, joined)
    sides = [
        bulk.TableSide(
            register,
            table,
            pack.mapping(mapping),
            pack,
            number,
            bulk.cells_of(pack.mapping(mapping), declared.fields, register),
        )
        for register, table, mapping, number in zip((a, b), ("left_table", "right_table"), maps, numbers, strict=True)
    ]
    result = bulk.compare_tables(connection, sides[0], sides[1], "links", declared, compared, into="compared")
    if truth is not None:
        files.read(connection, "truth", truth, ("left_id", "field"))
    measured = workload.of_table(connection, "compared", a, b, result.fields, "truth" if truth is not None else None)
    if out is not None:
        classes = ", ".join(sql.quoted(f"c_{name}") for name in result.fields)
        files.write(connection, f"SELECT left_id, right_id, {classes} FROM compared", out)  # noqa: S608  quoted names of the list
    elsewhere = workload.truth_elsewhere(connection, "compared", "truth") if truth is not None else None
    shared = {side.register: names for side in sides if (names := bulk.shared_cells(side.cells))}
    run_id, recorded, unseen = new_id("bulk"), None, 0
    if service is not None:
        open_database()
        from kerege.reconcile import doings, linked

        recorded = _record(connection, result, (a, b), compared, run_id, cases)
        doings.record_workload(measured, run=run_id, service=service, now=clock.now())
        unseen = linked.waiting((a, b), compared) - recorded.new - recorded.still
    if as_json:
        tallies = {name: {c: n for (f, c), n in sorted(result.tallies.items()) if f == name} for name in result.fields}
        found = {
            "run": run_id,
            "records": result.records,
            "unlinked": result.unlinked,
            "left_to_clerks": undecided,
            "classes": tallies,
        }
        if shared:
            found["shared_cells"] = shared
        if elsewhere is not None:
            found["truth_not_compared"] = elsewhere
        if recorded is not None:
            found["recorded"] = {**recorded.as_dict(), "not_compared": unseen}
        click.echo(json.dumps({**found, "workload": [m.as_dict() for m in measured]}, ensure_ascii=False))
        return
    click.echo(
        f"{counted(result.records, 'linked pair')} compared, "
        f"{counted(result.unlinked, 'link')} without {agreed(result.unlinked, 'its record', 'their records')}"
    )
    if undecided:
        click.echo(
            f"{counted(undecided, 'pair')} left out: no clerk has decided them (kerege reconcile queue; --with-clerical compares them too)"
        )
    for name in result.fields:
        told = ", ".join(f"{c} {n}" for (f, c), n in result.tallies.most_common() if f == name)
        click.echo(f"  {name:<14} {told}")
    _say_workload([("", m) for m in measured])
    for register, names in shared.items():
        click.echo(f"{register} writes {', '.join(names)} in one cell: before harmonising, the whole cell is compared")
    if elsewhere:
        click.echo(
            f"{counted(elsewhere, 'real difference')} {agreed(elsewhere, 'is', 'are')} of records that no link brought together; "
            f"{agreed(elsewhere, 'it is', 'they are')} not counted above"
        )
    if recorded is not None:
        _say_recorded(recorded, unseen)


def _record(
    connection: duckdb.DuckDBPyConnection, result: BulkResult, registers: tuple[str, str], compared: ComparedFields,
    run_id: str, cases: Path | None,
) -> Recorded:  # fmt: skip
    """Every linked pair recorded in the hub, settled and told."""
    from kerege.identity.pseudonyms import open_key
    from kerege.reconcile import desk_queries, linked, settle
    from kerege.reconcile.errors import LinkageInvalid
    from kerege.reconcile.linkage import definition as definitions
    from kerege.reconcile.recording import Course

    try:
        definition = definitions.of_country("persons")
    except LinkageInvalid:  # a country without it has no clerks' questions about persons
        definition = None
    course = Course(settle.of_country(), desk_queries.legal_bases(compared), definition)
    key = open_key(Path(settings.get("home")))
    with files.cases(cases) as named:
        return linked.record_table(
            connection, result, registers, compared, key, course, run=run_id, now=clock.now(), named=named
        )


def _say_recorded(recorded: Recorded, unseen: int) -> None:
    click.echo(
        f"recorded: {counted(recorded.new, 'new discrepancy')}, {recorded.still} still there, {recorded.closed} closed by this run; "
        f"{counted(recorded.told, 'finding')} sent (kerege reconcile findings), "
        f"{counted(recorded.asked, 'pair')} for the clerks (kerege reconcile queue)"
    )
    for rule, number in recorded.rules.most_common():
        click.echo(f"  {number:>7} settled by {rule}" if rule != "none" else f"  {number:>7} settled by no rule")
    if unseen:
        click.echo(
            f"{counted(unseen, 'discrepancy')} of these registers {agreed(unseen, 'waits', 'wait')} whose records this run did not compare"
        )


@reconcile.command()
@click.argument("left")
@click.argument("right")
@click.option("--definition", default="persons", show_default=True, help="A linkage definition of the country pack.")
@click.option("--mappings", help="Map both files first, with these mappings; without, they have canonical columns.")
@click.option("--ids", help="The columns that number their records.")
@click.option(
    "--model", "model_file", type=OUT, help="Use this trained model, or keep the one trained now here (with --train)."
)
@click.option(
    "--train", is_flag=True, help="Train on the two, without labels; of files without --model this is done anyway."
)
@_ENCODING
@click.option("--out", type=OUT, help="Where the pairs go: left_id, right_id, weight, probability, region (CSV).")
@click.option(
    "--desk",
    is_flag=True,
    help="LEFT and RIGHT are registers of reconcile/registers.yaml: place their persons, and ask the clerks about what is unsure.",
)
@click.option(
    "--member",
    help="With --desk: the subsystem in whose name the records are read; it stands in the trace that the persons see.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def link(
    left: str, right: str, definition: str, mappings: str | None, ids: str | None, model_file: Path | None, train: bool,
    encoding: str, out: Path | None, desk: bool, member: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Find the records of one person in two files or registers: the sure ones, and those a clerk should look at."""
    if desk:
        if out is not None or ids is not None or mappings is not None:
            raise click.UsageError("with --desk the registers' own list tells files, mappings and numbers")
        if member is None:
            raise click.UsageError(
                "--desk needs --member: for which subsystem the records are read is told to the persons"
            )
        from kerege.cli.reconcile_placing import place

        place(left, right, definition, model_file, train, member, as_json)
        return
    if out is None or ids is None:
        raise click.UsageError(
            "Give --ids LEFT~RIGHT (the columns that number the records) and --out FILE, or --desk for registers of the hub."
        )
    both = (_file(left, "LEFT"), _file(right, "RIGHT"))
    _link_files(
        both, definition, mappings, files.two(ids, "--ids"), model_file, train, encoding_of(encoding), out, as_json
    )


def _link_files(
    both: tuple[Path, Path], definition: str, mappings: str | None, numbers: tuple[str, str], model_file: Path | None,
    train: bool, encoding: str, out: Path, as_json: bool,
) -> None:  # fmt: skip
    import duckdb

    from kerege.reconcile.linkage import definition as definitions
    from kerege.reconcile.linkage import model as models
    from kerege.reconcile.linkage.bulk import Linkage, Side

    declared = definitions.of_country(definition)
    connection = duckdb.connect()
    maps = files.two(mappings, "--mappings") if mappings else (None, None)
    sides = []
    for name, file, number, mapping in zip(("left_table", "right_table"), both, numbers, maps, strict=True):
        files.read(connection, name, file, (number,), encoding)
        relation = files.mapped(connection, name, number, mapping, declared.fields) if mapping else name
        sides.append(Side(relation, number if not mapping else "id"))
    linkage = Linkage(connection, declared, sides[0], sides[1])
    if model_file is not None and not train:
        linkage.use(models.load(model_file, declared))
    else:
        trained = linkage.train(clock.iso(clock.now()))
        if model_file is not None:
            trained.save(model_file)
    scored = linkage.score("pairs")
    files.write(
        connection,
        "SELECT left_id, right_id, round(weight, 3) AS weight, round(probability, 6) AS probability, region FROM pairs",
        out,
    )
    linkage.close()
    found = {"pairs": scored.pairs, "accepted": scored.accepted, "clerical": scored.clerical, "rivals": scored.rivals}
    if as_json:
        click.echo(json.dumps(found))
    else:
        click.echo(
            f"{counted(scored.accepted, 'pair')} accepted, {scored.clerical} for a clerk "
            f"({scored.rivals} {agreed(scored.rivals, 'has', 'have')} a rival); written to {out}"
        )


def _file(text: str, name: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise click.BadParameter(f"the file {text} is not there", param_hint=name)
    return path


@reconcile.command()
@click.option(
    "--standing",
    type=click.Choice(["open", "awaiting_second", "disputed", "same", "different", "cannot_tell"]),
    help="Only these.",
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def queue(standing: str | None, limit: int, as_json: bool) -> None:
    """Pairs of records that wait for a clerk, nearest to even odds first; with how the weight came about."""
    open_database()
    from kerege.reconcile import desk_queries

    rows = desk_queries.desk_queue(standing=standing, limit=limit)
    if as_json:
        told = [
            {"task": r.task_id, "definition": r.definition, "registers": [r.left_register, r.right_register], "weight": r.weight,
             "probability": r.probability, "why": r.why, "standing": r.standing, "waterfall": r.waterfall}
            for r in rows
        ]  # fmt: skip
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    for row in rows:
        weight = "-" if row.weight is None else f"{row.weight:.1f} bits"
        click.echo(f"{row.task_id}  {row.left_register}~{row.right_register}  {weight}  {row.standing}  {row.why}")
    click.echo(f"{counted(len(rows), 'task')}")


@reconcile.command()
@click.argument("task")
@click.option("--verdict", required=True, type=click.Choice(["same", "different", "cannot_tell"]), help="What you say.")
@click.option("--reason", callback=names_nobody, required=True, help="Why, in a sentence; kept for ever.")
@click.option("--person", required=True, help="Who decides, by identifier.")
def decide(task: str, verdict: str, reason: str, person: str) -> None:
    """Say of a pair of records: same, different, or cannot tell. What is settled as the same is joined with it."""
    open_database()
    from kerege.ledger.log import Ledger
    from kerege.reconcile import desk_doings

    with Ledger.open(Path(settings.get("home")) / "ledger") as ledger:
        standing = desk_doings.decide_and_join(
            task, verdict=verdict, reason=reason, by=person, ledger=ledger, now=clock.now()
        )
    click.echo(f"{task}  {standing}")


@reconcile.command()
@click.option("--run", "run_id", help="Only this run.")
@click.option("--service", help="Only this public service.")
@click.option("--fields/--whole", default=False, show_default=True, help="By field too, or whole records only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def workload(run_id: str | None, service: str | None, fields: bool, as_json: bool) -> None:
    """The work of reconciling before and after, per service and pair of registers: flagged, true, missed, not comparable."""
    open_database()
    from kerege.reconcile import desk_queries

    rows = desk_queries.workload(run_id, service, whole_only=not fields)
    if as_json:
        told = [{"run": r.run, "service": r.service, **r.measured.as_dict()} for r in rows]
        click.echo(json.dumps(told))
        return
    _say_workload([(r.service, r.measured) for r in rows])


def _say_workload(rows: list[tuple[str, Any]]) -> None:
    click.echo(f"{'':<44} {'compared':>9}  {'flagged':>19} {'true':>15} {'missed':>15} {'not comparable':>16}")
    for service, m in rows:
        name = f"{service + ' ' if service else ''}{m.left}~{m.right} {m.field or 'records'}"
        cells = [(m.before.flagged, m.after.flagged), (m.before.true, m.after.true), (m.before.missed, m.after.missed),
                 (m.before.not_comparable, m.after.not_comparable)]  # fmt: skip
        shown = ["not known" if a is None else f"{a} -> {b}" for a, b in cells]
        click.echo(f"{name:<44} {m.compared:>9}  {shown[0]:>19} {shown[1]:>15} {shown[2]:>15} {shown[3]:>16}")
