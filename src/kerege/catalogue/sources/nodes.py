"""An exchange node as a source: its own services as datasets, and who called what with which fields.

`node://` and the path of a node's file. Nothing is asked of the running node: its file, its monitoring records and its message log are
read as they lie, on the machine where they are. A service with a description (a file beside the node's) gives the datasets of that
description; one without gives the fields that at least `k` logged answers had. A description at an address is not fetched. Counting is
`traffic`; what may be named of an answer is `structure`; how far was counted before comes in `Reading.since`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kerege.catalogue.errors import CatalogueError, NodeUnreadable, SourceMissing
from kerege.catalogue.sources.base import Reading, Table
from kerege.catalogue.sources.cost import Cost
from kerege.catalogue.sources.described import MOST_FIELDS, Leaf, described_table
from kerege.catalogue.sources.documents import read_document, size_of
from kerege.catalogue.sources.openapi import read_openapi
from kerege.catalogue.sources.traffic import Key, Seen, Use, count_calls, look_at_answers, told
from kerege.catalogue.sources.wsdl import read_wsdl
from kerege.ground.clock import iso
from kerege.ground.errors import KeregeError
from kerege.node import config
from kerege.node.assembly import read_log_key
from kerege.node.config_types import NodeConfig, Service

_MONITORING: Final = "monitoring.sqlite"
_EVER: Final = float("-inf")


class Node:
    """One exchange node, by its file."""

    kind = "node"

    def __init__(self, path: Path, reading: Reading) -> None:
        if not path.is_file():
            raise SourceMissing(
                source=f"node://{path}", known="Name the node's own file: node:///etc/kerege/node.yaml."
            )
        self._path, self._reading = path, reading
        self.cut: set[str] = set()
        self.remarks: dict[str, str] = {}
        self.cost = Cost()
        try:
            self._config: NodeConfig = config.load(path)
        except KeregeError as error:
            raise NodeUnreadable(source=f"node://{path}", reason=f"{error.code} in its file") from error
        self.name = f"node://{self._config.server}"
        self._uses: dict[Key, Seen] | None = None
        self._tables: list[Table] | None = None
        self._of_service: dict[str, str] = {}
        self._named: dict[str, frozenset[str]] = {}

    def fingerprint(self) -> str:
        return ""  # traffic goes on; the plan compares what the services are

    def close(self) -> None:
        """Nothing is kept open."""

    def tables(self) -> list[Table]:
        if self._tables is None:
            found: list[Table] = []
            for service in self._config.services.values():
                found += self._service(service)
            self._tables = sorted(found, key=lambda t: t.name)
        for wanted in self._reading.tables:
            if wanted not in {t.name for t in self._tables}:
                known = "Datasets: " + ", ".join(t.name for t in self._tables[:20]) + "."
                raise SourceMissing(source=f"{self.name}#{wanted}", known=known)
        return [t for t in self._tables if not self._reading.tables or t.name in self._reading.tables]

    def usage(self) -> tuple[Use, ...]:
        """Calls after `Reading.since` up to `Reading.until`, with the fields of their answers."""
        self.tables()
        since, until = self._window()
        uses = self._all_uses() if since == _EVER else self._counted(since, until)
        return told(uses, self._reading.k, self._named, self._of_service)

    # --- services ---

    def _service(self, service: Service) -> list[Table]:
        name = str(service.id)
        place = service.description
        if place is not None and "://" not in place:
            found = self._described(service, self._config.file.parent / place)
            if found:
                self._named[name] = frozenset(
                    f.name for t in found for f in (t.described.fields if t.described else ())
                )
                if len(found) == 1:
                    self._of_service[name] = found[0].name
                return found
        elif place is not None:
            self.remarks[name] = "its description is at an address, which is not fetched; harvest it as a file"
        seen = self._all().get(name)
        if seen is None or not seen.fields:
            self.remarks.setdefault(name, "it has no description, and no logged answer shows its fields")
            return []
        enough = [n for n, c in sorted(seen.fields.items()) if c >= self._reading.k][:MOST_FIELDS]
        if not enough:
            self.remarks[name] = f"fewer than {self._reading.k} logged answers show its fields; they are not told"
            return []
        leaves = [Leaf(n, seen.kinds.get(n, "any"), note="seen in answers") for n in enough]
        table = described_table(name, "Fields as seen in its answers; it has no description of its own", leaves)
        self._of_service[name] = table.name
        return [table]

    def _described(self, service: Service, file: Path) -> list[Table]:
        name = str(service.id)
        remarks: dict[str, str] = {}
        try:
            self.cost.bytes += size_of(file)
            if service.kind == "wsdl":
                found = read_wsdl(file.read_bytes(), file.name, remarks)
            else:
                found = read_openapi(read_document(file), file.name, remarks)
        except OSError:
            self.remarks[name] = "its description is not where the node's file says"
            return []
        except CatalogueError as error:  # one bad description must not hide all other services
            self.remarks[name] = f"its description cannot be read: {error.text}"
            return []
        if remarks:
            self.remarks[name] = next(iter(remarks.values()))
        return [_renamed(t, f"{name} {t.name}" if len(found) > 1 or " " in t.name else name) for t in found]

    # --- traffic ---

    def _window(self) -> tuple[float, float]:
        since = datetime.fromisoformat(self._reading.since).timestamp() if self._reading.since else _EVER
        until = datetime.fromisoformat(self._reading.until) if self._reading.until else datetime.now(UTC)
        return since, until.timestamp()

    def _counted(self, since: float, until: float) -> dict[Key, Seen]:
        file = self._config.state / _MONITORING
        uses: dict[Key, Seen] = {}
        if file.is_file():
            self.cost.bytes += file.stat().st_size
            uses = count_calls(file, self.name, since, until)
        self._look(uses, since, until, count=not file.is_file())
        self.cost.rows += sum(s.calls for s in uses.values())
        return uses

    def _look(self, uses: dict[Key, Seen], since: float, until: float, *, count: bool) -> None:
        folder = self._config.log.folder
        if not folder.is_dir():
            return
        try:
            key = read_log_key(self._config.log)
        except KeregeError as error:
            raise NodeUnreadable(source=self.name, reason=f"the key of its log: {error.code}") from error
        self.cost.bytes += sum(p.stat().st_size for p in folder.glob("segment-*.log"))
        look_at_answers(uses, folder, key, self.name, since, until, count=count)

    def _all(self) -> dict[str, Seen]:
        """Per own service, the fields of all answers in the log up to `Reading.until`."""
        out: dict[str, Seen] = {}
        for (side, _, service, _), seen in self._all_uses().items():
            if side == "provider":
                one = out.setdefault(service, Seen(fields=Counter()))
                one.fields.update(seen.fields)
                one.kinds |= seen.kinds
        return out

    def _all_uses(self) -> dict[Key, Seen]:
        """Every use up to `Reading.until`: the log is read once for the fields of services and for a first count."""
        if self._uses is None:
            self._uses = self._counted(_EVER, self._window()[1])
        return self._uses


def _renamed(table: Table, name: str) -> Table:
    described = table.described
    assert described is not None
    made = described_table(name, described.description, [])
    return replace(table, name=made.name, described=replace(described, name=made.name))


def window(since: datetime | None, until: datetime) -> tuple[str, str]:
    """`Reading.since` and `.until` to count from `since` (nothing counted before: None) to `until`."""
    return iso(since) if since else "", iso(until)
