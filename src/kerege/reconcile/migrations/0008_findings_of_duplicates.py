# ruff: noqa: RUF012 - class attributes as Django writes them
from typing import Any

from django.db import migrations
from django.utils import timezone

SAME = "the same as "  # what 0004 gave as the reason of a duplicate
ENDS = ("refused", "withdrawn", "closed")
WAITS = ("open", "with_owner")
BATCH = 500


def told_once(apps: Any, schema_editor: object) -> None:
    """Findings about what 0004 settled as queued twice went on waiting on it, so that no evidence could ever close them: those that nobody has ended
    go on about the discrepancy that stayed, or are withdrawn where its register has been told of that already, or where it is settled."""
    discrepancies = apps.get_model("reconcile", "Discrepancy").objects
    findings, acts = apps.get_model("reconcile", "Finding").objects, apps.get_model("reconcile", "FindingAct").objects

    def live(number: int) -> list[Any]:
        return [
            one
            for one in findings.filter(discrepancy=number).order_by("pk")
            if not acts.filter(finding=one, act__in=ENDS).exists()
        ]

    twice = discrepancies.filter(status="accepted", settled_by="", settled_reason__startswith=SAME).order_by("pk")
    numbers = list(twice.filter(pk__in=findings.values("discrepancy")).values_list("pk", flat=True))
    for start in range(0, len(numbers), BATCH):
        for row in discrepancies.filter(pk__in=numbers[start : start + BATCH]).order_by("pk"):
            kept = discrepancies.filter(discrepancy_id=row.settled_reason.removeprefix(SAME)).first()
            waits = kept is not None and kept.status in WAITS
            told = {one.register for one in live(kept.pk)} if waits else set()
            for one in live(row.pk):
                if waits and one.register not in told:
                    findings.filter(pk=one.pk).update(discrepancy=kept)
                    discrepancies.filter(pk=kept.pk).update(status="with_owner")
                    told.add(one.register)
                else:
                    acts.create(
                        finding=one, act="withdrawn", by="reconcile", at=timezone.now(), reason=row.settled_reason
                    )


class Migration(migrations.Migration):
    dependencies = [
        ("reconcile", "0007_findings_ended"),
    ]

    operations = [migrations.RunPython(told_once, migrations.RunPython.noop)]
