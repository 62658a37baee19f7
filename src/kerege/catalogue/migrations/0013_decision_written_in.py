# ruff: noqa: RUF012 - class attributes as Django writes them
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalogue", "0012_decision_replaced"),
    ]

    operations = [
        migrations.AddField(
            model_name="codedecision",
            name="written_in",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="decisions",
                to="catalogue.crosswalkversion",
            ),
        ),
    ]
