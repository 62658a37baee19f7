"""The clerical desk: pairs of records that may be of one person, and what clerks said of them. No values: weights and levels only."""

from __future__ import annotations

from django.db import models

from kerege.identity.appendonly import AppendOnly


class ClericalTask(AppendOnly):
    """One question: are these two records of one person? `waterfall` is how the weight came about, as data, without values."""

    task_id = models.CharField(max_length=64, unique=True)
    definition = models.CharField(max_length=64)
    definition_version = models.CharField(max_length=32)
    left_register = models.CharField(max_length=64)
    left_ref = models.CharField(max_length=64)
    right_register = models.CharField(max_length=64)
    right_ref = models.CharField(max_length=64)
    weight = models.FloatField(null=True)
    probability = models.FloatField(null=True)
    waterfall = models.JSONField(default=dict)
    why = models.CharField(max_length=64)
    double_review = models.BooleanField(default=False)
    asked_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["definition", "left_register", "left_ref", "right_register", "right_ref"],
                name="reconcile_asked_once",
            ),
        )

    def __str__(self) -> str:
        return self.task_id


class ClericalDecision(AppendOnly):
    """What one clerk said of a task, with the reason. Kept for ever: it is truth for later measuring."""

    task = models.ForeignKey(ClericalTask, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=16)
    reason = models.CharField(max_length=400)
    by = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["task", "by"], name="reconcile_one_word_each"),)

    def __str__(self) -> str:
        return f"{self.task_id} {self.verdict}"


class TaskContest(AppendOnly):
    """What was settled of `task` was found to contradict what was settled of `against` (none: the records have one key for another reason).

    `words`: how many decisions the task had then; the next one settles it again.
    """

    task = models.ForeignKey(ClericalTask, on_delete=models.PROTECT, related_name="+")
    against = models.ForeignKey(ClericalTask, on_delete=models.PROTECT, null=True, related_name="+")
    words = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["task", "against"], name="reconcile_contested_once"),)

    def __str__(self) -> str:
        return f"{self.task_id} against {self.against_id}"
