"""Who owns an attribute and which attribute decides for a concept, each with its legal basis and the time it is valid.

Periods are half-open: `since` belongs to them, `until` does not. Rows are numbered per attribute (per concept); the number is unique, so
that two who name an owner at the same moment cannot both be written, whatever database is below. An ending is written into the row, which
stays; nothing else of it ever changes.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from django.db import models
from django.db.models import F, Q

from kerege.catalogue.models.inventory import Field

_Row = TypeVar("_Row", bound=models.Model, covariant=True)


class ValidQuerySet(models.QuerySet[_Row]):
    """Rows that are valid for a time."""

    def valid_at(self, moment: datetime) -> ValidQuerySet[_Row]:
        """Those whose period covers `moment`. An end that lies ahead (an interim owner's) is no end yet."""
        return self.filter(Q(until=None) | Q(until__gt=moment), since__lte=moment)


_ENDS_LATER = Q(until=None) | Q(until__gte=F("since"))


class Owner(models.Model):
    """The one data owner of an attribute for a time. A former owner stays, with the moment it ended."""

    LASTING, INTERIM = "lasting", "interim"

    field = models.ForeignKey(Field, on_delete=models.PROTECT, related_name="owners")
    number = models.PositiveIntegerField(default=1)
    kind = models.CharField(max_length=10, default=LASTING)
    organisation = models.CharField(max_length=20)
    unit = models.CharField(max_length=200)  # the post or unit that answers, not a person's name
    legal_basis = models.CharField(max_length=500)
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)  # of an interim owner always set: the day its term ends
    names_lasting = models.CharField(max_length=200, blank=True)  # of an interim owner: who must name the lasting one
    named_by = models.CharField(max_length=200, blank=True)
    ended_by = models.CharField(max_length=200, blank=True)
    ended_reason = models.CharField(max_length=500, blank=True)
    ended_basis = models.CharField(max_length=500, blank=True)
    ledger_index = models.BigIntegerField(null=True)

    objects = ValidQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["field"], condition=Q(until=None), name="one_owner_per_attribute"),
            models.UniqueConstraint(fields=["field", "number"], name="catalogue_owner_number"),
            models.CheckConstraint(condition=_ENDS_LATER, name="catalogue_owner_ends_after_it_begins"),
            models.CheckConstraint(
                condition=~Q(kind="interim") | (Q(until__isnull=False) & ~Q(names_lasting="")),
                name="catalogue_interim_owner_has_a_term",
            ),
        )

    def __str__(self) -> str:
        return f"{self.organisation} {self.unit}"


class SourceOfTruth(models.Model):
    """Which attribute of which dataset decides for a concept, by what law, for a time."""

    concept = models.CharField(max_length=200)
    number = models.PositiveIntegerField(default=1)
    field = models.ForeignKey(Field, on_delete=models.PROTECT, related_name="truth_of")
    legal_basis = models.CharField(max_length=500)
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    declared_by = models.CharField(max_length=200, blank=True)
    ended_by = models.CharField(max_length=200, blank=True)
    ended_reason = models.CharField(max_length=500, blank=True)
    ended_basis = models.CharField(max_length=500, blank=True)
    ledger_index = models.BigIntegerField(null=True)

    objects = ValidQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["concept"], condition=Q(until=None), name="one_source_of_truth_per_concept"
            ),
            models.UniqueConstraint(fields=["concept", "number"], name="catalogue_truth_number"),
            models.CheckConstraint(condition=_ENDS_LATER, name="catalogue_truth_ends_after_it_begins"),
        )

    def __str__(self) -> str:
        return f"{self.concept}: {self.field}"
