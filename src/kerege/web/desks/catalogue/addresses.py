"""The addresses of the catalogue's pages, below /<language>/; `web.routes` takes them over. All are for everyone."""

from __future__ import annotations

from typing import Final

from kerege.web.access import View
from kerege.web.desks.catalogue import (
    codelists,
    concepts,
    contracts,
    crosswalks,
    datasets,
    fields,
    owners,
    references,
    search,
    usemap,
)

PAGES: Final[tuple[tuple[str, View, str], ...]] = (
    ("catalogue/", search.search, "catalogue"),
    ("catalogue/datasets/<int:dataset_id>/", datasets.dataset, "catalogue-dataset"),
    ("catalogue/fields/<int:field_id>/", fields.field, "catalogue-field"),
    ("catalogue/concepts/", concepts.listing, "catalogue-concepts"),
    ("catalogue/concepts/<path:concept_id>/", concepts.concept, "catalogue-concept"),
    ("catalogue/code-lists/", codelists.listing, "catalogue-codelists"),
    ("catalogue/code-lists/<path:list_id>/", codelists.codelist, "catalogue-codelist"),
    ("catalogue/crosswalks/", crosswalks.listing, "catalogue-crosswalks"),
    ("catalogue/crosswalks/<path:crosswalk_id>/", crosswalks.crosswalk, "catalogue-crosswalk"),
    ("catalogue/organisations/", owners.listing, "catalogue-owners"),
    ("catalogue/organisations/<path:code>/", owners.owner, "catalogue-owner"),
    ("catalogue/contracts/", contracts.listing, "catalogue-contracts"),
    ("catalogue/contracts/<path:contract_id>/", contracts.contract, "catalogue-contract"),
    ("catalogue/reference/", references.listing, "catalogue-references"),
    ("catalogue/reference/<str:ref_id>/", references.reference, "catalogue-reference"),
    ("catalogue/map/", usemap.overview, "catalogue-map"),
)
