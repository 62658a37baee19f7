# ruff: noqa: RUF012 - class attributes as Django writes them
from typing import Any

from django.db import migrations


def told(apps: Any, schema_editor: object) -> None:
    """The catalogue's findings that were refused or withdrawn have ended, so that another sighting is a new one."""
    acts = apps.get_model("reconcile", "CatalogueFindingAct").objects.filter(act__in=("refused", "withdrawn"))
    findings = apps.get_model("catalogue", "Finding").objects
    for act in acts.order_by("pk").iterator():
        findings.filter(pk=act.finding_id, ended_at=None).update(ended_at=act.at)


class Migration(migrations.Migration):
    dependencies = [
        ("reconcile", "0006_settled_by_rules"),
        ("catalogue", "0017_finding_ended"),
    ]

    operations = [
        migrations.RunPython(told, migrations.RunPython.noop),
    ]
