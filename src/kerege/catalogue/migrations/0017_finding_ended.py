# ruff: noqa: RUF012 - class attributes as Django writes them
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalogue", "0016_contract_authors"),
    ]

    operations = [
        migrations.AddField(
            model_name="finding",
            name="ended_at",
            field=models.DateTimeField(null=True),
        ),
    ]
