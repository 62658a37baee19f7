"""The country pack in memory: code lists, crosswalks, mappings and the gazetteer, read once and checked against each other.

Country facts are data in a folder (country/kg); an installation may lay its own crosswalks over the pack's: a row for the same source code
wins, and the overlay's policy with it. Nothing here touches records; `translate` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from kerege.ground.ids import digest
from kerege.semantics.codelists.codelist import CodeList, Concept
from kerege.semantics.codelists.skos import read_turtle
from kerege.semantics.codelists.tables import read_csv
from kerege.semantics.crosswalks.sssom import Crosswalk, read_sssom
from kerege.semantics.engines.emit_python import Mapper, compile_record
from kerege.semantics.errors import CodeListUnknown, CrosswalkUnknown, MappingUnknown, PackInvalid
from kerege.semantics.mappings.documents import Mapping, read_mapping
from kerege.semantics.normalise.gazetteer import Gazetteer, load_gazetteer

SOATE: Final = "kg:soate"


@dataclass(frozen=True)
class Pack:
    """What one country's registers mean. Ids are those written in mappings."""

    folder: Path
    codelists: dict[str, CodeList]
    crosswalks: dict[str, Crosswalk]
    mappings: dict[str, Mapping]
    gazetteer: Gazetteer
    concepts: dict[str, Any] = field(default_factory=dict)
    _mappers: dict[str, Mapper] = field(default_factory=dict, repr=False, compare=False)
    _versions: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def mapping(self, mapping_id: str) -> Mapping:
        """The mapping with this id; MappingUnknown lists the known ones."""
        found = self.mappings.get(mapping_id)
        if found is None:
            raise MappingUnknown(id=mapping_id, known=", ".join(sorted(self.mappings)))
        return found

    def codelist(self, list_id: str) -> CodeList:
        """The code list with this id; CodeListUnknown lists the known ones."""
        found = self.codelists.get(list_id)
        if found is None:
            raise CodeListUnknown(id=list_id, known=", ".join(sorted(self.codelists)))
        return found

    def crosswalk(self, crosswalk_id: str) -> Crosswalk:
        """The crosswalk with this id; CrosswalkUnknown lists the known ones."""
        found = self.crosswalks.get(crosswalk_id)
        if found is None:
            raise CrosswalkUnknown(id=crosswalk_id, known=", ".join(sorted(self.crosswalks)))
        return found

    def mapper(self, mapping_id: str) -> Mapper:
        """The mapping compiled for single records, compiled once."""
        found = self._mappers.get(mapping_id)
        if found is None:
            found = self._mappers[mapping_id] = compile_record(self.mapping(mapping_id), self)
        return found

    def version(self, mapping_id: str) -> str:
        """The mapping's declared version and a fingerprint of everything that decides its output: itself, its crosswalks and code lists."""
        found = self._versions.get(mapping_id)
        if found is None:
            mapping = self.mapping(mapping_id)
            tables = [
                [c, self.crosswalk(c).compiled.relation(), str(self.crosswalk(c).policy)] for c in mapping.crosswalks
            ]
            lists = [[c, [concept.notation for concept in self.codelist(c)]] for c in mapping.codelists]
            content = [mapping.fingerprint, tables, lists, len(self.gazetteer)]
            found = self._versions[mapping_id] = f"{mapping.declared_version}+{digest(content)[:12]}"
        return found

    def unmapped(self) -> dict[str, dict[str, int]]:
        """How often each crosswalk met which unmapped code since the pack was loaded; crosswalks with none are left out."""
        return {name: dict(c.unmapped) for name, c in self.crosswalks.items() if c.unmapped}


def load_pack(country_dir: Path, *, data_dir: Path | None = None, overlay: Path | None = None) -> Pack:
    """Read a country's folder; `data_dir` may hold the full `soate.csv`, `overlay` the installation's own `*.sssom.tsv`."""
    if not (country_dir / "soate-top.csv").is_file():
        raise PackInvalid(folder=country_dir.name, reason="there is no soate-top.csv")
    gazetteer = load_gazetteer(country_dir / "soate-top.csv", data_dir / "soate.csv" if data_dir is not None else None)
    codelists = {found.id: found for found in _read_codelists(country_dir / "codelists")}
    codelists[SOATE] = _soate_list(gazetteer)
    crosswalks: dict[str, Crosswalk] = {}
    for folder in (country_dir / "crosswalks", overlay):
        for path in sorted(folder.glob("*.sssom.tsv")) if folder is not None and folder.is_dir() else ():
            found = read_sssom(path)
            below = crosswalks.get(found.id)
            if below is not None and folder != overlay:
                raise PackInvalid(folder=country_dir.name, reason=f"two crosswalks have the id {found.id}")
            crosswalks[found.id] = below.merged(found) if below is not None else found
    mappings: dict[str, Mapping] = {}
    for path in sorted((country_dir / "mappings").glob("*.yaml")):
        mapping = read_mapping(path)
        if mapping.id in mappings:
            raise PackInvalid(folder=country_dir.name, reason=f"two mappings have the id {mapping.id}")
        mappings[mapping.id] = mapping
    pack = Pack(country_dir, codelists, crosswalks, mappings, gazetteer, _read_concepts(country_dir / "concepts.yaml"))
    _check(pack)
    return pack


def _read_codelists(folder: Path) -> list[CodeList]:
    found = [read_turtle(path) for path in sorted(folder.glob("*.ttl"))]
    for path in sorted(folder.glob("*.csv")):
        prefix, _, name = path.stem.partition("-")
        found.append(read_csv(path, f"{prefix}:{name}"))
    return found


def _soate_list(gazetteer: Gazetteer) -> CodeList:
    """The places as a code list, so that lookups and checks treat them as any other."""
    labels = (("ky", "name_ky"), ("ru", "name_ru"), ("en", "name_en"))
    concepts = tuple(
        Concept(
            notation=place.soate,
            labels={language: wording for language, attribute in labels if (wording := getattr(place, attribute))},
            alt_labels=tuple(("", alias) for alias in place.aliases),
            broader=place.parent,
        )
        for place in gazetteer
    )
    title = {
        "ky": "Административдик бирдиктер (СОАТЕ)",
        "ru": "Административные единицы (СОАТЕ)",
        "en": "Administrative units (SOATE)",
    }
    return CodeList(SOATE, concepts, title)


def _read_concepts(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
    return found if isinstance(found, dict) else {}


def _check(pack: Pack) -> None:
    """Every id a mapping names exists, and every default of a policy is a code of its list."""
    for mapping in pack.mappings.values():
        for crosswalk_id in mapping.crosswalks:
            if crosswalk_id not in pack.crosswalks:
                raise PackInvalid(
                    folder=pack.folder.name, reason=f"{mapping.file} uses the unknown crosswalk {crosswalk_id}"
                )
        for list_id in mapping.codelists:
            if list_id not in pack.codelists:
                raise PackInvalid(
                    folder=pack.folder.name, reason=f"{mapping.file} uses the unknown code list {list_id}"
                )
    for crosswalk in pack.crosswalks.values():
        crosswalk.require_single()
        target = pack.codelists.get(crosswalk.object_source)
        if target is None or crosswalk.object_source == SOATE:  # of SOATE, an installation may have the top levels only
            continue
        led = {rule.target for rules in crosswalk.compiled.rules.values() for rule in rules}
        used = {*led, *([crosswalk.policy.default] if crosswalk.policy.default else [])}
        unknown = sorted(code for code in used if code not in target)
        if unknown:
            reason = f"crosswalk {crosswalk.id} leads to codes that {target.id} does not have: {', '.join(unknown)}"
            raise PackInvalid(folder=pack.folder.name, reason=reason)
