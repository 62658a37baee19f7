"""What the central services add to the network's register: certificates, groups, trust services, partners, settings, requests."""

from __future__ import annotations

from typing import Any

from django.db import models


class MemberClass(models.Model):
    """A class of members: GOV, Governmental organisations."""

    code = models.CharField(max_length=60, unique=True)
    description = models.CharField(max_length=300)

    def __str__(self) -> str:
        return self.code


class AuthCertificate(models.Model):
    """A certificate a server may show to its peers; one certificate belongs to one server."""

    server = models.ForeignKey("membership.SecurityServer", on_delete=models.PROTECT, related_name="certificates")
    der = models.BinaryField()
    sha256 = models.CharField(max_length=64, unique=True)
    registered_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.sha256


class GlobalGroup(models.Model):
    """A group of members and subsystems, defined for the whole instance."""

    code = models.CharField(max_length=190, unique=True)
    description = models.CharField(max_length=300)
    members: models.JSONField[list[str], list[str]] = models.JSONField(default=list)

    def __str__(self) -> str:
        return self.code


class TrustService(models.Model):
    """An approved certification authority ("ca") or time-stamping authority ("tsa"); `body` is what `central` reads."""

    kind = models.CharField(max_length=3, choices=[("ca", "ca"), ("tsa", "tsa")])
    name = models.CharField(max_length=190)
    body: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("kind", "name"), name="membership_one_trust_service_per_name"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Partner(models.Model):
    """An instance the own one is federated with, by its external configuration anchor."""

    instance = models.CharField(max_length=60, unique=True)
    anchor = models.TextField()

    def __str__(self) -> str:
        return self.instance


class CentralSetting(models.Model):
    """One setting of the instance, by name; `central.SETTINGS` lists them."""

    name = models.CharField(max_length=60, unique=True)
    value: models.JSONField[Any, Any] = models.JSONField()

    def __str__(self) -> str:
        return self.name


class ManagementRequestRow(models.Model):
    """A management request as received: what it asks, who signed it, and what became of it. Never deleted."""

    kind = models.CharField(max_length=40)
    server = models.CharField(max_length=190)
    client = models.CharField(max_length=190, blank=True)
    body: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()
    digest = models.CharField(max_length=64)
    sender = models.CharField(max_length=190)
    signer = models.CharField(max_length=190, blank=True)
    origin = models.CharField(max_length=50, blank=True, default="")  # the address an unsigned one came from
    state = models.CharField(max_length=10, choices=[(s, s) for s in ("waiting", "approved", "declined")])
    received_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=190, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    ledger_index = models.BigIntegerField()

    class Meta:
        indexes = (models.Index(fields=("state", "kind", "server"), name="membership_request_waiting"),)
        constraints = (models.UniqueConstraint(fields=("digest", "signer"), name="membership_one_request_per_message"),)

    def __str__(self) -> str:
        return f"{self.pk} {self.kind} {self.state}"


class SeenRequest(models.Model):
    """A signed management message that was here, whatever became of it; never taken again. Never deleted."""

    digest = models.CharField(max_length=64)
    signer = models.CharField(max_length=190)
    seen_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("digest", "signer"), name="membership_one_message_per_signer"),)

    def __str__(self) -> str:
        return f"{self.digest} {self.signer}"
