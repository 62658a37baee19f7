"""What is made from the whole catalogue is made once for each state of it, and not once for everybody who asks.

Kept in this process for as long as `catalogue.revision` stays the same: that is asked on every request, so nothing is served that is no longer so.
Who asks for the same while it is being made waits for it. A bounded number of things is kept; what was made first goes first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

from kerege.catalogue.revision import revision
from kerege.ground import clock

T = TypeVar("T")
_MOST: Final = 48
_LOCK: Final = threading.RLock()
_KEPT: Final[OrderedDict[Hashable, tuple[str, Any]]] = OrderedDict()


def kept(name: Hashable, make: Callable[[], T]) -> T:
    """What `make` gives in the catalogue's present state. The state is asked before it is made: a change amid the making is seen by who asks next."""
    now = revision(clock.now())
    if (found := _found(name, now)) is not None:
        return found[1]  # type: ignore[no-any-return]
    with _LOCK:
        now = revision(clock.now())
        if (found := _found(name, now)) is not None:  # somebody made it while this one waited
            return found[1]  # type: ignore[no-any-return]
        value = make()
        _KEPT.pop(name, None)
        _KEPT[name] = (now, value)
        while len(_KEPT) > _MOST:
            _KEPT.popitem(last=False)
        return value


def forget() -> None:
    """Keep nothing: where another catalogue begins in the same process."""
    with _LOCK:
        _KEPT.clear()


def _found(name: Hashable, now: str) -> tuple[str, Any] | None:
    found = _KEPT.get(name)
    return found if found is not None and found[0] == now else None
