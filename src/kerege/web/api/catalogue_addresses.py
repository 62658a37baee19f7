"""Absolute addresses of this hub's pages and files, for what leaves it: a DCAT export tells where things are to be had.

Made from the hub's own table of routes, so that each is answered; pages are those in Kyrgyz, every page leads to its other languages.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from django.urls import reverse

from kerege.catalogue.exports.dcat_graph import Addresses
from kerege.web.desks.catalogue import contracts

_LANGUAGE: Final = "ky"
NOWHERE: Final = "https://this-hub.invalid"  # stands for the hub's address in what is made before it is known (RFC 6761, 6.4: nobody's name)


def is_root(text: str) -> bool:
    """Whether `text` is the address of a hub: scheme and host, no path of its own."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.path.strip("/") or parts.query)
    except ValueError:
        return False


def addresses(root: str) -> Addresses:
    """The addresses below `root`, such as https://hub.example."""
    base = root.rstrip("/")

    def page(name: str, *arguments: object) -> str:
        return base + reverse(name, args=(_LANGUAGE, *arguments))

    def contract(mapping: str) -> str:
        known = contracts.is_shown(mapping)
        return page("catalogue-contract", mapping) if known else page("catalogue-contracts")

    return Addresses(
        dataset=lambda dataset: page("catalogue-dataset", dataset),
        reference=lambda ref_id: page("catalogue-reference", ref_id),
        file=lambda ref_id, version, name: base + reverse("api-reference-file", args=(ref_id, version, name)),
        contract=contract,
    )
