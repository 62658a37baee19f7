"""Why somebody decided, in a sentence that is kept for ever and shown to others: so it may name no person.

Asked at the edges, desks and command line, for every doing that takes a reason. A number, a telephone or an address is seen in any text; a name is
seen only where it is known which persons it is about (`web.desks.desk_pairs`).
"""

from __future__ import annotations

from typing import Final

from kerege.catalogue.errors import ReasonNamesPerson
from kerege.catalogue.inventory.masks import person_in

_SAID: Final = {"pin": "a person's number", "phone": "a telephone number", "email": "an address of e-mail"}


def without_persons(text: str, field: str = "reason") -> str:
    """`text` as it is; raises ReasonNamesPerson, which does not repeat what was found."""
    kind = person_in(text)
    if kind:
        raise ReasonNamesPerson(field=field, what=_SAID[kind])
    return text
