"""The inventory: datasets, fields, what they mean, plans and findings. Owners and sources of truth: `models.ownership`."""

from __future__ import annotations

from django.db import models


class Dataset(models.Model):
    """One table of one source, as last harvested. A vanished one stays, marked."""

    source = models.CharField(max_length=300)  # file name or postgresql://host:port/database, never a password
    kind = models.CharField(max_length=20)
    table = models.CharField(max_length=200)
    organisation = models.CharField(max_length=20, blank=True)  # member code of the agency that runs the register
    description = models.TextField(blank=True)
    rows = models.BigIntegerField(default=0)
    profile = models.JSONField()  # TableProfile.as_dict() without its fields
    vanished = models.BooleanField(default=False)
    harvested_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["source", "table"], name="one_dataset_per_table"),)

    def __str__(self) -> str:
        return f"{self.source}#{self.table}"


class Field(models.Model):
    """One attribute of a dataset."""

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="fields")
    name = models.CharField(max_length=200)
    position = models.IntegerField()
    profile = models.JSONField()  # FieldProfile.as_dict()
    personal = models.BooleanField(default=False)
    codelist = models.CharField(max_length=200, blank=True)
    vanished = models.BooleanField(default=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["dataset", "name"], name="one_field_per_column"),)

    def __str__(self) -> str:
        return f"{self.dataset}.{self.name}"


class ConceptLink(models.Model):
    """What an attribute means: a concept of the country pack, and who said so."""

    field = models.OneToOneField(Field, on_delete=models.PROTECT, related_name="concept_link")
    concept = models.CharField(max_length=200)
    said_by = models.CharField(max_length=200)
    linked_at = models.DateTimeField()


class Plan(models.Model):
    """A frozen difference between the catalogue and one harvest."""

    OPEN, APPLIED, LEFT = "open", "applied", "left"

    plan_id = models.CharField(max_length=40, unique=True)
    source = models.CharField(max_length=300)
    kind = models.CharField(max_length=20)
    location = models.CharField(max_length=1000, blank=True)  # absolute path of a file; empty for a database
    options = models.JSONField()
    fingerprint = models.CharField(max_length=64, blank=True)
    profile_digest = models.CharField(max_length=64)
    base_digest = models.CharField(max_length=64)  # of what the catalogue knew of this source when the plan was made
    profile = models.JSONField()
    changes = models.JSONField()
    usage = models.JSONField(
        default=dict
    )  # of an exchange node: who called what (catalogue.usage), {} for other sources
    cost = models.JSONField(default=dict)  # what the reading cost the source (sources.cost.Cost.as_dict)
    status = models.CharField(max_length=10, default=OPEN)
    made_at = models.DateTimeField()
    applied_at = models.DateTimeField(null=True)
    decided_by = models.CharField(
        max_length=200, blank=True
    )  # who applied it or left it, where it was done at the desk
    decided_reason = models.CharField(max_length=500, blank=True)
    left_at = models.DateTimeField(null=True)


class Finding(models.Model):
    """Something wrong, counted: an unknown code, an emptied column, a breach of a contract."""

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="findings")
    field = models.ForeignKey(Field, on_delete=models.PROTECT, null=True, related_name="findings")
    kind = models.CharField(max_length=60)
    detail = models.CharField(max_length=500, blank=True)
    records = models.BigIntegerField(default=1)
    found_by = models.CharField(max_length=60)  # harvest, harmonise, exchange, reconcile
    found_at = models.DateTimeField()  # when it was seen last
    first_at = models.DateTimeField(null=True)  # when it was seen first: from then on the owner's term runs
    settled_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(
        null=True
    )  # when its owner refused it or its sender withdrew it: seen again after that, it is a new finding
    facts = models.JSONField(
        default=dict
    )  # what a later harvest looks for, to see whether it is gone; no values below k
    evidence = models.CharField(
        max_length=500, blank=True
    )  # what showed that it is gone, for one that closed by itself
