"""Models whose rows are written once: history is corrected by a new row, never rewritten.

The refusal is in the model layer, so it stops our own code and its mistakes; against someone with a password to the
database the ledger's commitments are the guard (each such row names its entry).
"""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from django.db import models

from kerege.identity.errors import HistoryFixed

Row = TypeVar("Row", bound=models.Model, covariant=True)


class AppendOnlyQuerySet(models.QuerySet[Row]):
    """A query set that reads and creates, and refuses the rest."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise HistoryFixed(table=self.model._meta.db_table, act="change")

    def delete(self) -> NoReturn:
        raise HistoryFixed(table=self.model._meta.db_table, act="deletion")

    def bulk_update(self, objs: Any, fields: Any, batch_size: int | None = None) -> NoReturn:
        raise HistoryFixed(table=self.model._meta.db_table, act="change")


class AppendOnly(models.Model):
    """Base of models whose rows never change."""

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise HistoryFixed(table=self._meta.db_table, act="change")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise HistoryFixed(table=self._meta.db_table, act="deletion")
