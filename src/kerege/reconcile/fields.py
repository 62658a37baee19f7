"""Which fields are compared between which registers: the country's list, loaded and checked whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import kerege
from kerege.ground import settings
from kerege.ground.text import Text
from kerege.reconcile.errors import FieldsInvalid


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A compared field: its name, the canonical field that carries its meaning, the register that is its source of truth.

    `father`: where the key is empty, a father's name (Бакыт уулу) in this field, or alone in that canonical field, is compared instead.
    `keys`: registers whose mapping carries the meaning under another canonical name.
    """

    name: str
    key: str
    owner: str
    titles: Text
    father: str | None = None
    concept: str = ""  # the catalogue's concept, by which the source of truth's legal basis is found
    keys: Mapping[str, str] = field(default_factory=dict, hash=False)

    def key_of(self, register: str) -> str:
        """The canonical field that carries the meaning in a record of `register`."""
        return self.keys.get(register, self.key)


@dataclass(frozen=True, slots=True)
class Pair:
    left: str
    right: str
    fields: tuple[FieldSpec, ...]


@dataclass(frozen=True, slots=True)
class RegisterSpec:
    """How a register's records tell time, by canonical fields, and which subsystem runs it.

    as_of, since   when the record was written; field -> when its value began
    subsystem      the code of the one that is meant where several have this name; "" where the name is clear by itself
    """

    as_of: str | None = None
    since: Mapping[str, str] = field(default_factory=dict)
    subsystem: str = ""


@dataclass(frozen=True, slots=True)
class ComparedFields:
    version: str
    fields: Mapping[str, FieldSpec]
    pairs: tuple[Pair, ...]
    registers: Mapping[str, RegisterSpec] = field(default_factory=dict)

    def as_of_field(self, register: str) -> str | None:
        """The canonical field that says when a record of `register` was written."""
        spec = self.registers.get(register)
        return spec.as_of if spec else None

    def since_field(self, register: str, name: str) -> str | None:
        """The canonical field that says since when `register` holds its value of the field."""
        spec = self.registers.get(register)
        return spec.since.get(name) if spec else None

    def pair(self, left: str, right: str) -> Pair | None:
        """The declared pair of two registers, in whichever order they are given."""
        return next((p for p in self.pairs if {p.left, p.right} == {left, right}), None)


def of_country(country: str | None = None) -> ComparedFields:
    """The list of the installation's country pack."""
    return load(
        Path(kerege.__file__).parent / "country" / (country or settings.get("country")) / "reconcile" / "fields.yaml"
    )


def load(path: Path) -> ComparedFields:
    """Read and check the list; raises with all its faults, or returns it whole."""
    faults: list[str] = []
    fields: dict[str, FieldSpec] = {}
    pairs: list[Pair] = []
    raw: Any = {}
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        faults.append(f"cannot be read as YAML ({type(error).__name__})")
    if not isinstance(raw, dict) or not isinstance(raw.get("fields"), dict) or not isinstance(raw.get("pairs"), list):
        faults.append("expected the keys version, fields and pairs")
        raise FieldsInvalid(file=path.name, count=len(faults), faults="; ".join(faults))
    for name, item in raw["fields"].items():
        try:
            father = str(item["father"]) if item.get("father") else None
            keys = item.get("keys") or {}
            if not isinstance(keys, dict) or not all(isinstance(k, str) and k for k in keys.values()):
                raise ValueError("keys: register -> canonical field")
            fields[str(name)] = FieldSpec(
                str(name),
                str(item["key"]),
                str(item["owner"]),
                Text.of(item["titles"]),
                father,
                str(item.get("concept") or ""),
                dict(keys),
            )
        except (KeyError, TypeError, ValueError) as error:
            faults.append(f"fields.{name}: {type(error).__name__}: key, owner and titles in ky, ru, en are needed")
    for number, item in enumerate(raw["pairs"]):
        if not isinstance(item, dict) or not isinstance(item.get("fields"), list):
            faults.append(f"pairs[{number}]: left, right and a list of fields are needed")
            continue
        unknown = [str(f) for f in item["fields"] if f not in fields]
        if unknown or not item.get("left") or not item.get("right") or not item.get("fields"):
            faults.append(
                f"pairs[{number}]: left, right and known fields are needed; unknown: {', '.join(unknown) or 'none'}"
            )
            continue
        pairs.append(Pair(str(item["left"]), str(item["right"]), tuple(fields[f] for f in item["fields"])))
    registers = _registers(raw.get("registers") or {}, fields, faults)
    if faults:
        raise FieldsInvalid(file=path.name, count=len(faults), faults="; ".join(faults))
    return ComparedFields(str(raw.get("version", "")), fields, tuple(pairs), registers)


def _registers(raw: Any, fields: Mapping[str, FieldSpec], faults: list[str]) -> dict[str, RegisterSpec]:
    """How registers tell time and who runs them; unknown keys and fields are faults."""
    found: dict[str, RegisterSpec] = {}
    for name, item in raw.items() if isinstance(raw, dict) else ():
        since = item.get("since") or {} if isinstance(item, dict) else None
        if not isinstance(since, dict) or set(item) - {"as_of", "since", "subsystem"} or set(since) - set(fields):
            faults.append(f"registers.{name}: as_of, since (known field: canonical field) and subsystem are taken")
            continue
        subsystem = str(item.get("subsystem") or "")
        if subsystem and subsystem.count("/") != 3:
            faults.append(f"registers.{name}.subsystem: INSTANCE/CLASS/MEMBER/SUBSYSTEM is needed")
            continue
        found[str(name)] = RegisterSpec(str(item["as_of"]) if item.get("as_of") else None, dict(since), subsystem)
    return found
