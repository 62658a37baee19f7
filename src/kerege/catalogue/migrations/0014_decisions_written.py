# ruff: noqa: RUF012 - class attributes as Django writes them
from typing import Any

from django.db import migrations


def written(apps: Any, schema_editor: Any) -> None:
    """Until now a decision counted as written in the newest version when it was not taken after that one was kept."""
    decisions = apps.get_model("catalogue", "CodeDecision").objects
    newest: dict[str, Any] = {}
    for version in (
        apps.get_model("catalogue", "CrosswalkVersion").objects.defer("content").order_by("imported_at", "pk")
    ):
        newest[version.crosswalk] = version
    for crosswalk, version in newest.items():
        decisions.filter(crosswalk=crosswalk, at__lte=version.imported_at).update(written_in=version)


class Migration(migrations.Migration):
    dependencies = [
        ("catalogue", "0013_decision_written_in"),
    ]

    operations = [migrations.RunPython(written, migrations.RunPython.noop)]
