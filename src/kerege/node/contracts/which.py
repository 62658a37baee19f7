"""Contracts on the wire: which one an answer is under, whether every value of it fits, and how often which field did not.

A contract (`exchange.rules.WireContract`, in the signed configuration) names a mapping, whose pipelines say what is required, which codes and
formats are agreed, and may hold a JSON Schema, compiled once. Breaches are counted by field and kind: both are words of the contract, never
values of an answer, and names of fields are taken from the schema and not from the answer, whose keys may be identifiers of
persons. A data contract's own rules (`check`) are asked of the canonical records, by the engine that asks them of tables too. What is done
about a breach on either side of the exchange is `contracting`'s.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import jsonschema_rs
import orjson

from kerege.exchange.bodies import Body, body_bytes, body_size
from kerege.exchange.ids import DataServiceId
from kerege.exchange.rules import Rules, WireContract
from kerege.ground.errors import KeregeError
from kerege.node.contracts.translate import Translated, WireTranslation

_LOG: Final = logging.getLogger("kerege.node.contracts")
_IN_A_THREAD: Final = 16 * 1024  # two milliseconds or so
_LARGE: Final = 1024 * 1024
LARGEST: Final = 32 * 1024 * 1024  # of an answer that is looked into; parsed it is several times that
_AT_ONCE: Final = 2  # large answers looked into at the same time: the others have threads left
_MOST_SCHEMAS: Final = 1000  # compiled and kept
_MOST_ERRORS: Final = 10_000  # of one answer; the answer is broken enough
WHOLE: Final = "(answer)"  # the field of a breach that is about no single one
MORE: Final = "more"
# said of a value that fits the contract: the mapping had to assume something
NOTES: Final = frozenset({"name_unsure"})

Breach = tuple[str, str]  # field, kind


@dataclass(frozen=True, slots=True)
class Examined:
    """What one look into an answer gave. `unchecked` says why it could not be looked into; `problem` why it cannot be translated.

    aside   the canonical records with breaches, by their place in `done.records`
    whole   whether there are breaches besides that are of no record that could be set aside
    soft    breaches of rules that only inform or warn: counted, and nothing else
    """

    breaches: Mapping[Breach, int] = field(default_factory=dict)
    done: Translated | None = None
    problem: KeregeError | None = None
    unchecked: str | None = None
    aside: frozenset[int] = frozenset()
    whole: bool = False
    soft: frozenset[Breach] = frozenset()

    @property
    def broken(self) -> dict[Breach, int]:
        """The breaches without mere notes, and without those of rules that only inform or warn."""
        return {
            breach: count
            for breach, count in self.breaches.items()
            if breach[1] not in NOTES and breach not in self.soft
        }

    @property
    def kept(self) -> Translated | None:
        """What was translated without the records set aside, which stand among the withheld."""
        return self.done if self.done is None or not self.aside else _Kept(self.done, self.aside)

    @property
    def total(self) -> int:
        return sum(self.broken.values())

    def summary(self, most: int = 20) -> str:
        """`field kind n` of the worst, for faults and headers: words of the contract and counts."""
        worst = sorted(self.broken.items(), key=lambda item: (-item[1], item[0]))
        told = ", ".join(f"{_printable(name)} {kind} {count}" for (name, kind), count in worst[:most])
        return told + (f" and {len(worst) - most} more" if len(worst) > most else "")


class _Kept:
    """A translation without some of its records; their places in the payload are among the withheld."""

    def __init__(self, done: Translated, aside: frozenset[int]) -> None:
        places = list(getattr(done, "places", range(len(done.records))))
        stays = [n for n in range(len(done.records)) if n not in aside]
        self.records = [done.records[n] for n in stays]
        self.sources = [done.sources[n] for n in stays]
        self.problems = done.problems
        mine = [{"record": places[n], "verdict": "quarantined"} for n in sorted(aside)]
        self.withheld = sorted([*done.withheld, *mine], key=lambda one: int(one["record"]))
        self.mapping_id, self.mapping_version = done.mapping_id, done.mapping_version


def _printable(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name[:100])


class Contracts:
    """One per node. `translation` gives the one in use now; `count` is told of every look."""

    def __init__(
        self,
        translation: Callable[[], WireTranslation],
        count: Callable[[WireContract, Examined], None] = lambda *_: None,
    ) -> None:
        self._translation, self._count = translation, count
        self._validators: dict[str, jsonschema_rs.Validator | str] = {}
        self._checkers: dict[tuple[str, int], Any] = {}
        self._large = asyncio.Semaphore(_AT_ONCE)

    def find(self, service: DataServiceId, method: str, path: str, rules: Rules) -> WireContract | None:
        """The contract that answers to this call are under, or None."""
        return self._translation().contract_for(service, path, method, rules)

    def none_for(self, service: DataServiceId, rules: Rules) -> bool:
        """Whether no call of this service is under a contract, whatever its path; cheap, where `find` looks at each path."""
        return self._translation().none_for(service, rules)

    async def examine(self, contract: WireContract, body: Body, content_type: str) -> Examined:
        """Every value held against the contract, and counted. Never raises for what the answer holds."""
        size = body_size(body)
        if size > LARGEST:
            examined = Examined(unchecked=f"it has {size} bytes, at most {LARGEST} are looked into")
        elif size > _LARGE:
            async with self._large:
                examined = await asyncio.to_thread(lambda: self.look(contract, body_bytes(body), content_type))
        elif size > _IN_A_THREAD:
            examined = await asyncio.to_thread(lambda: self.look(contract, body_bytes(body), content_type))
        else:
            examined = self.look(contract, body_bytes(body), content_type)
        self._count(contract, examined)
        return examined

    def unseen(self, contract: WireContract, reason: str) -> Examined:
        """An answer that cannot be looked into, counted as such."""
        examined = Examined(unchecked=reason)
        self._count(contract, examined)
        return examined

    def look(self, contract: WireContract, payload: bytes, content_type: str) -> Examined:
        """Schema, then mapping; in whatever thread."""
        breaches: Counter[Breach] = Counter()
        done, problem, unchecked = None, None, None
        if contract.schema:
            unchecked = self._by_schema(contract.schema, payload, breaches)
        if contract.mapping:
            try:
                done = self._translation().translate(contract.mapping, payload, content_type)
            except KeregeError as found:
                problem = found
                if found.code.startswith("semantics.payload_"):
                    breaches += _of_payload(found)
                else:
                    unchecked = f"{found.text} [{found.code}]"
            except Exception as found:  # noqa: BLE001 - a bug in a mapping must not look like the agency's breach
                _LOG.error(
                    "mapping %s failed with %s", contract.mapping, type(found).__name__
                )  # not its text: no values
                unchecked = f"the mapping failed ({type(found).__name__})"
            else:
                whole = bool(breaches)
                breaches += _of_problems(done.problems)
                seen = Examined(dict(breaches), done, None, unchecked, _places(done), whole)
                return self._by_check(contract.check, seen) if contract.check else seen
        return Examined(dict(breaches), done, problem, unchecked, whole=bool(breaches))

    def _by_check(self, text: str, found: Examined) -> Examined:
        """The data contract's own rules over the canonical records."""
        translation = self._translation()
        key = (text, translation.generation)
        checker = self._checkers.get(key)
        if checker is None:
            if len(self._checkers) >= _MOST_SCHEMAS:
                self._checkers.clear()
            try:
                engine = importlib.import_module("kerege.semantics.contracts.wire")
                checker = engine.checker_of(text, translation.codes)
            except KeregeError as problem:
                checker = f"its data contract cannot be used ({problem.text})"
            self._checkers[key] = checker
        if isinstance(checker, str):
            return replace(found, unchecked=found.unchecked or checker)
        assert found.done is not None
        try:
            told = checker.check_all(found.done.records)
        except Exception as bug:  # noqa: BLE001 - a bug in the rules must not look like the agency's breach, nor stop the answer
            _LOG.error("a data contract of %s failed with %s", found.done.mapping_id, type(bug).__name__)  # no values
            return replace(found, unchecked=found.unchecked or f"its data contract failed ({type(bug).__name__})")
        every = [b for breaches in told.broken.values() for b in breaches]
        hard = {place for place, breaches in told.broken.items() if any(b.severity == "error" for b in breaches)}
        soft = frozenset((b.field, b.rule) for b in every if b.severity != "error")
        breaches = Counter(found.breaches) + told.counts
        return replace(found, breaches=dict(breaches), aside=found.aside | hard, soft=soft)

    def _by_schema(self, text: str, payload: bytes, breaches: Counter[Breach]) -> str | None:
        validator = self._validators.get(text)
        if validator is None:
            if len(self._validators) >= _MOST_SCHEMAS:  # of configurations long gone
                self._validators.clear()
            validator = self._validators[text] = compiled(text)
        if isinstance(validator, str):
            return validator
        try:
            document = orjson.loads(payload)
        except orjson.JSONDecodeError:
            breaches[WHOLE, "not_json"] += 1
            return None
        if not validator.is_valid(document):
            for number, error in enumerate(validator.iter_errors(document)):
                if number >= _MOST_ERRORS:
                    breaches[WHOLE, MORE] += 1
                    break
                breaches[field_of(error)] += 1
        return None


def compiled(text: str) -> jsonschema_rs.Validator | str:
    """The validator of a schema, or what is wrong with the schema. Nothing is fetched; patterns take time linear in the text."""

    def nowhere(_: str) -> Any:
        raise ValueError("a schema of the configuration refers to nothing outside itself")

    try:
        return jsonschema_rs.validator_for(
            orjson.loads(text), pattern_options=jsonschema_rs.RegexOptions(), retriever=nowhere, validate_formats=True
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, TypeError) as problem:
        return f"its JSON Schema cannot be used ({str(problem).splitlines()[0][:200]})"


_NAMED: Final = frozenset({"properties", "dependentRequired", "dependentSchemas", "dependencies"})
_SKIPPED_WITH_NEXT: Final = frozenset({"$defs", "definitions"})
_ANY_NAME: Final = frozenset({"additionalProperties", "unevaluatedProperties", "propertyNames"})
_LISTS: Final = frozenset({"items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"})


def field_of(error: jsonschema_rs.ValidationError) -> Breach:
    """Where in the schema an error stands, as `items[].gender`, and which of its words was not kept to."""
    steps: Sequence[Any] = list(error.evaluation_path)
    kind = str(steps[-1]) if steps else "false"
    names: list[str] = []
    at = 0
    while at < len(steps):
        step = steps[at]
        last = at == len(steps) - 1
        if step in _NAMED and not last:
            names.append(str(steps[at + 1]))
            at += 1
        elif step == "patternProperties" and not last:
            names.append("*")
            at += 1
        elif step in _ANY_NAME:
            names.append("*")
        elif step in _LISTS and not last:
            names.append("[]")
        elif step in _SKIPPED_WITH_NEXT:
            at += 1
        at += 1
    missing = getattr(error.kind, "property", None)
    if kind == "required" and isinstance(missing, str):  # a name the schema gives
        names.append(missing)
    return ".".join(names).replace(".[]", "[]") or WHOLE, kind


def _places(done: Translated) -> frozenset[int]:
    """Which of the canonical records have a problem that is no mere note."""
    at = {place: n for n, place in enumerate(getattr(done, "places", range(len(done.records))))}
    found = set()
    for one in map(_fields, done.problems):
        if str(one["code"]).rpartition(".")[2] not in NOTES and one.get("record") in at:
            found.add(at[one["record"]])
    return frozenset(found)


def _of_problems(problems: Any) -> Counter[Breach]:
    """A mapping's problems with values, by canonical field."""
    return Counter(
        (str(one.get("field", WHOLE)), str(one["code"]).rpartition(".")[2]) for one in map(_fields, problems)
    )


def _fields(problem: Any) -> Mapping[str, Any]:
    if isinstance(problem, Mapping):
        return problem
    return {"field": problem.field, "code": problem.code, "record": getattr(problem, "record", None)}


def _of_payload(problem: KeregeError) -> Counter[Breach]:
    """A payload that cannot be read as a whole; where agreed columns are not there, each of them."""
    cells = problem.params.get("cells")
    if isinstance(cells, tuple) and cells:
        return Counter((cell, "column_missing") for cell in cells)
    return Counter([(WHOLE, problem.code.rpartition(".")[2])])
