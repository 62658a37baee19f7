# ruff: noqa: RUF012 - class attributes as Django writes them
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalogue", "0011_search_ids"),
    ]

    operations = [
        migrations.AddField(
            model_name="codedecision",
            name="replaced",
            field=models.JSONField(default=dict),
        ),
    ]
