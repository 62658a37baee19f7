"""That the catalogue changed: a row for each change, so that what was made from all of it is known to be of now."""

from __future__ import annotations

from django.db import models


class CatalogueChange(models.Model):
    """One change of something that everybody may read. Only the newest are kept; `token` is random, so that no two states look alike."""

    token = models.CharField(max_length=32)

    def __str__(self) -> str:
        return self.token
