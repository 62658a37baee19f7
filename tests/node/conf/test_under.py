"""A table under one configuration: nothing of another is in it, and nothing of another is held."""

import gc
import weakref
from typing import cast

from kerege.node.conf.picture import Picture
from kerege.node.conf.under import UnderOne


class Large:
    """Stands for a configuration."""


def picture() -> Picture:
    return cast(Picture, Large())


def test_what_was_put_under_one_configuration_is_there_under_it_alone() -> None:
    table: UnderOne[str, int] = UnderOne(10)
    first, second = picture(), picture()
    table.put(first, "a", 1)
    table.put(first, "b", 2)
    assert table.of(first) == table.kept == {"a": 1, "b": 2}
    assert table.of(second) == table.kept == {}
    table.put(second, "c", 3)
    assert table.of(first) == {}


def test_putting_forgets_what_was_under_another() -> None:
    table: UnderOne[str, int] = UnderOne(10)
    table.put(picture(), "a", 1)
    table.put(picture(), "b", 2)
    assert table.kept == {"b": 2}


def test_none_is_a_configuration_of_its_own() -> None:
    table: UnderOne[str, int] = UnderOne(10)
    table.put(picture(), "a", 1)
    assert table.of(None) == {}


def test_a_table_that_is_full_is_begun_anew() -> None:
    table: UnderOne[int, int] = UnderOne(3)
    one = picture()
    for n in range(4):
        table.put(one, n, n)
    assert table.kept == {3: 3}


def test_nothing_of_a_configuration_is_held_once_another_was_asked_for() -> None:
    table: UnderOne[str, object] = UnderOne(10)
    old = picture()
    gone = weakref.ref(old)
    table.put(old, "a", old)
    table.of(picture())
    del old
    gc.collect()
    assert gone() is None
