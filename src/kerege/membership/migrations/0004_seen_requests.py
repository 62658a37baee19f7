# ruff: noqa: RUF012 - class attributes as Django writes them
"""Signed management messages are remembered whatever became of them; those received so far are, too."""

from typing import Any

from django.db import migrations, models


def remember_received(apps: Any, _: Any) -> None:
    rows = apps.get_model("membership", "ManagementRequestRow").objects.exclude(signer="")
    seen = apps.get_model("membership", "SeenRequest")
    seen.objects.bulk_create(
        (seen(digest=row.digest, signer=row.signer, seen_at=row.received_at) for row in rows.iterator()),
        batch_size=500,
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("membership", "0003_contract_terms"),
    ]

    operations = [
        migrations.CreateModel(
            name="SeenRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(max_length=64)),
                ("signer", models.CharField(max_length=190)),
                ("seen_at", models.DateTimeField()),
            ],
        ),
        migrations.AddConstraint(
            model_name="seenrequest",
            constraint=models.UniqueConstraint(fields=("digest", "signer"), name="membership_one_message_per_signer"),
        ),
        migrations.AddField(
            model_name="managementrequestrow",
            name="origin",
            field=models.CharField(blank=True, default="", max_length=50),
        ),
        migrations.AlterField(
            model_name="managementrequestrow",
            name="digest",
            field=models.CharField(max_length=64),
        ),
        migrations.AddConstraint(
            model_name="managementrequestrow",
            constraint=models.UniqueConstraint(fields=("digest", "signer"), name="membership_one_request_per_message"),
        ),
        migrations.RunPython(remember_received, migrations.RunPython.noop),
    ]
