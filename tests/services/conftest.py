"""A small country in memory: the four agencies' own messages, made from a generated world's registers, behind an `ExchangeClient`.

Raw answers are the agencies' bytes. Canonical answers are those bytes put through the country pack's real mappings, with the crosswalk of
education's areas taken from the world's truth: what is tested here is deciding, not suggesting crosswalks.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import orjson
import pytest
from lxml import etree

import kerege
from kerege.demo.world import Dirt, World, generate
from kerege.ground.errors import KeregeError
from kerege.reconcile.link import Entry
from kerege.semantics.crosswalks.sssom import Crosswalk, Policy, Row, read_sssom, write_sssom
from kerege.semantics.mappings.translate import Translation
from kerege.semantics.pack import Pack, load_pack
from kerege.services.admission import read_application
from kerege.services.evidence import Answer, Call
from kerege.services.node_client import CANONICAL, read_answer

SOATE = Path(__file__).parents[2] / ".." / "shared" / "data" / "kg" / "soate.csv"
AT = datetime(2026, 6, 1, tzinfo=UTC)
Plain = dict[str, Any]
COUNTRY = Path(kerege.__file__).parent / "country" / "kg"
Translate = Callable[[str, bytes, str], Translation]


def pack_for(world: World, overlay: Path) -> Pack:
    """The country pack, with the crosswalk of education's areas as a perfect steward would have made it."""
    overlay.mkdir(parents=True, exist_ok=True)
    rows = tuple(Row(area.code, area.soate) for area in world.education_areas if area.soate)
    crosswalk = Crosswalk(
        "kg:education-area--soate", rows, "kg:education-area", "kg:soate", Policy("null-and-flag"), license="none"
    )
    (overlay / "areas.sssom.tsv").write_bytes(write_sssom(crosswalk, "kga", "soate"))
    shipped = country_pack()
    laid = read_sssom(overlay / "areas.sssom.tsv")
    crosswalks = shipped.crosswalks | {laid.id: shipped.crosswalks[laid.id].merged(laid)}
    return Pack(shipped.folder, shipped.codelists, crosswalks, shipped.mappings, shipped.gazetteer, shipped.concepts)


@lru_cache(maxsize=1)
def country_pack() -> Pack:
    """The country pack as it ships, read once for all worlds."""
    return load_pack(COUNTRY, data_dir=SOATE.parent)


def reader(pack: Pack) -> Callable[[Mapping[str, str | None]], Entry]:
    """Reads a form by the pack's own mapping, as the hub does."""
    return read_application(pack.mapper("kg:application"))


@lru_cache(maxsize=8)
def make_world(
    seed: int, dirt_key: tuple[tuple[str, float], ...] = (), persons: int = 2500, applications: int = 120
) -> World:
    """A world; `dirt_key` overlays the shipped dirt: ("pin_missing", 0.6) for every register, ("case:twins", 0.2) for a case,
    ("*", 3.0) multiplies every rate of dirt in what is written (kept to 1); lost records leave nothing to decide on and stay as shipped."""
    from kerege.demo.world import load_dirt

    dirt = load_dirt()
    rates, cases = dict(dirt.rates), dict(dirt.cases)
    for key, value in dirt_key:
        for kind, agency in rates:
            if key == "*" and kind != "record_missing":
                rates[(kind, agency)] = min(1.0, rates[(kind, agency)] * value)
            elif key in {kind, f"{kind}@{agency}"}:
                rates[(kind, agency)] = value
        if key.startswith("case:"):
            cases[key.removeprefix("case:")] = value
    return generate(
        seed, Dirt(rates=rates, cases=cases, source="test"), soate_csv=SOATE, persons=persons, applications=applications
    )


@dataclass
class MemoryCountry:
    """The agencies behind one client. `broken` registers do not answer; `corrupt` may change a row before it is written."""

    world: World
    translate: Translate
    broken: frozenset[str] = frozenset()
    corrupt: Callable[[str, Plain], Plain] = lambda table, row: row
    calls: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: dict[str, list[Plain]] = {}
        for table, records in self.world.registers.items():
            self._tables[table] = [self.corrupt(table, dict(record.row)) for record in records]
        self._index: dict[tuple[str, str], dict[str, list[Plain]]] = {}
        self._cache: dict[tuple[object, ...], Answer] = {}

    def _find(self, table: str, column: str, value: str) -> list[Plain]:
        key = (table, column)
        if key not in self._index:
            index: dict[str, list[Plain]] = defaultdict(list)
            for row in self._tables[table]:
                index[str(row[column])].append(row)
            self._index[key] = index
        return self._index[key].get(value, [])

    def send(self, call: Call) -> Answer:
        register = call.data_service.split("/")[3]
        with self._lock:
            self.calls[f"{call.data_service.split('/', 3)[3]}/{call.path if register == 'emis' else ''}"] += 1
        if register in self.broken:
            return Answer(503, AT, "m", fault="status_503")
        key = (call.data_service, call.path, call.query, call.body, call.canonical, call.sources)
        if key not in self._cache:
            self._cache[key] = self._answer(register, call)
        return replace(self._cache[key], message_id=f"m-{call.issue}")

    def _answer(self, register: str, call: Call) -> Answer:
        status, mapping, body, content_type = getattr(self, register)(call)
        if not call.canonical or status != 200:
            return Answer(status, AT, body=body, content_type=content_type)
        try:
            done = self.translate(mapping, body, content_type)
        except KeregeError as error:
            return Answer(500, AT, fault=error.code)
        message: dict[str, Any] = {
            "records": done.records,
            "problems": done.problems,
            "withheld": done.withheld,
            "mapping": {"id": done.mapping_id, "version": done.mapping_version},
            "original": {"sha256": done.original_sha256, "content_type": content_type, "message_id": "m"},
        }
        if call.sources:
            message["sources"] = done.sources
        return read_answer(200, {"content-type": CANONICAL}, orjson.dumps(message), "m", canonical=True)

    def civil(self, call: Call) -> tuple[int, str, bytes, str]:
        root = etree.fromstring(call.body or b"")
        (cell,) = next(root.iter("{urn:kg:zags:v2}ListBirths"))
        name, value = etree.QName(cell).localname, cell.text or ""
        columns = {"ParentPin": ("MatPin", "OtPin"), "ChildPin": ("Pin",), "BirthDate": ("DataRozhd",)}[name]
        rows = [row for column in columns for row in self._find("civil.births", column, value)]
        body = "".join(
            "<z:Birth>" + "".join(f"<z:{k}>{escape(str(v))}</z:{k}>" for k, v in row.items()) + "</z:Birth>"
            for row in rows
        )
        xml = (
            '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
            f'<z:ListBirthsResponse xmlns:z="urn:kg:zags:v2">{body}</z:ListBirthsResponse></soap:Body></soap:Envelope>'
        )
        return 200, "kg:civil.birth-record", xml.encode(), "text/xml; charset=utf-8"

    def population(self, call: Call) -> tuple[int, str, bytes, str]:
        def person(row: Plain) -> Plain:
            flat = {k: v for k, v in row.items() if k not in {"soate", "text"}}
            return flat | {"address": {"soate": row["soate"], "text": row["text"]}}

        assert (call.method, call.path, call.query) == ("POST", "search", ())
        ((column, value),) = orjson.loads(call.body or b"").items()
        items = [person(row) for row in self._find("population.persons", column, value)]
        return 200, "kg:population.person", orjson.dumps({"items": items}), "application/json"

    def emis(self, call: Call) -> tuple[int, str, bytes, str]:
        table, _, search = call.path.partition("/")
        assert (call.method, search, call.query) in {("GET", "", ()), ("POST", "search", ())}
        mapping = {
            "institution_students": "kg:education.pupil",
            "institution_places": "kg:education.places",
            "institution_catchments": "kg:education.catchment",
        }[table]
        rows = self._tables[f"education.{table}"]
        if search:
            ((column, value),) = orjson.loads(call.body or b"").items()
            rows = self._find(f"education.{table}", column, value)
        return 200, mapping, orjson.dumps({"data": rows, "total": len(rows)}), "application/json"

    def health(self, call: Call) -> tuple[int, str, bytes, str]:
        rows = self._tables["health.certificates"]
        head = "N_SPR;FIO;DATA_R;POL;OBLAST;PIN;DATA_VYD;STATUS"
        lines = [head, *(";".join(str(row[c] or "") for c in head.split(";")) for row in rows), f"#ROWS;{len(rows)}"]
        return 200, "kg:health.vaccination", ("\ufeff" + "\n".join(lines) + "\n").encode(), "text/csv; charset=utf-8"


@pytest.fixture(scope="session")
def soate_file() -> Path:
    if not SOATE.exists():
        pytest.skip("not there: ../shared/data/kg/soate.csv")
    return SOATE


@pytest.fixture(scope="session")
def small_country() -> Any:
    """This module's tools, for tests that cannot import it."""
    import types

    return types.SimpleNamespace(make_world=make_world, pack_for=pack_for, reader=reader, MemoryCountry=MemoryCountry)
