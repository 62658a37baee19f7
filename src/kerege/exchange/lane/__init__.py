"""The native path of small REST messages over the Kerege link: the same bytes as the modules of this room make, many messages at a time.

What nearly all messages of a busy node are (a REST call with a body of at most 64 KiB, by a way that was decided on a moment ago) is
read, hashed, recorded and framed here by compiled code, a batch in one go. Everything else, and every refusal, is the Python modules'
affair: a function here says that it does not take a message, and never refuses one. So the Python modules stay the law, and the tests
hold every function here to them (tests/exchange/lane). Where nothing is compiled (`BUILT` is False) all messages go their way.
Compiled by `tools/native.py`, which `make setup` runs; docs/decisions/0150 says why.
"""

from __future__ import annotations

import importlib.util
from typing import Final

_MODULES: Final = (
    *("call", "digest", "frames", "lines", "packing", "records"),
    *("restfields", "restlines", "restsigned", "resttargets"),
)
BUILT: Final = all(importlib.util.find_spec(f"{__name__}.{one}") is not None for one in _MODULES)
"""Whether the native modules are there, all of them."""
