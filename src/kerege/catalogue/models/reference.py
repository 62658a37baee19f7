"""Reference datasets: what is published, who answers for it, and every version that ever was.

A version's bytes lie in files (`catalogue.reference.files`); here is their checksum and what they were made from. A published version is never
changed; one that was wrong is withdrawn with a reason and stays listed.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class ReferenceDataset(models.Model):
    """One reference dataset: its name in three languages, what it is made from, its owner and legal basis."""

    ref_id = models.CharField(max_length=100, unique=True)  # "kg-sex": part of addresses and file names
    kind = models.CharField(max_length=20)  # codelist, crosswalk, table
    subject = models.CharField(max_length=200)  # of a code list or crosswalk its id; of a table its mapping's id
    title = models.JSONField()  # Text
    description = models.JSONField()  # Text
    organisation = models.CharField(max_length=20)  # member code of the owner
    unit = models.CharField(max_length=200)  # the post or unit that answers, not a person's name
    legal_basis = models.CharField(max_length=500)
    frequency = models.CharField(max_length=20, blank=True)  # code of the EU frequency list: ANNUAL, IRREG, ...
    theme = models.CharField(max_length=10, blank=True)  # code of the EU data theme list: GOVE, SOCI, ...
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.ref_id


class ReferenceVersion(models.Model):
    """One published version, with the digest of its content and what made it."""

    dataset = models.ForeignKey(ReferenceDataset, on_delete=models.PROTECT, related_name="versions")
    version = models.CharField(max_length=40)
    digest = models.CharField(max_length=64)  # of columns and rows, whatever the file format
    rows = models.BigIntegerField()
    columns = models.JSONField()  # [{"name", "title", "datatype", "concept", "codelist"}]
    key_columns = models.JSONField()
    files = models.JSONField()  # [{"name", "media_type", "bytes", "sha256"}]
    provenance = models.JSONField()  # {"mapping", "crosswalks", "codelists", "source"}: each with version or digest
    published_at = models.DateTimeField()
    published_by = models.CharField(max_length=200)
    note = models.CharField(max_length=500, blank=True)
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["dataset", "version"], name="one_reference_version"),)
        ordering: ClassVar = ["published_at", "pk"]

    def __str__(self) -> str:
        return f"{self.dataset} {self.version}"
