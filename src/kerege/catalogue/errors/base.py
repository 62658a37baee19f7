"""The class that every error of the catalogue is."""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class CatalogueError(KeregeError):
    """Any error of this room, for `except`."""
