"""People, organisations, roles, grants, and the record of reads of personal data.

Only officers and service staff are persons here; citizens appear as keyed pseudonyms alone.
"""

from __future__ import annotations

from django.db import models

from kerege.identity.appendonly import AppendOnly
from kerege.identity.reads import CHANNELS


class Organisation(models.Model):
    """A public body; `code` is its member identifier in the network, such as KG/GOV/70000003."""

    code = models.CharField(max_length=190, unique=True)
    name_ky = models.CharField(max_length=300)
    name_ru = models.CharField(max_length=300)
    name_en = models.CharField(max_length=300)

    def __str__(self) -> str:
        return self.code


class Person(models.Model):
    """An officer: someone who acts in the system under a name."""

    person_id = models.CharField(max_length=64, unique=True)
    display_name = models.CharField(max_length=200)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="people")
    left_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.person_id


class Role(models.Model):
    """A named set of actions; no wildcard exists."""

    code = models.CharField(max_length=64, unique=True)
    name_ky = models.CharField(max_length=200)
    name_ru = models.CharField(max_length=200)
    name_en = models.CharField(max_length=200)
    actions: models.JSONField[list[str], list[str]] = models.JSONField()

    def __str__(self) -> str:
        return self.code


class Grant(models.Model):
    """One role for one person in one scope until a day; revoking writes a time, the row stays."""

    grant_id = models.CharField(max_length=64, unique=True)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="grants")
    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="grants")
    scope = models.CharField(max_length=190)
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField()
    granted_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    ledger_index = models.BigIntegerField()
    ledger_leaf = models.CharField(max_length=64)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(valid_until__gt=models.F("valid_from")), name="identity_grant_ends_after_it_begins"
            ),
        )

    def __str__(self) -> str:
        return self.grant_id


class PersonalDataRead(AppendOnly):
    """One read of one person's data. `about` is a keyed pseudonym; the ledger entry holds `commitment`."""

    member = models.CharField(max_length=190)
    reader = models.CharField(max_length=190)
    about = models.CharField(max_length=64)
    purpose = models.CharField(max_length=190)
    legal_basis = models.CharField(max_length=190)
    data_service = models.CharField(max_length=190)
    message_id = models.CharField(max_length=190, blank=True)
    at = models.DateTimeField()
    channel = models.CharField(max_length=16, choices=[(c, c) for c in CHANNELS])
    salt = models.CharField(max_length=64)
    commitment = models.CharField(max_length=80)
    ledger_index = models.BigIntegerField()
    ledger_leaf = models.CharField(max_length=64)

    class Meta:
        indexes = (
            models.Index(fields=("about", "-at"), name="identity_read_about"),
            models.Index(fields=("message_id",), name="identity_read_message"),
        )

    def __str__(self) -> str:
        return f"read {self.pk}"
