"""What passed an exchange node, counted per consumer and data service: from its monitoring records and its message log.

Monitoring records say who called what, when and whether it was answered (PR-OPMON); the log's answers say with which fields (`structure`), where
the node keeps bodies. Both are opened for reading only. Of one use at most `_LOOKED` answers are taken apart, and a field that fewer than
`k` answers have is counted and not named, unless a description names it: a rare key may be somebody's.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from kerege.catalogue.errors import NodeUnreadable
from kerege.catalogue.sources.structure import fields_of
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.rest import decode_request
from kerege.exchange.resttarget import masked_path
from kerege.ground.clock import iso
from kerege.ground.errors import KeregeError

if TYPE_CHECKING:
    from kerege.exchange.logcrypt import LogKey

_LOOKED: Final = 500  # more answers of one use show no other fields, and each is taken apart twice: for the plan, and when it is applied
_MOST_USES: Final = 50_000
_MOST_OPEN: Final = 100_000
_SIDES: Final = {"Producer": "provider", "Client": "client"}

_PARTS: Final = ("XRoadInstance", "MemberClass", "MemberCode", "SubsystemCode")

Key = tuple[str, str, str, str]  # side, consumer, service, endpoint


@dataclass(frozen=True, slots=True)
class Use:
    """One consumer's calls of one data service. `table`: the dataset of its answers, "" where none is known."""

    side: str
    consumer: str
    service: str
    endpoint: str
    calls: int
    failed: int
    first_at: datetime
    last_at: datetime
    answers: int = 0
    withheld: int = 0
    fields: tuple[tuple[str, int], ...] = ()
    table: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "side": self.side, "consumer": self.consumer, "service": self.service, "endpoint": self.endpoint,
            "calls": self.calls, "failed": self.failed, "first_at": iso(self.first_at), "last_at": iso(self.last_at),
            "answers": self.answers, "withheld": self.withheld, "fields": [list(f) for f in self.fields], "table": self.table,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Use:
        moments = {name: datetime.fromisoformat(raw[name]) for name in ("first_at", "last_at")}
        return cls(**{**raw, **moments, "fields": tuple((str(n), int(c)) for n, c in raw["fields"])})


@dataclass(slots=True)
class Seen:
    """What was counted of one use. `kinds`: field -> kind of its values."""

    calls: int = 0
    failed: int = 0
    first: float = float("inf")
    last: float = float("-inf")
    answers: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    kinds: dict[str, str] = field(default_factory=dict)

    def at(self, second: float) -> None:
        self.first, self.last = min(self.first, second), max(self.last, second)


def monitored(file: Path, source: str, since: float, until: float) -> Iterator[dict[str, Any]]:
    """Monitoring records with `since` < time <= `until`, without the node's help and without touching its file."""
    try:
        database = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
        try:
            rows = database.execute(
                "SELECT lines FROM blocks WHERE last > ? AND first <= ? ORDER BY first, id", (since, until)
            )
            for (packed,) in rows:
                for line in zlib.decompress(packed).splitlines():
                    record = orjson.loads(line)
                    if since < record["monitoringDataTs"] <= until:
                        yield record
        finally:
            database.close()
    except (sqlite3.Error, zlib.error, ValueError, KeyError) as error:
        raise NodeUnreadable(source=source, reason="its monitoring records are damaged or in use") from error


def count_calls(file: Path, source: str, since: float, until: float) -> dict[Key, Seen]:
    """Calls per use, from the monitoring records."""
    uses: dict[Key, Seen] = {}
    for record in monitored(file, source, since, until):
        side = _SIDES.get(record.get("securityServerType", ""))
        if side is None or "serviceCode" not in record or "clientMemberCode" not in record:
            continue  # a message that could not be read names nobody
        instance, kind, code, subsystem = (record.get(f"client{n}") for n in _PARTS)
        client = ClientId(str(instance), str(kind), str(code), subsystem)
        instance, kind, code, subsystem = (record.get(f"service{n}") for n in _PARTS)
        name, version = str(record["serviceCode"]), record.get("serviceVersion")
        service = DataServiceId(str(instance), str(kind), str(code), subsystem, name, version)
        seen = _of(uses, (side, str(client), str(service), endpoint(record.get("restMethod"), record.get("restPath"))))
        seen.calls += 1
        seen.failed += not record.get("succeeded")
        seen.at(record["monitoringDataTs"])
    return uses


def endpoint(method: str | None, path: str | None) -> str:
    """Method and path as monitoring has them: what may name someone is `*` in it."""
    return f"{method or ''} {path or ''}".strip()


def look_at_answers(
    uses: dict[Key, Seen], folder: Path, key: LogKey | None, source: str, since: float, until: float, *, count: bool
) -> None:
    """Add the fields of answers in the log to `uses`; with `count`, the calls too (where there are no monitoring records)."""
    from kerege.exchange import messagelog  # brings along what checks signatures, and most sources are no nodes

    waiting: dict[str, str] = {}  # request identifier and side -> endpoint
    try:
        for _, _, record in messagelog.read(folder, key):
            second = record.time.timestamp()
            if not since < second <= until:
                continue
            asked = f"{record.side}/{record.request_id}/{record.message_id}"
            if record.direction == "request":
                if len(waiting) < _MOST_OPEN:
                    waiting[asked] = _endpoint_of(record.message, record.kind, record.side)
                continue
            where = waiting.pop(asked, None)
            if where is None:
                continue
            seen = _of(uses, (record.side, str(record.client), str(record.service), where))
            if count:
                seen.calls += 1
                seen.at(second)
            content = record.message if record.kind != "REST" and record.signed_digest is None else record.body
            if content is None or seen.answers >= _LOOKED:
                continue
            found = fields_of(content)
            if found is None:
                continue
            seen.answers += 1
            seen.fields.update(found.keys())
            seen.kinds |= found
            seen.at(second)
    except (KeregeError, OSError) as error:
        raise NodeUnreadable(source=source, reason=f"its message log: {type(error).__name__}") from error


def _endpoint_of(message: bytes, kind: str, side: str) -> str:
    if kind != "REST":
        return ""
    try:
        request = decode_request(message)
    except (KeregeError, ValueError):
        return ""
    return endpoint(request.verb, masked_path(request.path) if side == "provider" else None)


def _of(uses: dict[Key, Seen], key: Key) -> Seen:
    found = uses.get(key)
    if found is None:
        if len(uses) >= _MOST_USES:
            key = (key[0], "(others)", key[2], "")
        found = uses.setdefault(key, Seen())
    return found


def told(uses: dict[Key, Seen], k: int, named: dict[str, frozenset[str]], tables: dict[str, str]) -> tuple[Use, ...]:
    """What may be told. `named`: service -> fields its description names; `tables`: service -> dataset of its answers."""
    out = []
    for (side, consumer, service, where), seen in sorted(uses.items()):
        if seen.last < seen.first:
            continue
        known = named.get(service, frozenset())
        fields = tuple(
            sorted(((n, c) for n, c in seen.fields.items() if c >= k or n in known), key=lambda f: (-f[1], f[0]))
        )
        moments = (datetime.fromtimestamp(m, UTC).replace(microsecond=0) for m in (seen.first, seen.last))
        first, last = moments
        out.append(
            Use(
                side, consumer, service, where, seen.calls, seen.failed, first, last, seen.answers,
                len(seen.fields) - len(fields), fields, tables.get(f"{service} {where}", tables.get(service, "")),
            )
        )  # fmt: skip
    return tuple(out)
