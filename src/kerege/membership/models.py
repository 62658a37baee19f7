"""The network's register: members, subsystems, servers, rights, contracts, permits, publications."""

from __future__ import annotations

from django.db import models

from kerege.identity.appendonly import AppendOnly
from kerege.membership.central_models import (
    AuthCertificate,
    CentralSetting,
    GlobalGroup,
    ManagementRequestRow,
    MemberClass,
    Partner,
    SeenRequest,
    TrustService,
)
from kerege.membership.states import PermitState

__all__ = [
    "AuthCertificate",
    "CentralSetting",
    "Contract",
    "GlobalGroup",
    "ManagementRequestRow",
    "Member",
    "MemberClass",
    "Partner",
    "Permit",
    "PublicServiceClient",
    "Publication",
    "Right",
    "SecurityServer",
    "SeenRequest",
    "Subsystem",
    "TrustService",
]


class Member(models.Model):
    """An organisation: KG/GOV/70000003."""

    code = models.CharField(max_length=190, unique=True)
    name_ky = models.CharField(max_length=300)
    name_ru = models.CharField(max_length=300)
    name_en = models.CharField(max_length=300)
    registered_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.code


class Subsystem(models.Model):
    """A system of a member on the network: KG/GOV/70000003/emis."""

    code = models.CharField(max_length=190, unique=True)
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="subsystems")
    name = models.CharField(max_length=300, blank=True, default="")
    registered_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.code


class SecurityServer(models.Model):
    """A node: KG/GOV/70000003/node-edu. `auth_cert_sha256` lists the certificates it may show."""

    code = models.CharField(max_length=190, unique=True)
    owner = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="servers")
    address = models.CharField(max_length=255)
    auth_cert_sha256: models.JSONField[list[str], list[str]] = models.JSONField(default=list)
    clients: models.ManyToManyField[Subsystem, models.Model] = models.ManyToManyField(Subsystem, related_name="servers")
    disabled: models.JSONField[list[str], list[str]] = models.JSONField(default=list)  # clients not published for now
    maintenance = models.CharField(max_length=500, null=True, blank=True)  # the message; null: not in maintenance
    registered_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.code


class PublicServiceClient(models.Model):
    """The subsystem that acts for a public service: its traffic needs a permit."""

    public_service = models.CharField(max_length=100)
    client = models.ForeignKey(Subsystem, on_delete=models.PROTECT, related_name="public_services")

    class Meta:
        constraints = (
            # one subsystem, one public service: else a permit of one would carry the other's traffic
            models.UniqueConstraint(fields=("client",), name="membership_one_public_service_per_client"),
        )

    def __str__(self) -> str:
        return self.public_service


class Right(models.Model):
    """A holder may call a data service until a time; revoking writes a time, the row stays."""

    right_id = models.CharField(max_length=64, unique=True)
    holder = models.ForeignKey(Subsystem, on_delete=models.PROTECT, related_name="rights")
    provider = models.ForeignKey(Subsystem, on_delete=models.PROTECT, related_name="rights_given")
    data_service = models.CharField(max_length=190)
    method = models.CharField(max_length=10)
    path = models.CharField(max_length=255)
    valid_until = models.DateTimeField()
    granted_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    ledger_index = models.BigIntegerField()

    def __str__(self) -> str:
        return self.right_id


class Contract(models.Model):
    """What the answers of a data service mean: which mapping, applied where, owned by whom, on what legal basis."""

    provider = models.ForeignKey(Subsystem, on_delete=models.PROTECT, related_name="contracts")
    data_service = models.CharField(max_length=190)
    path = models.CharField(max_length=255)
    mapping = models.CharField(max_length=190)
    at = models.CharField(max_length=10, choices=[("consumer", "consumer"), ("provider", "provider")])
    mode = models.CharField(
        max_length=10, default="observe", choices=[(m, m) for m in ("observe", "warn", "quarantine", "refuse")]
    )
    translate = models.CharField(max_length=10, default="asked", choices=[(t, t) for t in ("asked", "always", "never")])
    method = models.CharField(max_length=10, default="*")
    schema = models.TextField(default="", blank=True)
    rules = models.TextField(default="", blank=True)  # of a data contract, as nodes get them
    owner = models.CharField(max_length=190)
    legal_basis = models.CharField(max_length=190)
    set_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("data_service", "path", "method"), name="membership_one_contract_per_path_and_method"
            ),
        )

    def __str__(self) -> str:
        return f"{self.data_service} {self.path}"


class Permit(AppendOnly):
    """One setting of a permit; the newest row of a public service is the one in force."""

    public_service = models.CharField(max_length=100)
    client = models.CharField(max_length=190)
    state = models.CharField(max_length=16, choices=[(s.value, s.value) for s in PermitState])
    data_services: models.JSONField[list[str], list[str]] = models.JSONField()
    until = models.DateTimeField()
    verdict_index = models.BigIntegerField()
    verdict_leaf = models.CharField(max_length=64)
    set_at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("public_service", "-id"), name="membership_permit_newest"),)

    def __str__(self) -> str:
        return f"{self.public_service} {self.state}"


class Publication(AppendOnly):
    """One publication of the configuration to the nodes; the version grows when the picture changed."""

    version = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    published_at = models.DateTimeField()
    ledger_index = models.BigIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return f"version {self.version}"
