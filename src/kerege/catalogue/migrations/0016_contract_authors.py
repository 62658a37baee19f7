# ruff: noqa: RUF012 - class attributes as Django writes them
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalogue", "0015_revision"),
    ]

    operations = [
        migrations.AddField(
            model_name="contractversion",
            name="authors",
            field=models.JSONField(default=dict),
        ),
    ]
