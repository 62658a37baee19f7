"""What was decided under one configuration, and goes with it: of one that is no more nothing is kept, for it is large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from kerege.node.conf.picture import Picture

K = TypeVar("K")
V = TypeVar("V")


class UnderOne(Generic[K, V]):
    """A table whose entries were all decided under the same configuration; one that is full is begun anew.

    kept   what is in it now, under whichever that is
    """

    __slots__ = ("_most", "_picture", "kept")

    def __init__(self, most: int) -> None:
        self._most = most
        self._picture: Picture | None = None
        self.kept: dict[K, V] = {}

    def of(self, picture: Picture | None) -> dict[K, V]:
        """The table under `picture`: empty where it held another's."""
        if self._picture is not picture:
            self._picture = picture
            self.kept.clear()
        return self.kept

    def put(self, picture: Picture, key: K, value: V) -> None:
        kept = self.of(picture)
        if len(kept) >= self._most:
            kept.clear()
        kept[key] = value
