"""Addresses of the stewards' desks; part of the one table in `web.routes`."""

from __future__ import annotations

from typing import Final

from kerege.web.access import Audience, View
from kerege.web.desks import desk_crosswalks, desk_harvests, desk_home, desk_owners, desk_suggestions

DATA, DESKS = Audience.DATA, Audience.DESKS

PAGES: Final[tuple[tuple[str, View, str, Audience], ...]] = (
    ("desks/", desk_home.home, "desks", DESKS),
    ("desks/harvests/", desk_harvests.listing, "desks-harvests", DATA),
    ("desks/harvests/<str:plan_id>/", desk_harvests.one, "desks-harvest", DATA),
    ("desks/suggestions/", desk_suggestions.overview, "desks-suggestions", DATA),
    ("desks/suggestions/columns/<str:dataset_id>/", desk_suggestions.columns, "desks-columns", DATA),
    ("desks/suggestions/codes/<path:crosswalk>/", desk_suggestions.codes, "desks-codes", DATA),
    ("desks/crosswalks/", desk_crosswalks.listing, "desks-crosswalks", DATA),
    ("desks/crosswalks/<path:crosswalk>/", desk_crosswalks.one, "desks-crosswalk", DATA),
    ("desks/owners/<str:dataset_id>/", desk_owners.one, "desks-owners", DATA),
)
