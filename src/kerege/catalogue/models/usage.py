"""Who uses what: calls between subsystems as an exchange node saw them, and which fields went with them. No values, no persons."""

from __future__ import annotations

from django.db import models

from kerege.catalogue.models.inventory import Dataset


class NodeReading(models.Model):
    """How far the traffic of one node has been counted; the next reading begins there, so that no call counts twice."""

    source = models.CharField(max_length=300, unique=True)
    read_until = models.DateTimeField()


class ServiceUse(models.Model):
    """One consumer's calls of one data service, as one node saw them from one side."""

    source = models.CharField(max_length=300)  # the node that was read
    side = models.CharField(max_length=10)  # provider: its own services were called; client: its systems called others'
    consumer = models.CharField(max_length=200)  # subsystem that called
    service = models.CharField(max_length=300)  # data service that was called
    endpoint = models.CharField(
        max_length=300, blank=True
    )  # method and path, the segments that may name someone masked
    dataset = models.ForeignKey(Dataset, on_delete=models.SET_NULL, null=True, related_name="uses")
    calls = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    answers = models.BigIntegerField(default=0)  # whose structure was looked at
    withheld = models.IntegerField(default=0)  # field names left out because too few answers had them
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["source", "side", "consumer", "service", "endpoint"], name="one_use_per_consumer_and_service"
            ),
        )

    def __str__(self) -> str:
        return f"{self.consumer} -> {self.service} {self.endpoint}".rstrip()


class FieldUse(models.Model):
    """A field that stood in answers of a use, by name; `answers` is in how many of those looked at."""

    use = models.ForeignKey(ServiceUse, on_delete=models.CASCADE, related_name="fields")
    name = models.CharField(max_length=300)
    answers = models.BigIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["use", "name"], name="one_field_use_per_name"),)
