# ruff: noqa: RUF012 - class attributes as Django writes them

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reconcile", "0005_contests"),
    ]

    operations = [
        migrations.AddField(
            model_name="discrepancy",
            name="legal_basis",
            field=models.CharField(blank=True, default="", max_length=400),
        ),
        migrations.AddField(
            model_name="discrepancy",
            name="outcome",
            field=models.CharField(blank=True, default="", max_length=16),
        ),
        migrations.AddField(
            model_name="discrepancy",
            name="rule",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
        migrations.AddField(
            model_name="discrepancy",
            name="rules_version",
            field=models.CharField(blank=True, default="", max_length=32),
        ),
        migrations.AddField(
            model_name="discrepancy",
            name="value_of",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
    ]
