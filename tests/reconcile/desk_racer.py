"""Run by test_on_postgresql: what two clerks, two runs and two placings do to one hub at the same moment. Not a test by itself."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import django

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROUNDS = 8
A, B = ("civil", "a" * 64), ("health", "b" * 64)


def prepare() -> None:
    from django.core.management import call_command

    # the tables as the models say; the migrations are other tests'
    call_command("migrate", run_syncdb=True, verbosity=0, interactive=False)
    from kerege.reconcile import desk_doings, persons

    for n in range(ROUNDS):
        for twice in (False, True):
            desk_doings.ask(f"d{n}{twice}", "1", A, B, why="race", now=NOW, double_review=twice)
    for ref, key in ((A, "person-a"), (B, "person-b")):
        desk_doings.place_record(ref, persons.Placement(persons.NEW, key, (), ()), NOW)


def race(who: str) -> None:
    from kerege.ground.errors import KeregeError
    from kerege.reconcile import desk_doings, doings
    from kerege.reconcile.compare import FieldComparison
    from kerege.reconcile.fields import of_country
    from kerege.reconcile.models import ClericalTask

    tasks = dict(ClericalTask.objects.values_list("definition", "task_id"))
    compared = of_country("kg")
    print("ready", flush=True)
    sys.stdin.readline()
    for name in sorted(tasks):
        # of a task reviewed once there is one word; of one reviewed twice, two clerks' words, and never two of one
        by = who if name.endswith("False") else who if name < f"d{ROUNDS // 2}" else "clerk-0"
        try:
            told = desk_doings.decide(tasks[name], verdict="same", reason="looked", by=by, now=NOW)
        except KeregeError as error:
            told = error.code
        print(json.dumps([name, told]), flush=True)
    for n in range(ROUNDS):
        items = [FieldComparison("sex", "civil", "population", "conflict")]
        doings.record_comparisons({f"case-{n}": items}, compared, run=f"{who}-{n}", now=NOW)


if __name__ == "__main__":
    from django.apps import apps
    from django.conf import settings

    django.setup()
    settings.MIGRATION_MODULES = {app.label: None for app in apps.get_app_configs()}
    prepare() if sys.argv[1] == "prepare" else race(sys.argv[2])
