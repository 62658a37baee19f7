"""Two tables linked as wholes: Splink 5 on DuckDB, trained without labels, the same result every time.

    run = Linkage(connection, definition, Side("civil", "id"), Side("health", "id"))
    model = run.train()            # or: run.use(model)
    result = run.score("links")    # a table: left_id, right_id, weight, probability, region, rival

Pairs meet by the definition's blocking rules only. `region` is accept, clerical or reject by its thresholds; with `one_to_one` a record keeps
its best pair, and a pair that has a *rival* (another pair of either record that is not rejected, less than `MARGIN` bits lighter) is never
accepted by itself: a clerk looks, because namesakes weigh the same. Nothing is downloaded and nothing is sent. Clusters are not made
here: who a record belongs to is `reconcile.incremental`'s, which never moves what is known.
Beyond one machine: docs/linkage-at-scale.md.
"""

# ruff: noqa: S608  every name that goes into SQL here is quoted by `semantics.engines.duck_words` or checked by the definition

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kerege.ground.text import filled
from kerege.reconcile.bulk import what_failed
from kerege.reconcile.errors import LinkageTableInvalid, TrainingImpossible
from kerege.reconcile.linkage import splinking
from kerege.reconcile.linkage.definition import LinkageDefinition
from kerege.reconcile.linkage.model import Model, TrainedLevel
from kerege.semantics.engines import duck_words as sql

if TYPE_CHECKING:
    import duckdb

MARGIN: Final = 6.0  # bits: a rival must be 64 times less likely before names alone decide
LEAST: Final = 100  # records on each side, below which nothing is learnt that would hold
_RUNS: itertools.count[int] = itertools.count(1)
_LOGGERS: Final = ("splink", "splink.internals")


@dataclass(frozen=True, slots=True)
class Side:
    """A table or view with canonical fields as columns, and the column that numbers its records."""

    relation: str
    id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Scored:
    """What scoring left behind: the table's name and how many pairs are in which region."""

    table: str
    pairs: int
    accepted: int
    clerical: int
    rivals: int


@dataclass
class Linkage:
    """One linkage of two tables. The connection is the caller's; what is made in it is named apart and dropped by `close`."""

    connection: duckdb.DuckDBPyConnection
    definition: LinkageDefinition
    left: Side
    right: Side
    model: Model | None = None
    _linker: Any = None
    _rows: tuple[int, int] = (0, 0)
    _made: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._prefix = f"kerege_link_{next(_RUNS)}"
        self._names = [self._take(side, n) for n, side in enumerate((self.left, self.right))]

    def train(self, trained_at: str = "") -> Model:
        """Learn the weights from the two tables without labels. Raises TrainingImpossible where they hold too little to learn from."""
        definition, plan = self.definition, self.definition.training
        if min(self._rows) < LEAST:
            told = {"left": self._rows[0], "right": self._rows[1], "reason": f"fewer than {LEAST} on a side"}
            raise TrainingImpossible(definition=definition.id, **told)
        linker = self._open(None)
        rules = [splinking.rule_of(rule) for rule in plan.prior_rules]
        with _quiet(), self._one_thread():
            try:
                linker.training.estimate_probability_two_random_records_match(rules, recall=plan.prior_recall)
                linker.training.estimate_u_using_random_sampling(max_pairs=plan.random_pairs, seed=plan.seed)
                rules_met = [rule for rule in plan.rules if self._meets(rule)]
                if len(rules_met) < len(plan.rules):
                    rules_met += [rule for rule in plan.otherwise if self._meets(rule)]
                if not rules_met:
                    raise ValueError("no training rule")
                for rule in rules_met:
                    linker.training.estimate_parameters_using_expectation_maximisation(
                        splinking.rule_of(rule), max_pairs=plan.em_pairs
                    )
                self.model = self._read_model(linker, trained_at)
            except (ValueError, ZeroDivisionError, KeyError, TypeError, _splink_error()) as error:
                reason = f"{type(error).__name__}: no pairs agree on a training rule, or a field is always empty"
                raise TrainingImpossible(
                    definition=definition.id, left=self._rows[0], right=self._rows[1], reason=reason
                ) from None  # Splink's messages quote statements
        return self.model

    def use(self, model: Model) -> None:
        """Score with a model that was trained before."""
        self.model = model
        self._open(model)

    def score(self, into: str, *, explain: bool = False) -> Scored:
        """Weigh every pair that meets and is not rejected, into the table `into` (replaced whole at the end)."""
        if self._linker is None or self.model is None:
            raise RuntimeError("train, or use a model, before scoring")
        if explain and not self._explains():
            self._open(self.model, explain=True)
        limits = self.definition.thresholds
        with _quiet():
            found = self._linker.inference.predict(threshold_match_probability=max(limits.reject, 1e-9))
        extra = ", p.* EXCLUDE (match_weight, match_probability, unique_id_l, unique_id_r)" if explain else ""
        pairs = (
            f"SELECT p.unique_id_l AS left_id, p.unique_id_r AS right_id, p.match_weight AS weight, "
            f"p.match_probability AS probability{extra} FROM {sql.identifier(found.physical_name)} AS p"
        )
        # the next best pair of either record, ties among them: first by weight, then by number, so that one order is everybody's
        query = f"""
            WITH pairs AS ({pairs}),
            best AS (SELECT *,
                row_number() OVER l AS place_left, row_number() OVER r AS place_right,
                lead(weight) OVER l AS next_left, lead(weight) OVER r AS next_right
                FROM pairs WINDOW l AS (PARTITION BY left_id ORDER BY weight DESC, right_id),
                                  r AS (PARTITION BY right_id ORDER BY weight DESC, left_id)),
            kept AS (SELECT * EXCLUDE (place_left, place_right, next_left, next_right),
                coalesce(greatest(coalesce(next_left, -1e9), coalesce(next_right, -1e9)) > weight - {MARGIN}, false) AS rival
                FROM best {"WHERE place_left = 1 AND place_right = 1" if self.definition.one_to_one else ""})
            SELECT *, CASE WHEN probability >= {limits.accept} AND NOT {"rival" if self.definition.one_to_one else "false"}
                THEN 'accept' ELSE 'clerical' END AS region
            FROM kept ORDER BY left_id, right_id"""
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {sql.identifier(into)} AS {query}")
        counted = self.connection.execute(
            f"SELECT count(*), count(*) FILTER (region = 'accept'), count(*) FILTER (region = 'clerical'), "
            f"count(*) FILTER (rival) FROM {sql.identifier(into)}"
        ).fetchone()
        assert counted is not None
        return Scored(into, *map(int, counted))

    def close(self) -> None:
        """Drop what this run made in the connection; the scored table stays."""
        if self._linker is not None:
            with _quiet():
                self._linker.table_management.delete_tables_created_by_splink_from_db()
        for name in self._made:
            self.connection.execute(f"DROP TABLE IF EXISTS {sql.identifier(name)}")
        self._made.clear()
        self._linker = None

    # --- inside -------------------------------------------------------------------------------------------------------------------

    def _take(self, side: Side, number: int) -> str:
        """The side's records as Splink wants them: `unique_id` and the fields looked at; blank is null."""
        import duckdb as engine

        name = f"{self._prefix}_{'lr'[number]}"
        columns = [f"CAST({sql.quoted(side.id)} AS VARCHAR) AS {splinking.UNIQUE}"]
        columns += [_blank_is_null(f) for f in self.definition.fields]
        try:
            query = f"CREATE TEMP TABLE {sql.identifier(name)} AS SELECT {', '.join(columns)} FROM {sql.identifier(side.relation)}"
            self.connection.execute(query)
        except engine.Error as error:
            # no cause is kept: an engine's message may quote the value it failed on
            told = {"table": side.relation, "definition": self.definition.id, "reason": what_failed(error)}
            raise LinkageTableInvalid(**told) from None
        self._made.append(name)
        found = self.connection.execute(
            f"SELECT count(*), count(DISTINCT {splinking.UNIQUE}) FROM {sql.identifier(name)}"
        ).fetchone()
        assert found is not None
        if found[0] != found[1]:
            reason = filled(
                "{n} of its {all:# record} {n:has|have} no number of {n:its|their} own in {side}",
                {"n": found[0] - found[1], "all": found[0], "side": side.id},
            )
            raise LinkageTableInvalid(table=side.relation, definition=self.definition.id, reason=reason)
        self._rows = (found[0], self._rows[1]) if number == 0 else (self._rows[0], found[0])
        return name

    def _open(self, model: Model | None, *, explain: bool = False) -> Any:
        from splink import Linker
        from splink.internals.duckdb.database_api import DuckDBAPI

        with _quiet():
            api = DuckDBAPI(self.connection)
            settings = splinking.settings_of(self.definition, rows=sum(self._rows), explain=explain, model=model)
            # the names go into the hash that draws the sample: always the same, or the model would be another each time
            frames = [
                api.register(n, dataset_display_name=f"side_{side}") for n, side in zip(self._names, "lr", strict=True)
            ]
            self._linker = Linker(frames, settings, log_level=None)
        return self._linker

    def _meets(self, rule: tuple[str, ...]) -> bool:
        """Whether any pair of the two tables agrees on the rule."""
        left, right = map(sql.identifier, self._names)
        agree = " AND ".join(f"{splinking.part_sql(part, 'l')} = {splinking.part_sql(part, 'r')}" for part in rule)
        found = self.connection.execute(f"SELECT 1 FROM {left} AS l JOIN {right} AS r ON {agree} LIMIT 1").fetchone()
        return found is not None

    def _explains(self) -> bool:
        return bool(self._linker._settings_obj._retain_intermediate_calculation_columns)

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        """Random sampling is the same every time only when one thread reads the table."""
        row = self.connection.execute("SELECT current_setting('threads')").fetchone()
        self.connection.execute("SET threads = 1")
        try:
            yield
        finally:
            self.connection.execute(f"SET threads = {int(row[0]) if row else 1}")

    def _read_model(self, linker: Any, trained_at: str) -> Model:
        """The learnt numbers as our own value; frequencies above the floor only."""
        raw = linker.misc.save_model_to_json()
        least = splinking.least_frequency(sum(self._rows))
        levels, frequencies = {}, {}
        for comparison, learnt in zip(self.definition.comparisons, raw["comparisons"], strict=True):
            labels = [*(level.label for level in comparison.levels), "else"]
            seen = [one for one in learnt["comparison_levels"] if not one.get("is_null_level")]
            levels[comparison.name] = tuple(
                TrainedLevel(label, one.get("m_probability"), one.get("u_probability"))
                for label, one in zip(labels, seen, strict=True)
            )
            if comparison.frequency:
                table = linker.table_management.compute_tf_table(comparison.field).physical_name
                column = sql.quoted(comparison.field)
                rows = self.connection.execute(
                    f"SELECT {column}, {sql.quoted('tf_' + comparison.field)} FROM {sql.identifier(table)} "
                    f"WHERE {sql.quoted('tf_' + comparison.field)} >= ? ORDER BY 1",
                    [least],
                ).fetchall()
                frequencies[comparison.field] = {str(value): float(share) for value, share in rows}
        prior = float(raw["probability_two_random_records_match"])
        return Model(
            self.definition.id, self.definition.version, prior, levels, frequencies, least, self._rows, trained_at
        )


def _blank_is_null(name: str) -> str:
    text = f"CAST({sql.quoted(name)} AS VARCHAR)"
    return f"CASE WHEN {sql.blank(text)} THEN NULL ELSE {text} END AS {sql.quoted(name)}"


def _splink_error() -> type[Exception]:
    from splink.internals.exceptions import SplinkException

    return SplinkException


@contextmanager
def _quiet() -> Iterator[None]:
    """Splink tells much on its logger and by warnings; what matters of it is in the model."""
    import warnings

    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
