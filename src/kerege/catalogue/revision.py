"""In which state the catalogue is: a short text that is another one after every change of what everybody may read.

    kept = revision(now)       ask it, make something from the whole catalogue, keep both
    revision(later) == kept    what was made is still what would be made

A doing says `touched` within its own transaction: it adds a row, and never changes one, so that doings do not wait for each other, and a change
that is taken back takes its row with it. Two doings may end in another order than they began: the number of rows tells them apart besides the newest.
What the catalogue's doings do not change is asked itself, for it is small: members and contracts of the network. An owner's term begins and ends by
itself: how many have begun and ended belongs to the state. So does when a file of the country pack was changed last.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Final

from django.db.models import Count, Max, Q

from kerege.catalogue.models import CatalogueChange, ContractVersion, Owner, SourceOfTruth
from kerege.catalogue.packs import pack_state
from kerege.ground.clock import require_utc
from kerege.ground.ids import digest
from kerege.membership.models import Contract, Member

_KEPT: Final = 256  # changes; each kept one costs a count, and none is needed once it is not among the newest


def touched() -> None:
    """Say that something changed that everybody may read: called by doings, within their transactions."""
    row = CatalogueChange.objects.create(token=secrets.token_hex(8))
    if row.pk % _KEPT == 0:
        CatalogueChange.objects.filter(pk__lt=row.pk - _KEPT).delete()


def revision(now: datetime) -> str:
    """The state at `now`; a fixed number of small queries, whatever the catalogue holds."""
    at = require_utc(now)
    changes = CatalogueChange.objects.aggregate(n=Count("pk"), last=Max("pk"))
    newest = CatalogueChange.objects.filter(pk=changes["last"]).values_list("token", flat=True).first()
    terms = [
        model.objects.aggregate(
            n=Count("pk"), began=Count("pk", filter=Q(since__lte=at)), ended=Count("pk", filter=Q(until__lte=at))
        )
        for model in (Owner, SourceOfTruth)
    ]
    members = list(Member.objects.order_by("pk").values_list("code", "name_ky", "name_ru", "name_en"))
    contracts = [
        (*row, at_.isoformat())
        for *row, at_ in Contract.objects.order_by("pk").values_list(
            "provider__code", "data_service", "method", "path", "mapping", "at", "mode", "translate", "owner", "legal_basis", "set_at"
        )
    ]  # fmt: skip
    own = sorted(set(ContractVersion.objects.values_list("contract", flat=True)))
    return digest(
        [
            changes,
            newest,
            list(pack_state()),
            terms,
            [list(m) for m in members],
            [[str(c) for c in row] for row in contracts],
            own,
        ]
    )
