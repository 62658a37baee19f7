"""`kerege crosswalk`: suggest, review, check and keep crosswalks between two code lists.

The crosswalk is an SSSOM file; what was suggested and what was decided on it is also kept in the catalogue, as truth for later measuring, unless
`--no-keep` says that no database is to be opened.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from kerege.cli.reading import open_table, policy_of, reading_options
from kerege.cli.reasons import names_nobody
from kerege.cli.telling import agreed, counted

_KEEP = click.option("--keep/--no-keep", default=True, help="Keep what is said in the catalogue, for measuring later.")

_NEW_CODE = click.option(
    "--new-code", is_flag=True, help="CODE is meant although no row, list or decision names it yet."
)


@click.group()
def crosswalk() -> None:
    """Suggest, review and write crosswalks between two code lists (SSSOM TSV)."""


@crosswalk.command("suggest")
@click.argument("source")
@click.argument("target")
@click.option("--code", required=True, help="Column of SOURCE that holds the code.")
@click.option("--label", default="", help="Column of SOURCE that holds its label.")
@click.option("--parent", default="", help="Column of SOURCE that holds the parent's code.")
@click.option("--kind", default="", help="Column of SOURCE that says what the code is (district, village, ...).")
@click.option("--to-code", required=True, help="Column of TARGET that holds the code.")
@click.option("--to-label", default="", help="Column of TARGET that holds its label.")
@click.option("--to-also", multiple=True, help="Further label columns of TARGET (other languages, long names).")
@click.option("--to-parent", default="", help="Column of TARGET that holds the parent's code.")
@click.option("--to-kind", default="", help="Column of TARGET that says what the code is.")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="New SSSOM TSV file.")
@click.option("--id", "crosswalk_id", default="", help="Identifier of the crosswalk; default: the file's name.")
@click.option("--merge-labels", is_flag=True, help="One code with two labels names one thing (two languages).")
@click.option("--policy", default="quarantine", show_default=True, help="What happens to an unmapped code.")
@click.option(
    "--links",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV of linked records: a source code and a target code per line, with a header.",
)
@_KEEP
@reading_options
def crosswalk_suggest(
    source: str, target: str, code: str, label: str, parent: str, kind: str, to_code: str, to_label: str, to_also: tuple[str, ...],
    to_parent: str, to_kind: str, out: Path, crosswalk_id: str, merge_labels: bool, policy: str, links: Path | None, keep: bool,
    **raw: Any,
) -> None:  # fmt: skip
    """Suggest a crosswalk from SOURCE's codes to TARGET's and write it; what is not sure stays open in it."""
    from kerege.catalogue.codes import crosswalks
    from kerege.semantics.suggest.codes import suggest_codes
    from kerege.semantics.suggest.evidence import as_suggestions, candidate_sets

    left, left_table = open_table(source, raw)
    right, right_table = open_table(target, raw)
    own = crosswalks.code_rows(
        left.name, left_table, code, label=label, parent=parent, kind=kind, merge_labels=merge_labels
    )
    theirs = crosswalks.code_rows(
        right.name,
        right_table,
        to_code,
        label=to_label,
        parent=to_parent,
        kind=to_kind,
        also=to_also,
        merge_labels=merge_labels,
    )
    sets = candidate_sets(suggest_codes(own, theirs), crosswalks.induced_from(links) if links is not None else ())
    name, wanted = crosswalk_id or out.name.removesuffix(".tsv").removesuffix(".sssom"), policy_of(policy)
    if keep:
        sets = _not_denied(name, sets)
    suggestions = as_suggestions(sets)
    made = crosswalks.crosswalk_from(
        name, own, theirs, suggestions, policy=wanted, subject_source=left.name, object_source=right.name
    )
    crosswalks.write(made, out)
    if keep:
        _keep_suggestions(made.id, sets, {r.code: r.label for r in own}, {r.code: r.label for r in theirs})
    queue = crosswalks.open_codes(made)
    alone = sum(all(row.object is None for row in rows) for rows in queue.values())
    click.echo(f"{len(made.rows) - sum(map(len, queue.values())):6} accepted")
    click.echo(f"{len(queue):6} open" + (f" ({alone} with nothing alike)" if alone else ""))
    click.echo(f"Written: {out}." + (f" See the open ones with: kerege crosswalk open {out}" if queue else ""))


@crosswalk.command("open")
@click.argument("file", type=click.Path(path_type=Path))
def crosswalkopen_table(file: Path) -> None:
    """Show the codes nobody settled yet, with their candidates."""
    from kerege.catalogue.codes import crosswalks

    queue = crosswalks.open_codes(crosswalks.read(file))
    for code, rows in queue.items():
        click.echo(f"{code}  {rows[0].subject_label}  ({rows[0].comment.removeprefix('open: ')})")
        for row in rows:
            if row.object is not None:
                click.echo(f"    {row.confidence or 0:.2f}  {row.object}  {row.object_label}")
    click.echo(f"{len(queue)} open.")


@crosswalk.command("accept")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("code")
@click.argument("target")
@click.option("--by", required=True, help="Post or unit that decides.")
@_NEW_CODE
@click.option("--new-target", is_flag=True, help="TARGET is meant although no row, list or decision names it yet.")
@click.option("--reason", callback=names_nobody, default="", help="Why; needed to overturn what somebody else decided.")
@_KEEP
def crosswalk_accept(
    file: Path, code: str, target: str, by: str, new_code: bool, new_target: bool, reason: str, keep: bool
) -> None:
    """Say that CODE means TARGET."""
    from kerege.catalogue.codes import crosswalks

    walk = crosswalks.read(file)
    known = _known(walk, code, target, keep)
    changed = crosswalks.accept(walk, code, target, by, known=known, new_code=new_code, new_target=new_target)
    if keep:
        _keep_decision(walk.id, code, "accepted", by, target, reason)
    crosswalks.write(changed, file, replace_file=True)
    click.echo(f"{code} -> {target}, said by {by}.")


@crosswalk.command("refuse")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("code")
@click.argument("target", required=False)
@click.option("--by", required=True, help="Post or unit that decides.")
@_NEW_CODE
@click.option("--reason", callback=names_nobody, default="", help="Why; needed to overturn what somebody else decided.")
@_KEEP
def crosswalk_refuse(
    file: Path, code: str, target: str | None, by: str, new_code: bool, reason: str, keep: bool
) -> None:
    """Say that CODE does not mean TARGET; without TARGET, that it has no counterpart."""
    from kerege.catalogue.codes import crosswalks

    walk = crosswalks.read(file)
    changed = crosswalks.refuse(walk, code, target, by, known=_known(walk, code, "", keep), new_code=new_code)
    if keep:
        _keep_decision(walk.id, code, "refused" if target else "no-counterpart", by, target or "", reason)
    crosswalks.write(changed, file, replace_file=True)
    click.echo(f"{code} is not {target}, said by {by}." if target else f"{code} has no counterpart, said by {by}.")


def _known(walk: Any, code: str, target: str, keep: bool) -> Any:
    """What is known of a code or target that the file does not name: nothing is looked up for those it does."""
    from kerege.catalogue.codes.crosswalks import Known, known_of_lists
    from kerege.cli.reconcile_files import pack

    if any(r.subject == code for r in walk.rows) and (not target or any(r.object == target for r in walk.rows)):
        return Known()
    lists = known_of_lists(walk, pack())
    if not keep:
        return lists
    from kerege.web.installation import open_database

    open_database()
    from kerege.catalogue.codes.remembered import of_log

    kept = of_log(walk.id)
    return Known(lists.codes | kept.codes, lists.targets | kept.targets)


def _not_denied(crosswalk_id: str, sets: Any) -> Any:
    from kerege.web.installation import open_database

    open_database()
    from kerege.catalogue.codes.decisions import not_denied

    return not_denied(crosswalk_id, sets)


def _keep_suggestions(crosswalk_id: str, sets: Any, labels: dict[str, str], targets: dict[str, str]) -> None:
    from kerege.ground import clock
    from kerege.web.installation import open_database

    open_database()
    from kerege.catalogue.codes.decisions import keep_suggestions, new_run

    keep_suggestions(crosswalk_id, new_run(), sets, labels, targets, clock.now())


def _keep_decision(crosswalk_id: str, code: str, verdict: str, by: str, target: str, reason: str) -> None:
    from kerege.ground import clock
    from kerege.web.installation import open_database

    open_database()
    from kerege.catalogue.codes.deciding import decide

    decide(crosswalk_id, code, verdict, by, clock.now(), target=target, reason=reason)


@crosswalk.command("check")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def crosswalk_check(files: tuple[Path, ...], as_json: bool) -> None:
    """Check crosswalk files: codes mapped twice on one date, conditions that overlap, cardinalities declared wrongly.

    Ends with status 1 when a crosswalk has an error.
    """
    from kerege.catalogue.codes import crosswalks

    checked = [(file, walk := crosswalks.read(file), walk.check()) for file in files]
    if as_json:
        told = [
            {"file": str(f), "id": w.id, "rows": len(w.rows), "findings": [x.as_dict() for x in found]}
            for f, w, found in checked
        ]
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        for _, walk, found in checked:
            kinds = "plain" if walk.compiled.plain else "dated" if walk.compiled.dated else "with conditions"
            click.echo(f"{walk.id}: {counted(len(walk.rows), 'row')} ({kinds}), {counted(len(found), 'finding')}")
            for finding in found:
                click.echo(f"  {finding.severity:<8} {finding.code:<18} {finding.notation}: {finding.message}")
    if any(f.severity == "error" for _, _, found in checked for f in found):
        raise SystemExit(1)


@crosswalk.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--by", required=True, help="Post or unit that imports.")
def crosswalk_import(file: Path, by: str) -> None:
    """Keep FILE as a version of its crosswalk in the catalogue; the unmapped codes it answers are settled when it is published."""
    from kerege.catalogue.codes import crosswalks
    from kerege.ground import clock
    from kerege.web.installation import open_database

    walk = crosswalks.read(file)
    open_database()
    from kerege.catalogue.codes.unmapped import answered
    from kerege.catalogue.codes.versions import UNVERSIONED, import_crosswalk

    new = import_crosswalk(walk, by, clock.now(), origin=file.name)
    click.echo(
        f"{walk.id}: {counted(len(walk.rows), 'row')}, {'kept' if new else 'was there already, nothing written'}."
    )
    if codes := answered(walk):
        click.echo(
            f"{counted(len(codes), 'unmapped code')} {agreed(len(codes), 'is', 'are')} answered by it, and settled when it is published."
        )
    if new:
        click.echo(
            f"Publish it with: kerege lifecycle act submit crosswalk {walk.id} {walk.version or UNVERSIONED} --by NAME --reason WHY"
        )


@crosswalk.command("unmapped")
@click.argument("crosswalk_id", metavar="[CROSSWALK]", default="")
@click.option("--settled", is_flag=True, help="Also those that a row took care of since.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def crosswalk_unmapped(crosswalk_id: str, settled: bool, as_json: bool) -> None:
    """Codes that no row knew, with how many records carried them, where, since when, and whose they are."""
    from kerege.web.installation import open_database

    open_database()
    from kerege.catalogue.codes.unmapped import unmapped

    found = unmapped(crosswalk_id, settled=settled)
    if as_json:
        click.echo(json.dumps([v.as_dict() for v in found], ensure_ascii=False, indent=2))
        return
    for v in found:
        owner = v.owner or "nobody owns it"
        click.echo(f"{v.records:>9}  {v.code:<20} {v.crosswalk}  {v.place}  since {v.first_seen:%Y-%m-%d}  ({owner})")
    click.echo(f"{counted(len(found), 'code')} without a counterpart.")


@crosswalk.command("decisions")
@click.argument("crosswalk_id", metavar="[CROSSWALK]", default="")
@click.option("--measure", "measured", is_flag=True, help="How good the suggestions were, held against the decisions.")
@click.option("--waiting", is_flag=True, help="Suggestions nobody decided yet, instead.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def crosswalk_decisions(crosswalk_id: str, measured: bool, waiting: bool, as_json: bool) -> None:
    """What stewards decided on suggested codes, newest first; every decision is kept."""
    from dataclasses import asdict

    from kerege.web.installation import open_database

    open_database()
    from kerege.catalogue.codes import decisions

    if measured:
        result = decisions.measure(crosswalk_id)
        click.echo(json.dumps(result.as_dict()) if as_json else _measured(result))
        return
    if waiting:
        queue = decisions.waiting(crosswalk_id)
        if as_json:
            click.echo(json.dumps([asdict(w) for w in queue], ensure_ascii=False, indent=2, default=str))
            return
        for w in queue:
            click.echo(f"{w.crosswalk}  {w.code}  {w.label}  ({w.said}: {w.reason})")
            for c in w.candidates:
                click.echo(
                    f"    {c['rank']}. {c['score']:.2f}  {c['target']}  {c['label']}  {_evidence(c['evidence'])}"
                )
        click.echo(f"{len(queue)} waiting.")
        return
    found = decisions.decisions(crosswalk_id)
    if as_json:
        click.echo(json.dumps([v.as_dict() for v in found], ensure_ascii=False, indent=2))
        return
    for v in found[:200]:
        stood = f"was {v.rank}." if v.rank else "was not suggested" if v.target else ""
        click.echo(
            f"{v.at:%Y-%m-%d %H:%M}  {v.crosswalk}  {v.code} {v.verdict} {v.target}  {stood}  by {v.by}  {v.reason}".rstrip()
        )
    click.echo(f"{counted(len(found), 'decision')}.")


def _evidence(found: dict[str, Any]) -> str:
    parts = [f"label {found['label']:.2f}"] if "label" in found else []
    if "links" in found:
        parts.append(f"{counted(found['links']['records'], 'linked record')}, {found['links']['share']:.0%}")
    return f"[{', '.join(parts)}]" if parts else ""


def _measured(result: Any) -> str:
    def share(value: float | None) -> str:
        return "nothing to measure" if value is None else f"{value:.1%}"

    return (
        f"{counted(result.codes, 'code')} decided, {result.with_target} of them with a target\n"
        f"right first          {share(result.hit1)}\n"
        f"right within five    {share(result.hit5)}\n"
        f"accepted by itself   {result.accepted_alone}, of these wrong: {result.wrong} ({share(result.wrong_rate)})"
    )
