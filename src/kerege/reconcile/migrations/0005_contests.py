# ruff: noqa: RUF012 - class attributes as Django writes them

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reconcile", "0004_open_once_settled_by"),
    ]

    operations = [
        migrations.CreateModel(
            name="TaskContest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("words", models.PositiveIntegerField()),
                ("at", models.DateTimeField()),
                (
                    "against",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reconcile.clericaltask",
                    ),
                ),
                (
                    "task",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reconcile.clericaltask",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("task", "against"), name="reconcile_contested_once")],
            },
        ),
    ]
