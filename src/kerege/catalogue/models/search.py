"""The search index: one row for each thing that can be found, one for each word it may be found by. No value of a register is in it.

The rows are derived: `kerege search --rebuild` makes all of them anew. How they are looked up is `catalogue.search.engines`.

An entry's id says what is asked of every entry found, so that counting and cutting thousands of them reads no row: see `search.ids`.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class SearchEntry(models.Model):
    """A dataset, field, concept, code list, code, crosswalk, owner or contract as search knows it."""

    kind = models.CharField(max_length=20)
    key = models.CharField(max_length=500)  # the thing's own id within its kind
    parent = models.CharField(
        max_length=500, blank=True
    )  # what it belongs to: of a field the dataset, of a code the list
    title = models.JSONField()  # what is shown: {"ky", "ru", "en"} or {"": name}
    note = models.TextField(blank=True)  # a second line that is shown: a description, other wordings
    head = models.TextField()  # keys of the words of its names, blanks between
    whole = models.TextField(blank=True)  # each of its names as one key: what it is called just so
    body = models.TextField(blank=True)  # keys of the words of everything else
    organisation = models.CharField(max_length=20, blank=True)
    personal = models.BooleanField(null=True)
    owned = models.BooleanField(null=True)
    public = models.BooleanField(default=False)  # whether it may leave: `exports.publication`

    class Meta:
        constraints = (models.UniqueConstraint(fields=["kind", "key"], name="one_search_entry_per_thing"),)
        indexes: ClassVar = [models.Index(fields=["kind", "parent"], name="search_entry_parent")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class SearchFacet(models.Model):
    """One combination of what hits are narrowed by and counted by; its number is part of the ids of the entries that have it."""

    told = models.CharField(max_length=60, unique=True)  # `search.ids.Facet.told`

    def __str__(self) -> str:
        return self.told


class SearchWord(models.Model):
    """One word key that stands in some entry: what a typed word is compared with when it stands in none as it is."""

    word = models.CharField(max_length=100, unique=True)

    def __str__(self) -> str:
        return self.word
