"""`kerege verify`: check a document offline, in three languages."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Final

import click
import urllib3

from kerege.credentials import StatusSource, TrustList, Verdict, status_from_texts
from kerege.credentials import verify as check
from kerege.credentials.reasons import STATES
from kerege.ground import clock, settings
from kerege.ground.text import LANGUAGES, Text

_DOCUMENT_MAX: Final = 1_000_000
_LIST_MAX: Final = 8_000_000
_LABELS: Final[dict[str, Text]] = {
    "type": Text(ky="Түрү", ru="Вид", en="Type"),
    "issuer": Text(ky="Берген", ru="Выдал", en="Issued by"),
    "issued_at": Text(ky="Берилген күнү", ru="Дата выдачи", en="Issued"),
    "expires_at": Text(ky="Мөөнөтү", ru="Действует до", en="Valid until"),
    "status_at": Text(ky="Абалынын күнү", ru="Статус на", en="Status as of"),
    "claims": Text(ky="Мазмуну", ru="Содержание", en="It says"),
}


def _moment(_: click.Context, __: click.Parameter, value: str | None) -> datetime:
    if value is None:
        return clock.now()
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter("expected an RFC 3339 time such as 2026-11-22T09:00:00+06:00") from None
    if moment.tzinfo is None:
        raise click.BadParameter("the time needs a zone, such as Z or +06:00")
    return moment


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--trust",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Trust list; default: credentials/public/trust.json in KEREGE_HOME.",
)
@click.option(
    "--status",
    multiple=True,
    help="Status list: a file or an http(s) address; may be given more than once. Default: status/*.jwt beside the trust list.",
)
@click.option("--at", callback=_moment, help="Check as of this time (RFC 3339); default: now.")
@click.option("--lang", type=click.Choice(LANGUAGES), default="en", show_default=True, help="Language of the answer.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def verify(file: str, trust: Path | None, status: tuple[str, ...], at: datetime, lang: str, as_json: bool) -> None:
    """Check a document: FILE (or - for standard input) holds the text of a QR code or an SD-JWT VC.

    Status 0 when it is valid, 1 when it is revoked, unknown or refused.
    """
    with click.open_file(file, "rb") as stream:
        document = stream.read(_DOCUMENT_MAX + 1)
    if len(document) > _DOCUMENT_MAX:
        raise click.ClickException(f"{file}: larger than any document ({_DOCUMENT_MAX} bytes).")
    if document.startswith((b"\x89PNG", b"\xff\xd8\xff", b"%PDF")):
        raise click.ClickException(
            f"{file}: a picture. Scan its QR code first and give the text that the scanner reads."
        )
    list_at = trust or Path(settings.get("home")) / "credentials" / "public" / "trust.json"
    known = TrustList.load(list_at)
    verdict = check(document, known, _source(status or _beside(list_at)), at)
    if as_json:
        click.echo(json.dumps(verdict.as_dict(), ensure_ascii=False))
    else:
        click.echo("\n".join(_lines(verdict, lang)))
    sys.exit(0 if verdict.state == "valid" else 1)


def _beside(trust: Path) -> tuple[str, ...]:
    """The status lists an installation publishes with its trust list."""
    return tuple(str(file) for file in sorted((trust.parent / "status").glob("*.jwt")))


def _source(places: tuple[str, ...]) -> StatusSource | None:
    return status_from_texts([_read(place) for place in places]) if places else None


def _read(place: str) -> str:
    if not place.startswith(("http://", "https://")):
        try:
            raw = Path(place).read_bytes()
        except OSError as error:
            raise click.ClickException(f"{place}: the status list cannot be read ({error.strerror}).") from error
    else:
        try:
            answer = urllib3.request("GET", place, timeout=10, retries=1, preload_content=False)
            raw = answer.read(_LIST_MAX + 1)
        except urllib3.exceptions.HTTPError as error:
            raise click.ClickException(
                f"{place}: the status list cannot be fetched ({type(error).__name__})."
            ) from error
        if answer.status != 200:
            raise click.ClickException(f"{place}: the status list cannot be fetched (status {answer.status}).")
    return raw[:_LIST_MAX].decode("utf-8", "replace")


def _lines(verdict: Verdict, lang: str) -> list[str]:
    lines = [STATES[verdict.state].in_(lang).upper(), *(f"  {text.in_(lang)}" for text in verdict.texts)]
    name = "" if verdict.issuer_name is None else verdict.issuer_name.in_(lang)
    facts = {
        "type": verdict.type or "",
        "issuer": f"{name} ({verdict.issuer})" if verdict.issuer else "",
        "issued_at": _day(verdict.issued_at),
        "expires_at": _day(verdict.expires_at),
        "status_at": _day(verdict.status_at),
    }
    width = max(len(label.in_(lang)) for label in _LABELS.values())
    lines += [f"{_LABELS[key].in_(lang):<{width}}  {value}" for key, value in facts.items() if value]
    if verdict.claims:
        lines.append(_LABELS["claims"].in_(lang))
        for name, value in verdict.claims.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            lines.append(f"  {name}: {_printable(text)}")
    return lines


def _day(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(clock.BISHKEK).strftime("%d.%m.%Y %H:%M (Asia/Bishkek)")


def _printable(text: str) -> str:
    """Without control characters, which could rewrite what the terminal shows above."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
