"""The catalogue as DCAT-AP 3.0.1: catalogue, datasets with distributions, data services, owners with contact points, legal basis.

What leaves is decided by `publication`, not here. Everything has an IRI under `https://kerege.kg/id/`, made from lasting ids and telling nothing
of the sources; where something is to be had is an address of the hub (`dcat_graph.Addresses`). People read titles and descriptions in ky, ru and
en. Entries of controlled lists are described in the export itself (`vocabulary`), so that it validates without the internet. Columns are named by
CSVW's words, because DCAT stops at the dataset. Serialised by pyoxigraph as Turtle, JSON-LD or RDF/XML; `dcat_check` holds it against the shapes.
Source: DCAT-AP 3.0.1 (SEMIC), sections on mandatory and recommended properties; DCAT 3 (W3C).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import pyoxigraph as ox
import yaml

from kerege.catalogue.codes.concepts import Concept, load_concepts
from kerege.catalogue.exports.dcat_graph import Addresses, Graph
from kerege.catalogue.exports.publication import Outgoing, outgoing
from kerege.catalogue.exports.vocabulary import (
    ADMS,
    AUTHORITY,
    CSVW,
    DCAT,
    DCATAP,
    DCT,
    ELI,
    FOAF,
    FORMATS,
    IANA,
    PREFIXES,
    PUBLISHER_TYPE,
    RDF,
    RDFS,
    SKOS,
    SPDX,
    VCARD,
    XSD,
    authority,
    described,
    iri,
)
from kerege.catalogue.models import ReferenceVersion, ServiceUse
from kerege.catalogue.packs import pack_folder
from kerege.ground.ids import digest
from kerege.ground.text import LANGUAGES, Text, counted
from kerege.membership.models import Contract, Member
from kerege.semantics.codelists.codelist import BASE

_TYPE: Final = iri(RDF + "type")


@dataclass(frozen=True, slots=True)
class Profile:
    """How this installation's catalogue presents itself: the pack's `dcat.yaml`."""

    id: str
    title: Text
    description: Text
    publisher: Text
    languages: tuple[str, ...]
    country: str
    themes: Mapping[str, str]


def read_profile() -> Profile:
    """The pack's `dcat.yaml`; KeyError or ValueError when it lacks something, which is the pack's fault and no user's."""
    raw = yaml.load((pack_folder() / "dcat.yaml").read_text("utf-8"), Loader=yaml.CSafeLoader)
    told = raw["catalogue"]
    return Profile(
        str(told["id"]), Text.of(told["title"]), Text.of(told["description"]), Text.of(told["publisher"]["name"]),
        tuple(str(x) for x in told["languages"]), str(told["country"]), {str(k): str(v) for k, v in raw["themes"].items()},
    )  # fmt: skip


def export(
    datasets: Iterable[Outgoing] | None = None, *, modified: datetime | None = None, addresses: Addresses | None = None
) -> Graph:
    """The whole catalogue.

    datasets    what leaves, by default all that may (`publication.outgoing`)
    addresses   of the hub that shows it. Without them distributions and data services are left out (`Graph.unreachable` counts them), since
                DCAT-AP wants an address for each, and one that leads nowhere is worse than none
    """
    leaving = list(outgoing() if datasets is None else datasets)
    profile = read_profile()
    graph = Graph()
    catalogue = f"{BASE}catalogue/{profile.id}"
    _catalogue(graph, catalogue, profile)
    members = {m.code: {"ky": m.name_ky, "ru": m.name_ru, "en": m.name_en} for m in Member.objects.all()}
    writer = _Writer(graph, catalogue, profile, members, load_concepts(), addresses)
    for one in leaving:
        writer.dataset(one)
    for version in ReferenceVersion.objects.filter(withdrawn_at=None).select_related("dataset"):
        writer.reference(version)
    writer.services({one.view.id: one for one in leaving})
    newest = [one.view.harvested_at for one in leaving]
    if modified is not None or newest:
        graph.moment(catalogue, DCT + "modified", modified or max(newest))
    graph.triples += described(graph.used)
    return graph


def serialise(graph: Graph, form: str = "turtle") -> bytes:
    """The graph as Turtle, JSON-LD or RDF/XML."""
    out = ox.serialize(graph.triples, format=FORMATS[form], prefixes=PREFIXES)
    assert out is not None, "serialize() without a file answers with bytes"
    return out


def _catalogue(graph: Graph, node: str, profile: Profile) -> None:
    graph.add(node, RDF + "type", DCAT + "Catalog")
    graph.text(node, DCT + "title", profile.title)
    graph.text(node, DCT + "description", profile.description)
    publisher = f"{node}/publisher"
    graph.add(node, DCT + "publisher", publisher)
    graph.add(publisher, RDF + "type", FOAF + "Agent")
    graph.text(publisher, FOAF + "name", profile.publisher)
    for code in profile.languages:
        graph.listed(node, DCT + "language", "language", code)
    graph.listed(node, DCT + "spatial", "country", profile.country)
    taxonomy = AUTHORITY + "data-theme"
    graph.add(node, DCAT + "themeTaxonomy", taxonomy)
    if profile.themes:  # the scheme is described with its first entry
        graph.used.add(authority("data-theme", profile.themes["default"]))


@dataclass(slots=True)
class _Writer:
    graph: Graph
    catalogue: str
    profile: Profile
    members: Mapping[str, Mapping[str, str]]
    concepts: Mapping[str, Concept]
    addresses: Addresses | None

    def agent(self, code: str) -> str:
        """The organisation as an agent, described once."""
        node = f"{BASE}organisation/{quote(code) or 'unknown'}"
        if self.graph.once(node):
            self.graph.add(node, RDF + "type", FOAF + "Agent")
            names = self.members.get(code)
            self.graph.text(node, FOAF + "name", names or {"": code or "unknown"})
            kind = f"{PUBLISHER_TYPE}/NationalAuthority"
            self.graph.add(node, DCT + "type", kind)
            if self.graph.once(kind):
                self.graph.add(kind, RDF + "type", SKOS + "Concept")
                self.graph.add(kind, SKOS + "inScheme", PUBLISHER_TYPE)
                self.graph.text(kind, SKOS + "prefLabel", {"en": "National authority"})
                self.graph.add(PUBLISHER_TYPE, RDF + "type", SKOS + "ConceptScheme")
                self.graph.text(PUBLISHER_TYPE, DCT + "title", {"en": "Publisher type"})
        return node

    def contact(self, organisation: str, unit: str) -> str:
        """The post or unit that answers: a contact point without a person's name."""
        node = f"{BASE}contact/{digest([organisation, unit])[:16]}"
        if self.graph.once(node):
            self.graph.add(node, RDF + "type", VCARD + "Organization")
            self.graph.add(node, RDF + "type", VCARD + "Kind")
            self.graph.add(node, VCARD + "fn", ox.Literal(unit))
            self.graph.text(node, VCARD + "organization-name", self.members.get(organisation, {}))
        return node

    def law(self, wording: str) -> str:
        """A legal basis as it was told, described once."""
        node = f"{BASE}law/{digest(wording)[:16]}"
        if self.graph.once(node):
            self.graph.add(node, RDF + "type", ELI + "LegalResource")
            self.graph.add(node, RDFS + "label", ox.Literal(wording))
            self.graph.add(node, DCT + "title", ox.Literal(wording))
        return node

    def dataset(self, one: Outgoing) -> None:
        """A register's table with what may leave of it."""
        graph, view = self.graph, one.view
        node = f"{BASE}dataset/{one.key}"
        graph.add(self.catalogue, DCAT + "dataset", node)
        graph.add(node, RDF + "type", DCAT + "Dataset")
        graph.add(node, DCT + "identifier", ox.Literal(one.key))
        publisher = view.organisation or _owner(one)
        names = self.members.get(publisher, {})
        graph.text(node, DCT + "title", {lang: f"{view.table} ({names[lang]})" for lang in names} or {"": view.table})
        graph.text(node, DCT + "description", self._description(one, names))
        graph.add(node, DCT + "publisher", self.agent(publisher))
        for unit in sorted({(f.owner.organisation, f.owner.unit) for f in one.fields if f.owner}):
            graph.add(node, DCAT + "contactPoint", self.contact(*unit))
        for basis in sorted({f.owner.legal_basis for f in one.fields if f.owner}):
            graph.add(node, DCATAP + "applicableLegislation", self.law(basis))
        for theme in sorted({self._theme(f.concept) for f in one.fields if f.concept} or {self._theme("")}):
            graph.listed(node, DCAT + "theme", "data-theme", theme)
        graph.add(node, DCAT + "keyword", ox.Literal(view.table))
        for concept in sorted({f.concept for f in one.fields if f.concept in self.concepts}):
            graph.text(node, DCAT + "keyword", self.concepts[concept].text)
        graph.listed(node, DCT + "accessRights", "access-right", "NON_PUBLIC" if one.personal else "RESTRICTED")
        graph.moment(node, DCT + "modified", view.harvested_at)
        if one.published_at is not None:
            graph.moment(node, DCT + "issued", one.published_at)
        if self.addresses:
            graph.page(node, DCAT + "landingPage", self.addresses.dataset(view.id))
        self._provenance(node, one)
        self._columns(node, one)

    def _description(self, one: Outgoing, names: Mapping[str, str]) -> dict[str, str]:
        if one.view.description:
            return {"": one.view.description}
        kept = [self.concepts[f.concept].text for f in one.fields if f.concept in self.concepts][:12]
        begin = {"ky": "Реестрдин таблицасы", "ru": "Таблица реестра", "en": "Table of a register"}
        told = {}
        for lang in LANGUAGES:
            holder = f", {names[lang]}" if names.get(lang) else ""
            told[lang] = f"{begin[lang]} {one.view.table}{holder}" + (
                ": " + ", ".join(t.in_(lang) for t in kept) if kept else ""
            )
        return {k: f"{v}." for k, v in told.items()}

    def _theme(self, concept: str) -> str:
        return self.profile.themes.get(concept.partition(".")[0], self.profile.themes["default"])

    def _provenance(self, node: str, one: Outgoing) -> None:
        statement = f"{node}/provenance"
        self.graph.add(node, DCT + "provenance", statement)
        self.graph.add(statement, RDF + "type", DCT + "ProvenanceStatement")
        day, withheld = one.view.harvested_at.date().isoformat(), sum(one.withheld.values())
        self.graph.text(
            statement, RDFS + "label",
            {
                "ky": f"Реестрден {day} күнү окулган; {len(one.fields)} талаа көрсөтүлгөн, {withheld} көрсөтүлгөн эмес.",
                "ru": f"Прочитано из реестра {day}; показано полей: {len(one.fields)}, не показано: {withheld}.",
                "en": f"Read from the register on {day}; {counted(len(one.fields), 'field')} shown, {withheld} withheld.",
            },
        )  # fmt: skip

    def _columns(self, node: str, one: Outgoing) -> None:
        if not one.fields:
            return
        schema = f"{node}/schema"
        self.graph.add(node, DCT + "conformsTo", schema)
        self.graph.add(schema, RDF + "type", DCT + "Standard")
        self.graph.add(schema, RDF + "type", CSVW + "Schema")
        for told in one.fields:
            column = f"{schema}/{quote(told.name, safe='')}"
            self.graph.add(schema, CSVW + "column", column)
            self.graph.add(column, CSVW + "name", ox.Literal(told.name))
            if told.concept:
                self.graph.add(column, CSVW + "propertyUrl", f"{BASE}concept/{quote(told.concept)}")

    def services(self, leaving: Mapping[int, Outgoing]) -> None:
        """Data services of the exchange under contract, with the datasets they were seen to serve."""
        serves: dict[str, set[str]] = {}
        for service, dataset in ServiceUse.objects.filter(dataset__in=list(leaving)).values_list("service", "dataset"):
            if dataset is not None:
                serves.setdefault(service, set()).add(f"{BASE}dataset/{leaving[dataset].key}")
        for row in Contract.objects.select_related("provider__member").order_by("data_service", "path", "method"):
            self._service(row, serves.get(row.data_service, set()))

    def _service(self, row: Any, serves: Iterable[str]) -> None:
        graph, addresses = self.graph, self.addresses
        if addresses is None:
            graph.unreachable.add(f"data service {row.data_service}")
            return
        node = f"{BASE}data-service/{quote(row.data_service)}"
        contract = f"{BASE}contract/{digest([row.data_service, row.path, row.method])[:16]}"
        if graph.once(node):
            graph.add(self.catalogue, DCAT + "service", node)
            graph.add(node, RDF + "type", DCAT + "DataService")
            graph.add(node, DCT + "title", ox.Literal(row.data_service))
            graph.add(node, DCAT + "endpointURL", addresses.contract(row.mapping))
            graph.page(node, DCAT + "landingPage", addresses.contract(row.mapping))
            graph.add(node, DCT + "publisher", self.agent(row.provider.member.code))
            graph.listed(node, DCT + "accessRights", "access-right", "RESTRICTED")
            graph.text(
                node, DCT + "description",
                {
                    "ky": f"Маалымат алмашуу аркылуу чакырылат: /r1/{row.data_service}",
                    "ru": f"Вызывается через обмен данными: /r1/{row.data_service}",
                    "en": f"Called over the data exchange: /r1/{row.data_service}",
                },
            )  # fmt: skip
            for dataset in sorted(serves):
                graph.add(node, DCAT + "servesDataset", dataset)
        graph.add(node, DCT + "conformsTo", contract)
        graph.add(contract, RDF + "type", DCT + "Standard")
        graph.add(contract, DCT + "title", ox.Literal(f"{row.data_service} {row.method} {row.path}: {row.mapping}"))
        if row.legal_basis and graph.once(f"{node} {row.legal_basis}"):
            graph.add(node, DCATAP + "applicableLegislation", self.law(row.legal_basis))

    def reference(self, row: ReferenceVersion) -> None:
        """A published version of a reference dataset with its files."""
        graph, made = self.graph, row.dataset
        series = f"{BASE}reference/{quote(made.ref_id)}"
        node = f"{series}/{quote(row.version)}"
        if graph.once(series):
            self._reference_head(series, made)
            graph.add(self.catalogue, DCAT + "dataset", series)
        graph.add(self.catalogue, DCAT + "dataset", node)
        graph.add(series, DCAT + "hasVersion", node)
        self._reference_head(node, made)
        graph.add(node, DCAT + "version", ox.Literal(row.version))
        graph.moment(node, DCT + "issued", row.published_at)
        graph.moment(node, DCT + "modified", row.published_at)
        if row.note:
            graph.add(node, ADMS + "versionNotes", ox.Literal(row.note))
        statement = f"{node}/provenance"
        graph.add(node, DCT + "provenance", statement)
        graph.add(statement, RDF + "type", DCT + "ProvenanceStatement")
        graph.add(
            statement,
            RDFS + "label",
            ox.Literal("; ".join(f"{k}: {_told(v)}" for k, v in sorted(row.provenance.items())) or "-"),
        )
        if self.addresses:
            graph.page(node, DCAT + "landingPage", self.addresses.reference(made.ref_id))
        for file in row.files:
            self._file(node, file, made.ref_id, row.version)

    def _reference_head(self, node: str, made: Any) -> None:
        graph = self.graph
        graph.add(node, RDF + "type", DCAT + "Dataset")
        graph.text(node, DCT + "title", made.title)
        graph.text(node, DCT + "description", made.description)
        graph.add(node, DCT + "identifier", ox.Literal(node.removeprefix(BASE + "reference/")))
        graph.add(node, DCT + "publisher", self.agent(made.organisation))
        graph.add(node, DCAT + "contactPoint", self.contact(made.organisation, made.unit))
        graph.add(node, DCATAP + "applicableLegislation", self.law(made.legal_basis))
        graph.listed(node, DCAT + "theme", "data-theme", made.theme or self.profile.themes["default"])
        graph.listed(node, DCT + "accessRights", "access-right", "PUBLIC")
        graph.listed(node, DCT + "spatial", "country", self.profile.country)
        if made.frequency:
            graph.listed(node, DCT + "accrualPeriodicity", "frequency", made.frequency)

    def _file(self, node: str, file: Mapping[str, Any], ref_id: str, version: str) -> None:
        graph, addresses = self.graph, self.addresses
        if addresses is None:
            graph.unreachable.add(f"file {ref_id}/{version}/{file['name']}")
            return
        part = f"{node}/{quote(str(file['name']))}"
        graph.add(node, DCAT + "distribution", part)
        graph.add(part, RDF + "type", DCAT + "Distribution")
        graph.add(part, DCAT + "accessURL", addresses.reference(ref_id))
        graph.add(part, DCAT + "downloadURL", addresses.file(ref_id, version, str(file["name"])))
        graph.add(part, DCT + "title", ox.Literal(str(file["name"])))
        media = IANA + str(file["media_type"])
        graph.add(part, DCAT + "mediaType", media)
        if graph.once(media):
            graph.add(media, RDF + "type", DCT + "MediaType")
        if file.get("format"):
            graph.listed(part, DCT + "format", "file-type", str(file["format"]))
        graph.add(part, DCAT + "byteSize", ox.Literal(str(file["bytes"]), datatype=iri(XSD + "nonNegativeInteger")))
        graph.listed(part, DCATAP + "availability", "planned-availability", "STABLE")
        checksum = f"{part}#sha256"
        graph.add(part, SPDX + "checksum", checksum)
        graph.add(checksum, RDF + "type", SPDX + "Checksum")
        algorithm = (
            "https://spdx.org/rdf/terms#checksumAlgorithm_sha256"  # the shapes want https here, and http for the class
        )
        graph.add(checksum, SPDX + "algorithm", algorithm)
        if graph.once(algorithm):
            graph.add(algorithm, RDF + "type", SPDX + "ChecksumAlgorithm")
        value = ox.Literal(str(file["sha256"]), datatype=iri(XSD + "hexBinary"))
        graph.add(checksum, SPDX + "checksumValue", value)


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in sorted(value.items()))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def names_in(data: bytes, form: str = "turtle") -> Iterator[str]:
    """Every literal and IRI of a serialised export: what a test of "nothing personal leaves" looks through."""
    for quad in ox.parse(data, format=FORMATS[form]):
        for part in (quad.subject, quad.predicate, quad.object):
            yield str(getattr(part, "value", part))


__all__ = ["FORMATS", "Addresses", "Graph", "Profile", "export", "names_in", "read_profile", "serialise"]


def _owner(one: Outgoing) -> str:
    """The organisation that owns most of what leaves, where nobody said who runs the register; "" when nothing has an owner."""
    owners = Counter(f.owner.organisation for f in one.fields if f.owner)
    return min(owners, key=lambda code: (-owners[code], code), default="")
