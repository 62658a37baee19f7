"""The native path of small REST messages over the Kerege link: the same bytes as the modules of this room make, many messages at a time.

What nearly all messages of a busy node are (a REST call with a body of at most 64 KiB, by a way that was decided on a moment ago) is
read, hashed, recorded and framed here by compiled code, a batch in one go. Everything else, and every refusal, is the Python modules'
affair: a function here says that it does not take a message, and never refuses one. So the Python modules stay the law, and the tests
hold every function here to them (tests/exchange/lane). Where nothing is compiled (`BUILT` is False) all messages go their way.
Compiled by `tools/native.py`, which `make setup` runs; docs/decisions/0150 says why.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Final

NOT_THERE: Final = (ImportError, ValueError, TypeError)
"""What importing a native module raises that is not compiled, or was compiled for another form of what the modules share."""
BUILT: bool
"""Whether the native modules are there, all of them, and of one make: `problem` says what is wrong."""

_MODULES: Final = (
    *("call", "digest", "frames", "lines", "packing", "passes", "records"),
    *("restfields", "restlines", "restsigned", "resttargets", "chains", "wirehttp", "multiparts"),
)


@lru_cache(maxsize=1)
def problem() -> str | None:
    """Why there is no native path; None where there is one."""
    for one in _MODULES:
        try:
            importlib.import_module(f"{__name__}.{one}")
        except NOT_THERE as found:
            return f"{one}: {found}"
    return None


def __getattr__(name: str) -> bool:
    if name != "BUILT":  # not known before it is asked: the modules need others of this room, which need this one
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return problem() is None
