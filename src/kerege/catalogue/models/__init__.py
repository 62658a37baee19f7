"""What the catalogue stores, one module per part of it. Rows change only through doings."""

from __future__ import annotations

from kerege.catalogue.models.board import BoardSnapshot, BoardStart, CriticalDataset
from kerege.catalogue.models.codes import (
    CodeDecision,
    CodeListVersion,
    CodeSuggestion,
    CrosswalkVersion,
    SuggestedTarget,
    UnmappedCode,
)
from kerege.catalogue.models.contracts import (
    ContractRoute,
    ContractRun,
    ContractVersion,
    Deprecation,
    DeprecationNotice,
)
from kerege.catalogue.models.inventory import ConceptLink, Dataset, Field, Finding, Plan
from kerege.catalogue.models.lifecycle import LifecycleAction
from kerege.catalogue.models.ownership import Owner, SourceOfTruth
from kerege.catalogue.models.reference import ReferenceDataset, ReferenceVersion
from kerege.catalogue.models.requests import RegisterRequest, RegisterReview
from kerege.catalogue.models.revision import CatalogueChange
from kerege.catalogue.models.search import SearchEntry, SearchFacet, SearchWord
from kerege.catalogue.models.usage import FieldUse, NodeReading, ServiceUse

__all__ = [
    "BoardSnapshot",
    "BoardStart",
    "CatalogueChange",
    "CodeDecision",
    "CodeListVersion",
    "CodeSuggestion",
    "ConceptLink",
    "ContractRoute",
    "ContractRun",
    "ContractVersion",
    "CriticalDataset",
    "CrosswalkVersion",
    "Dataset",
    "Deprecation",
    "DeprecationNotice",
    "Field",
    "FieldUse",
    "Finding",
    "LifecycleAction",
    "NodeReading",
    "Owner",
    "Plan",
    "ReferenceDataset",
    "ReferenceVersion",
    "RegisterRequest",
    "RegisterReview",
    "SearchEntry",
    "SearchFacet",
    "SearchWord",
    "ServiceUse",
    "SourceOfTruth",
    "SuggestedTarget",
    "UnmappedCode",
]
