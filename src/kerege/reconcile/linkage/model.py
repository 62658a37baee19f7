"""A trained linkage model as a value: for each comparison and level, how often it is seen among matches (m) and among strangers (u).

Written to and read from JSON, so that a pair can be weighed and explained long after the tables it was learnt on are gone, and without
Splink (`weights`). `frequencies` holds only values seen at least `splinking.RARE` times: common names, nobody's own; still the file stays
in the installation's home folder and never goes into the catalogue.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerege.reconcile.errors import ModelInvalid
from kerege.reconcile.linkage.definition import LinkageDefinition


@dataclass(frozen=True, slots=True)
class TrainedLevel:
    """One level: its label (`exact`, `jaro_winkler:0.9`, `else`), m and u. A level never seen in training has none and weighs nothing."""

    label: str
    m: float | None
    u: float | None

    def __post_init__(self) -> None:
        for value in (self.m, self.u):
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{self.label}: m and u are probabilities, got {value}")

    @property
    def weight(self) -> float:
        """log2(m / u): bits for (positive) or against (negative) the two records being of one person."""
        if not self.m or not self.u:
            return 0.0
        return math.log2(self.m / self.u)


@dataclass(frozen=True, slots=True)
class Model:
    """What training gave. `prior`: the chance that two records drawn at random are of one person."""

    definition: str
    version: str
    prior: float
    levels: Mapping[str, tuple[TrainedLevel, ...]]
    frequencies: Mapping[str, Mapping[str, float]]
    least_frequency: float
    rows: tuple[int, int]
    trained_at: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.prior < 1:
            raise ValueError(f"the prior should lie between 0 and 1, got {self.prior}")

    @property
    def prior_weight(self) -> float:
        return math.log2(self.prior / (1 - self.prior))

    def fits(self, definition: LinkageDefinition) -> bool:
        """Whether it was trained for exactly these comparisons and levels."""
        wanted = {c.name: [*(level.label for level in c.levels), "else"] for c in definition.comparisons}
        return self.definition == definition.id and self.version == definition.version and wanted == {
            name: [level.label for level in levels] for name, levels in self.levels.items()
        }  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        return {
            "definition": self.definition, "version": self.version, "prior": self.prior, "rows": list(self.rows),
            "trained_at": self.trained_at, "least_frequency": self.least_frequency,
            "levels": {name: [[o.label, o.m, o.u] for o in levels] for name, levels in self.levels.items()},
            "frequencies": {name: dict(sorted(table.items())) for name, table in self.frequencies.items()},
        }  # fmt: skip

    def save(self, path: Path) -> None:
        """To `path`, whole or not at all, open to its owner alone."""
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".new")
        aside.touch(mode=0o600, exist_ok=True)
        aside.chmod(0o600)
        aside.write_text(json.dumps(self.as_dict(), ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")
        aside.replace(path)


def load(path: Path, definition: LinkageDefinition) -> Model:
    """Read a model and hold it against the definition it is to be used with. Raises ModelInvalid."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        model = Model(
            str(raw["definition"]), str(raw["version"]), float(raw["prior"]),
            {str(n): tuple(TrainedLevel(str(a), b, c) for a, b, c in levels) for n, levels in raw["levels"].items()},
            {str(n): {str(v): float(f) for v, f in t.items()} for n, t in raw["frequencies"].items()},
            float(raw["least_frequency"]), (int(raw["rows"][0]), int(raw["rows"][1])), str(raw.get("trained_at", "")),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelInvalid(
            file=path.name, definition=definition.id, reason=f"it cannot be read ({type(error).__name__})"
        ) from error
    if not model.fits(definition):
        reason = f"it was trained for {model.definition} {model.version}, or other comparisons"
        raise ModelInvalid(file=path.name, definition=f"{definition.id} {definition.version}", reason=reason)
    return model
