"""Run by `test_search_postgresql.py` in a process of its own: the small catalogue in the hub's database of this environment, and what is found."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import django

if __name__ == "__main__":
    django.setup()

import open_catalogue as world
from django.core.management import call_command
from django.db import connection

from kerege.catalogue.models import Dataset, SearchEntry
from kerege.catalogue.search import index as search_index
from kerege.catalogue.search.questions import Filters, search
from kerege.catalogue.search.tables import trigrams_there

QUESTIONS = (
    "ПИН", "жарандардын", "jaran", "исык кол", "Issyk-Kul", "ыссык куль", "enrolmnet status", "school code", "school hovercraft", "director",
    "qqqqzzzz", "dirctor", "код", "'; DROP TABLE x; --", "a & b | !c", "\\",
)  # fmt: skip


def told(question: str, **how: Any) -> list[Any]:
    found = search(question, Filters(**how), limit=100)
    return [found.total, found.every, found.facets, [[h.kind, h.title, round(h.score, 4)] for h in found.hits]]


def written_twice(times: int) -> int:
    """Two who write at once: how many entries there are afterwards."""

    def write(pk: int) -> None:
        try:
            for _ in range(times):
                search_index.reindex(f"dataset:{pk}")
        finally:
            connection.close()

    walks = [threading.Thread(target=write, args=(pk,)) for pk in Dataset.objects.values_list("pk", flat=True)]
    for walk in walks:
        walk.start()
    for walk in walks:
        walk.join()
    return SearchEntry.objects.count()


def picture() -> dict[str, Any]:
    """The small catalogue, indexed, and what is found in it before and after a change."""
    world.fill()
    entries = [search_index.rebuild(), search_index.rebuild()]
    answers = {q: told(q) for q in QUESTIONS} | {"narrow": told("code", kinds=("field",), public=True)}
    schools = Dataset.objects.get(table="school")
    Dataset.objects.filter(pk=schools.pk).update(table="hovercraft")
    search_index.changed(f"dataset:{schools.pk}")
    return {"answers": answers | {"changed": told("hovercraft")}, "entries": entries}


NUL = (
    "/api/v1/datasets?organisation=%00",
    "/en/catalogue/?organisation=%00",
    "/en/catalogue/crosswalks/a%00/",
    "/api/v1/codelists/a%00",
)


def refused() -> list[int]:
    """What addresses with a NUL in them are answered: a server of PostgreSQL fails on every one that it is asked about."""
    from django.test import Client

    asker = Client(raise_request_exception=False, headers={"host": "127.0.0.1"})

    return [asker.get(address).status_code for address in NUL]


def main() -> None:
    for room in ("membership", "catalogue"):
        call_command("migrate", room, verbosity=0)
    told = picture() | {"trigrams": trigrams_there(connection), "written_twice": written_twice(5), "nul": refused()}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
