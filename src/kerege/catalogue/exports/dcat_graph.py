"""What an export in RDF is written with: triples under way, and the addresses at which the hub shows what is told. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyoxigraph as ox

from kerege.catalogue.exports.vocabulary import FOAF, RDF, XSD, authority, iri
from kerege.ground.clock import iso
from kerege.ground.text import Text


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where people and machines get what is told: absolute addresses that the hub answers, made by who knows its routes (`web.api`).

    An IRI below https://kerege.kg/id/ names a thing and answers nothing; what needs an address to get it from is told only with these.
    """

    dataset: Callable[[int], str]  # the page of a dataset, by its id in the hub
    reference: Callable[[str], str]  # the page of a reference dataset
    file: Callable[[str, str, str], str]  # a file: reference dataset, version, name
    contract: Callable[[str], str]  # the page that says how a data service is called, by the id of its mapping


@dataclass(slots=True)
class Graph:
    """Triples under way, with the controlled entries they used, and what was left out because nobody could get it."""

    triples: list[ox.Triple] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    said: set[str] = field(default_factory=set)
    unreachable: set[str] = field(default_factory=set)

    def add(self, subject: str, predicate: str, value: str | ox.NamedNode | ox.Literal) -> None:
        """One triple; a bare string is an IRI."""
        node = ox.NamedNode(value) if isinstance(value, str) else value
        self.triples.append(ox.Triple(ox.NamedNode(subject), ox.NamedNode(predicate), node))

    def listed(self, subject: str, predicate: str, scheme: str, code: str) -> None:
        """A triple to an entry of a controlled list."""
        entry = authority(scheme, code)
        self.used.add(entry)
        self.add(subject, predicate, entry)

    def text(self, subject: str, predicate: str, text: Text | Mapping[str, str]) -> None:
        """One literal per language."""
        for language, wording in (text.as_dict() if isinstance(text, Text) else text).items():
            if wording:
                literal = ox.Literal(wording, language=language) if language else ox.Literal(wording)
                self.add(subject, predicate, literal)

    def moment(self, subject: str, predicate: str, at: datetime) -> None:
        self.add(subject, predicate, ox.Literal(iso(at), datatype=iri(XSD + "dateTime")))

    def once(self, subject: str) -> bool:
        """True the first time `subject` is to be described."""
        if subject in self.said:
            return False
        self.said.add(subject)
        return True

    def page(self, subject: str, predicate: str, address: str) -> None:
        """A page for people about `subject`."""
        self.add(subject, predicate, address)
        if self.once(address):
            self.add(address, RDF + "type", FOAF + "Document")
