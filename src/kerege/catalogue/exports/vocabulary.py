"""Names of vocabularies, and the few entries of the EU's controlled lists that the exports use, with what validators want to know of them.

DCAT-AP's shapes ask that a theme, frequency or language is a concept of the right scheme and has a label. The lists themselves lie on the
internet, and nothing here reaches for it: what is used is described in the export itself. Labels: EU Publications Office, authority tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyoxigraph as ox

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS: Final = "http://www.w3.org/2000/01/rdf-schema#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
DCAT: Final = "http://www.w3.org/ns/dcat#"
DCT: Final = "http://purl.org/dc/terms/"
DCATAP: Final = "http://data.europa.eu/r5r/"
FOAF: Final = "http://xmlns.com/foaf/0.1/"
VCARD: Final = "http://www.w3.org/2006/vcard/ns#"
SKOS: Final = "http://www.w3.org/2004/02/skos/core#"
SPDX: Final = "http://spdx.org/rdf/terms#"
ADMS: Final = "http://www.w3.org/ns/adms#"
ELI: Final = "http://data.europa.eu/eli/ontology#"
PROV: Final = "http://www.w3.org/ns/prov#"
CSVW: Final = "http://www.w3.org/ns/csvw#"
PREFIXES: Final = {
    "rdf": RDF, "rdfs": RDFS, "xsd": XSD, "dcat": DCAT, "dct": DCT, "dcatap": DCATAP, "foaf": FOAF, "vcard": VCARD, "skos": SKOS,
    "spdx": SPDX, "adms": ADMS, "eli": ELI, "prov": PROV, "csvw": CSVW,
}  # fmt: skip

FORMATS: Final[dict[str, ox.RdfFormat]] = {
    "turtle": ox.RdfFormat.TURTLE,
    "jsonld": ox.RdfFormat.JSON_LD,
    "rdfxml": ox.RdfFormat.RDF_XML,
}

AUTHORITY: Final = "http://publications.europa.eu/resource/authority/"
IANA: Final = "https://www.iana.org/assignments/media-types/"
PUBLISHER_TYPE: Final = "http://purl.org/adms/publishertype/1.0"

# list -> (class of its entries beside skos:Concept, code -> English label)
_LISTS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "language": (DCT + "LinguisticSystem", {"KIR": "Kirghiz", "RUS": "Russian", "ENG": "English"}),
    "country": (DCT + "Location", {"KGZ": "Kyrgyzstan"}),
    "access-right": (
        DCT + "RightsStatement",
        {"PUBLIC": "public", "RESTRICTED": "restricted", "NON_PUBLIC": "non-public"},
    ),
    "data-theme": (
        SKOS + "Concept",
        {
            "AGRI": "Agriculture, fisheries, forestry and food", "ECON": "Economy and finance", "EDUC": "Education, culture and sport",
            "ENER": "Energy", "ENVI": "Environment", "GOVE": "Government and public sector", "HEAL": "Health", "INTR": "International issues",
            "JUST": "Justice, legal system and public safety", "REGI": "Regions and cities", "SOCI": "Population and society",
            "TECH": "Science and technology", "TRAN": "Transport",
        },
    ),
    "frequency": (
        DCT + "Frequency",
        {
            "ANNUAL": "annual", "ANNUAL_2": "semiannual", "QUARTERLY": "quarterly", "MONTHLY": "monthly", "WEEKLY": "weekly",
            "DAILY": "daily", "IRREG": "irregular", "AS_NEEDED": "as needed", "NEVER": "never", "UNKNOWN": "unknown",
        },
    ),
    "file-type": (
        DCT + "MediaTypeOrExtent",
        {"CSV": "CSV", "JSON": "JSON", "JSON_LD": "JSON-LD", "PARQUET": "PARQUET", "XML": "XML", "RDF_TURTLE": "RDF Turtle", "TSV": "TSV"},
    ),
    "planned-availability": (SKOS + "Concept", {"STABLE": "stable", "AVAILABLE": "available"}),
    "distribution-status": (SKOS + "Concept", {"COMPLETED": "completed", "DEPRECATED": "deprecated", "WITHDRAWN": "withdrawn"}),
}  # fmt: skip
FREQUENCIES: Final = tuple(_LISTS["frequency"][1])
THEMES: Final = tuple(_LISTS["data-theme"][1])


def iri(value: str) -> ox.NamedNode:
    """An IRI."""
    return ox.NamedNode(value)


def authority(listed: str, code: str) -> str:
    """The IRI of an entry of a controlled list. Raises KeyError for one that is not described here: it would not validate."""
    _LISTS[listed][1][code]
    return f"{AUTHORITY}{listed}/{code}"


def described(used: set[str]) -> Iterator[ox.Triple]:
    """What the export says of each controlled entry it used, and of their schemes."""
    type_, concept, scheme = iri(RDF + "type"), iri(SKOS + "Concept"), iri(SKOS + "ConceptScheme")
    schemes = set()
    for entry in sorted(used):
        listed, _, code = entry.removeprefix(AUTHORITY).partition("/")
        also, labels = _LISTS[listed]
        node = iri(entry)
        yield ox.Triple(node, type_, concept)
        if also != SKOS + "Concept":
            yield ox.Triple(node, type_, iri(also))
        yield ox.Triple(node, iri(SKOS + "inScheme"), iri(AUTHORITY + listed))
        yield ox.Triple(node, iri(SKOS + "prefLabel"), ox.Literal(labels[code], language="en"))
        schemes.add(listed)
    for listed in sorted(schemes):
        yield ox.Triple(iri(AUTHORITY + listed), type_, scheme)
        yield ox.Triple(
            iri(AUTHORITY + listed), iri(DCT + "title"), ox.Literal(listed.replace("-", " "), language="en")
        )
