"""The declared dirt: which kinds there are, in whose registers, at which rates; read from one YAML file and checked.

A file overlays the shipped `demo/dirt.yaml`: what it does not name keeps its shipped rate. Unknown kinds, agencies and cases
are refused, so a slip of the pen never makes a clean world that looks dirty. Planting is done by the registers' writers
(`copies`), counting by `measure`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from kerege.demo.world.errors import DirtFileBroken, DirtKeyUnknown, DirtRateWrong

SHIPPED: Final = Path(__file__).parents[1] / "dirt.yaml"

KINDS: Final[dict[str, tuple[str, ...]]] = {
    "spelling_loss": ("civil", "population", "health", "application"),
    "latin": ("health", "application"),
    "latin_bgn": ("education",),
    "latin_sloppy": ("education",),
    "order_swapped": ("education", "health", "application"),
    "patronymic_style": ("civil", "population", "education", "health", "application"),
    "patronymic_missing": ("education", "health", "application"),
    "capitals": ("health", "application"),
    "stray_blanks": ("health", "application"),
    "stale_address": ("civil", "education", "application"),
    "address_kyrgyz": ("population", "education", "application"),
    "address_short": ("population", "education", "application"),
    "pin_missing": ("civil", "education", "health", "application"),
    "pin_mistyped": ("civil", "education", "health", "application"),
    "parent_pin_missing": ("civil",),
    "parent_pin_mistyped": ("civil",),
    "region_variant": ("civil", "health"),
    "area_kyrgyz": ("education",),
    "area_sloppy": ("education",),
    "certificate_reissued": ("health",),
    "record_missing": ("civil", "health"),
}
"""Every kind of dirt and the registers (or the application form) where it may be planted."""

CASES: Final[tuple[str, ...]] = (
    "too_young",
    "over_age",
    "six_on_the_day",
    "unvaccinated",
    "vaccination_incomplete",
    "vaccination_expired",
    "vaccination_exempt",
    "enrolled_elsewhere",
    "preparatory_year",
    "withdrawn_before",
    "stage_two",
    "out_of_catchment",
    "actual_address",
    "not_guardian",
    "namesake",
    "namesake_same_birth_date",
    "twins",
    "born_abroad",
    "over_demanded",
)
"""What may be true of an applicant's child; facts, not dirt."""


@dataclass(frozen=True, slots=True)
class Dirt:
    """Rates by (kind, agency), and the shares of cases among applicants. Complete: every kind and case has a rate."""

    rates: Mapping[tuple[str, str], float]
    cases: Mapping[str, float]
    source: str = "shipped"

    def __post_init__(self) -> None:
        expected = {(kind, agency) for kind, agencies in KINDS.items() for agency in agencies}
        if set(self.rates) != expected or set(self.cases) != set(CASES):
            raise ValueError("dirt must have a rate for every kind, agency and case, and no others")

    def rate(self, kind: str, agency: str) -> float:
        return self.rates[(kind, agency)]

    @classmethod
    def uniform(cls, rate: float, *, cases: float | None = None) -> Dirt:
        """All kinds at one rate; the shipped cases, or all of them at `cases`."""
        shipped = load_dirt()
        return cls(
            rates=dict.fromkeys(shipped.rates, rate),
            cases=shipped.cases if cases is None else dict.fromkeys(CASES, cases),
            source=f"uniform {rate}",
        )

    def as_dict(self) -> dict[str, Any]:
        """In the shape of the YAML file."""
        return {
            "version": 1,
            "dirt": {kind: {a: self.rates[(kind, a)] for a in agencies} for kind, agencies in KINDS.items()},
            "cases": dict(self.cases),
        }


def load_dirt(path: Path | None = None) -> Dirt:
    """The shipped dirt, overlaid with the file at `path` when one is given.

    Raises DirtFileBroken, DirtKeyUnknown or DirtRateWrong, naming the file and the key.
    """
    raw = _read(SHIPPED)
    rates, cases = _rates(raw, SHIPPED), _cases(raw, SHIPPED)
    if path is not None:
        own = _read(path)
        rates |= _rates(own, path)
        cases |= _cases(own, path)
    return Dirt(rates=rates, cases=cases, source=str(path or "shipped"))


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DirtFileBroken(file=path, got=type(error).__name__) from error
    if not isinstance(raw, dict):
        raise DirtFileBroken(file=path, got=type(raw).__name__)
    _known(raw, ("version", "dirt", "cases"), "the file", path)
    if raw.get("version") != 1:
        raise DirtFileBroken(file=path, got=f"version {raw.get('version')!r}")
    return raw


def _rates(raw: dict[str, Any], path: Path) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    kinds = _section(raw.get("dirt"), "dirt", path)
    _known(kinds, KINDS, "dirt", path)
    for kind, agencies in kinds.items():
        by_agency = _section(agencies, f"dirt.{kind}", path)
        _known(by_agency, KINDS[kind], f"dirt.{kind}", path)
        for agency, rate in by_agency.items():
            found[(kind, agency)] = _share(rate, f"dirt.{kind}.{agency}", path)
    return found


def _cases(raw: dict[str, Any], path: Path) -> dict[str, float]:
    cases = _section(raw.get("cases"), "cases", path)
    _known(cases, CASES, "cases", path)
    return {case: _share(rate, f"cases.{case}", path) for case, rate in cases.items()}


def _section(value: Any, key: str, path: Path) -> dict[Any, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DirtFileBroken(file=path, got=f"{type(value).__name__} under {key}")
    return value


def _known(given: Mapping[Any, Any], known: Mapping[str, Any] | tuple[str, ...], under: str, path: Path) -> None:
    for key in given:
        if key not in known:
            raise DirtKeyUnknown(file=path, key=key, under=under, known=", ".join(known))


def _share(rate: Any, key: str, path: Path) -> float:
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise DirtRateWrong(file=path, key=key, got=repr(rate))
    return float(rate)
