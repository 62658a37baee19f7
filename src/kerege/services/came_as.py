"""A value as the register wrote it, for the desk where a person compares it with the canonical one. Pure.

The letters come from the raw side of the view of the very same record (`reconcile.compare.RecordView`), which the data-first way has from
the message the canonical value came in. Where no raw record was brought, nothing is said: letters are never made up from the canonical
value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kerege.reconcile.compare import RecordView
from kerege.services.evidence import Value

# Canonical fields that registers write under another heading: a place as one code, an address as one line.
_WRITTEN_IN: Final = {
    "soate": "locality",
    "area_soate": "locality",
    "region_soate": "region",
    "street": "address",
    "house": "address",
    "flat": "address",
}


def came_as(value: Value, views: Mapping[str, RecordView]) -> str | None:
    """What the register wrote where `value` was read; None when its raw record was not looked at or has no such field."""
    view = views.get(value.source.register)
    if view is None or view.raw is None or not value.record_id or view.record_id != value.record_id:
        return None
    return view.raw.get(_WRITTEN_IN.get(value.field, value.field))
