"""Addresses of the stewards' desks; part of the one table in `web.routes`."""

from __future__ import annotations

from typing import Final

from kerege.web.access import Audience, View
from kerege.web.desks import (
    desk_board,
    desk_contracts,
    desk_crosswalks,
    desk_findings,
    desk_harvests,
    desk_home,
    desk_owners,
    desk_pairs,
    desk_requests,
    desk_suggestions,
)

DATA, DESKS, CLERK = Audience.DATA, Audience.DESKS, Audience.CLERK

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
    ("desks/findings/", desk_findings.listing, "desks-findings", DATA),
    ("desks/findings/<str:finding_id>/", desk_findings.one, "desks-finding", DATA),
    ("desks/pairs/", desk_pairs.listing, "desks-pairs", CLERK),
    ("desks/pairs/<str:task_id>/", desk_pairs.one, "desks-pair", CLERK),
    ("desks/contracts/", desk_contracts.listing, "desks-contracts", DATA),
    ("desks/contracts/<path:contract>/", desk_contracts.one, "desks-contract", DATA),
    ("desks/board/", desk_board.board, "desks-board", DATA),
    ("desks/board/print/", desk_board.printed, "desks-board-print", DATA),
    ("desks/requests/", desk_requests.listing, "desks-requests", DATA),
    ("desks/requests/<str:register>/", desk_requests.one, "desks-request", DATA),
)
