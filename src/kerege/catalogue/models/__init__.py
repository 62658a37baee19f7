"""What the catalogue stores, one module per part of it. Rows change only through doings."""

from __future__ import annotations

from kerege.catalogue.models.inventory import ConceptLink, Dataset, Field, Finding, Owner, Plan, SourceOfTruth
from kerege.catalogue.models.reference import ReferenceDataset, ReferenceVersion
from kerege.catalogue.models.search import SearchEntry, SearchWord

__all__ = [
    "ConceptLink",
    "Dataset",
    "Field",
    "Finding",
    "Owner",
    "Plan",
    "ReferenceDataset",
    "ReferenceVersion",
    "SearchEntry",
    "SearchWord",
    "SourceOfTruth",
]
