"""One of the processes of test_owner_race: told to begin, it tries to become the owner of every attribute, and says how it went. Then it decides
on codes of a crosswalk and writes versions of it, while the other does the same.

python owner_racer.py prepare            the tables, and one dataset of 20 attributes
python owner_racer.py race ORGANISATION  waits for a line on its standard input, then races; one JSON line per attribute
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

import django

COLUMNS = [f"column_{n:02d}" for n in range(20)]
WALK, CONTESTED = "t:raced", "t:contested"
NOW = datetime(2026, 10, 1, 9, tzinfo=UTC)


def prepare() -> None:
    from django.core.management import call_command

    from kerege.catalogue.inventory.profile import ColumnHead, profile_table
    from kerege.catalogue.models import Dataset, Field

    for room in ("membership", "catalogue"):  # the search index, which a doing tells, looks at both
        call_command("migrate", room, interactive=False, verbosity=0)
    found = profile_table("t", [ColumnHead(name) for name in COLUMNS], [(1, ["x"] * len(COLUMNS))]).as_dict()
    fields = found.pop("fields")
    dataset = Dataset.objects.create(source="r", kind="csv", table="t", profile=found, harvested_at=NOW)
    Field.objects.bulk_create(Field(dataset=dataset, name=f["name"], position=f["position"], profile=f) for f in fields)


def race(organisation: str) -> None:
    from django.db import connection

    from kerege.catalogue.errors import LifecycleRaced, LifecycleRefused, OwnerTaken, SourceOfTruthTaken
    from kerege.catalogue.lifecycle import doings as lifecycle
    from kerege.catalogue.ownership import face as ownership

    connection.ensure_connection()
    subject = lifecycle.Subject("mapping", "kg:sex", "1")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    tell: list[dict[str, Any]] = []
    for name in COLUMNS:
        told = {"what": name, "won": True, "error": ""}
        try:
            ownership.name_owner("r", "t", name, organisation, "Registry", "Law 5, art. 7", NOW, by="steward-1")
        except OwnerTaken as error:
            told |= {"won": False, "error": error.text}
        tell.append(told)
    for what, doing, lost in (
        (
            "truth",
            lambda: ownership.declare_source_of_truth("person.pin", "r", "t", f"column_{organisation[-2:]}", "Law 1", NOW, by="steward-1"),
            SourceOfTruthTaken,
        ),
        ("submitted", lambda: lifecycle.act(subject, "submit", organisation, "ready", NOW), (LifecycleRaced, LifecycleRefused)),
    ):  # fmt: skip
        told = {"what": what, "won": True, "error": ""}
        try:
            doing()
        except lost as error:
            told |= {"won": False, "error": error.text}
        tell.append(told)
    decide(organisation, tell)
    sys.stdout.write("".join(json.dumps(t) + "\n" for t in tell))


def decide(organisation: str, tell: list[dict[str, Any]]) -> None:
    """Decide on the same codes as the other, otherwise; then on codes of one's own, and write a version of what both decided now and then."""
    from kerege.catalogue.codes import crosswalk_desk, decisions
    from kerege.catalogue.errors import DecisionRefused

    for name in COLUMNS:
        told = {"what": f"decided {name}", "won": True, "error": ""}
        try:
            decisions.decide(CONTESTED, name, "accepted", organisation, NOW, target=organisation)
        except DecisionRefused as error:
            told |= {"won": False, "error": error.text}
        tell.append(told)
    for n, name in enumerate(COLUMNS):
        decisions.decide(WALK, f"{organisation}.{name}", "accepted", organisation, NOW, target="1")
        if n % 5 == 4:
            crosswalk_desk.make_version(WALK, f"{organisation}.{n}", "reject", organisation, NOW)


if __name__ == "__main__":
    django.setup()
    if sys.argv[1] == "prepare":
        prepare()
    else:
        race(sys.argv[2])
