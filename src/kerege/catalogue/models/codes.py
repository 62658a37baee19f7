"""Code lists and crosswalks as the catalogue keeps them: versions, codes nobody mapped, suggestions and what stewards decided.

A version's content never changes once written; which version is in force is the life cycle's business (`lifecycle`, kinds "codelist" and
"crosswalk"). Decisions are kept for good: they are the truth against which suggestions are measured later.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q


class CodeListVersion(models.Model):
    """One version of a code list, whole, as the Turtle that `semantics.codelists.skos` writes."""

    list_id = models.CharField(max_length=200)  # as mappings name it: "kg:sex"
    version = models.CharField(max_length=60)
    follows = models.CharField(max_length=60, blank=True)  # the version it was imported over
    title = models.JSONField()  # language -> wording
    codes = models.IntegerField()
    digest = models.CharField(max_length=64)
    content = models.TextField()
    origin = models.CharField(max_length=300, blank=True)  # the file's name and format, never a path
    imported_by = models.CharField(max_length=200)
    imported_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["list_id", "version"], name="catalogue_codelist_version_once"),)

    def __str__(self) -> str:
        return f"{self.list_id} {self.version}"


class CrosswalkVersion(models.Model):
    """One version of a crosswalk, whole, as SSSOM TSV."""

    crosswalk = models.CharField(max_length=200)
    version = models.CharField(max_length=60)
    subject_source = models.CharField(max_length=300, blank=True)
    object_source = models.CharField(max_length=300, blank=True)
    policy = models.CharField(max_length=120)
    rows = models.IntegerField()
    digest = models.CharField(max_length=64)
    content = models.TextField()
    imported_by = models.CharField(max_length=200)
    imported_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["crosswalk", "version"], name="catalogue_crosswalk_version_once"),
        )

    def __str__(self) -> str:
        return f"{self.crosswalk} {self.version}"


class UnmappedCode(models.Model):
    """A code that a crosswalk did not know, counted per place. A code that looks like a person's data stands here as its mask only."""

    crosswalk = models.CharField(max_length=200)
    version = models.CharField(max_length=60, blank=True)
    code = models.CharField(max_length=40)
    place = models.CharField(max_length=300)  # dataset column ("file.csv#people.sex"), service or node
    records = models.BigIntegerField(default=0)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)  # when a row of the crosswalk took care of it

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["crosswalk", "version", "code", "place"], name="catalogue_unmapped_code_once"
            ),
            models.CheckConstraint(
                condition=Q(last_seen__gte=F("first_seen")), name="catalogue_unmapped_seen_in_order"
            ),
        )

    def __str__(self) -> str:
        return f"{self.crosswalk}: {self.code}"


class CodeSuggestion(models.Model):
    """What the engine said of one source code at one time, before anybody decided."""

    crosswalk = models.CharField(max_length=200)
    run = models.CharField(
        max_length=40
    )  # one run of `suggest`; a later run does not overwrite what an earlier one said
    code = models.CharField(max_length=200)
    label = models.CharField(max_length=500, blank=True)
    said = models.CharField(max_length=10)  # accept, unsure, none
    reason = models.CharField(max_length=60)
    made_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["run", "code"], name="catalogue_suggestion_once_per_run"),)
        indexes = (models.Index(fields=["crosswalk", "code"], name="catalogue_suggestion_code"),)

    def __str__(self) -> str:
        return f"{self.crosswalk}: {self.code}"


class SuggestedTarget(models.Model):
    """One candidate of a suggestion, by rank from 1, with its score and what spoke for it."""

    suggestion = models.ForeignKey(CodeSuggestion, on_delete=models.PROTECT, related_name="candidates")
    rank = models.PositiveSmallIntegerField()
    target = models.CharField(max_length=200)
    label = models.CharField(max_length=500, blank=True)
    score = models.FloatField()
    evidence = models.JSONField(default=dict)  # {"label": 0.97, "links": {"records": 120, "share": 0.99}}

    class Meta:
        ordering = ("rank",)
        constraints = (
            models.UniqueConstraint(fields=["suggestion", "rank"], name="catalogue_candidate_rank_once"),
            models.UniqueConstraint(fields=["suggestion", "target"], name="catalogue_candidate_target_once"),
        )

    def __str__(self) -> str:
        return f"{self.rank}. {self.target}"


class CodeDecision(models.Model):
    """What a steward decided for a code: accepted with a target, refused a target, or no counterpart. Kept as truth; never changed."""

    ACCEPTED, REFUSED, NO_COUNTERPART = "accepted", "refused", "no-counterpart"

    crosswalk = models.CharField(max_length=200)
    code = models.CharField(max_length=200)
    suggestion = models.ForeignKey(CodeSuggestion, on_delete=models.PROTECT, null=True, related_name="decisions")
    verdict = models.CharField(max_length=20)
    target = models.CharField(max_length=200, blank=True)
    by = models.CharField(max_length=200)
    reason = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField()
    replaced = models.JSONField(
        default=dict
    )  # of a column: the meaning the decision took the place of (`codes.column_desk`), for undoing; {} where none
    # the version of the crosswalk in which it stands; a version takes exactly those it was made of, whatever the clocks said
    written_in = models.ForeignKey(CrosswalkVersion, on_delete=models.PROTECT, null=True, related_name="decisions")

    class Meta:
        indexes = (models.Index(fields=["crosswalk", "code"], name="catalogue_decision_code"),)
        constraints = (
            models.CheckConstraint(
                condition=(Q(verdict="no-counterpart") & Q(target=""))
                | (Q(verdict__in=["accepted", "refused"]) & ~Q(target="")),
                name="catalogue_decision_has_its_target",
            ),
        )

    def __str__(self) -> str:
        return f"{self.crosswalk}: {self.code} {self.verdict} {self.target}".rstrip()
