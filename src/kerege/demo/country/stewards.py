"""The people who keep the catalogue in the demo, invented: two stewards' posts, so that nobody approves what they submitted, an owner, a clerk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from kerege.demo.country.network import MEMBERS
from kerege.ground.text import Text
from kerege.identity import doings
from kerege.identity.receipts import LedgerWriter

SCOPE: Final = "catalogue"  # of every right here: this installation's catalogue


@dataclass(frozen=True, slots=True)
class Post:
    """Somebody with one post: `role` as the hub's sign-in knows it, `action` what the grant allows, `unit` of the organisation."""

    person: str
    name: str
    organisation: str
    role: str
    action: str
    title: Text


STEWARD: Final = "person-steward"
REVIEWER: Final = "person-reviewer"
DATA_OWNER: Final = "person-data-owner"
CLERK: Final = "person-clerk"

POSTS: Final = (
    Post(
        STEWARD, "Асель Байгазиева", "70000000", "steward", "catalogue.keep",
        Text(ky="Маалыматтын жооптуусу", ru="Ответственный за данные", en="Data steward"),
    ),
    Post(
        REVIEWER, "Тимур Калыбеков", "70000000", "reviewer", "catalogue.review",
        Text(ky="Каталог боюнча бекитүүчү", ru="Утверждающий по каталогу", en="Reviewer of the catalogue"),
    ),
    Post(
        DATA_OWNER, "Эльмира Садыкова", "70000004", "data-owner", "catalogue.answer",
        Text(ky="Маалыматтын ээси", ru="Владелец данных", en="Data owner"),
    ),
    Post(
        CLERK, "Гүлнара Турдубаева", "70000003", "clerk", "reconcile.clerical.read",
        Text(ky="Салыштыруу боюнча адис", ru="Специалист по сверке", en="Clerk for pairs"),
    ),
)  # fmt: skip


def appoint(ledger: LedgerWriter, now: datetime) -> None:
    """Register the four, and give each exactly the role of the post."""
    until = now + timedelta(days=365)
    for code in sorted({post.organisation for post in POSTS}):
        doings.register_organisation(code, MEMBERS[code][0])
    for post in POSTS:
        doings.register_person(post.name, post.organisation, post.person)
        doings.define_role(f"catalogue-{post.role}", post.title, [post.action])
        doings.grant_role(post.person, f"catalogue-{post.role}", SCOPE, until, granted_by=None, ledger=ledger, now=now)


def listed() -> list[Mapping[str, Any]]:
    """The four as the hub's stand-in for the national sign-in lists people."""
    return [
        {
            "id": post.person,
            "name": post.name,
            "roles": [post.role],
            "office": MEMBERS[post.organisation][0].as_dict(),
            "member": f"KG/GOV/{post.organisation}",
        }
        for post in POSTS
    ]
