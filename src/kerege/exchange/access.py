"""Who may call what: the access decision on the provider's side.

All access is denied until granted (X-Road security architecture). Pure: no sockets, no clock of its own. The path is the decoded,
normalised one from `resttarget.decision_path`, which refuses whatever two readers could read in two ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.rules import Right, Rules
from kerege.ground.clock import require_utc


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call may pass. `reason` is stable: granted, no_right, method, path, expired."""

    allowed: bool
    reason: str
    right: Right | None = None


@lru_cache(maxsize=4096)
def _pattern(path: str) -> re.Pattern[str]:
    """A path pattern as a regular expression: `*` within a segment, `**` across, `\\` takes the next character as it is."""
    out, index = [], 0
    while index < len(path):
        char = path[index]
        if char == "\\" and index + 1 < len(path):
            out.append(re.escape(path[index + 1]))
            index += 2
        elif path.startswith("**", index):
            out.append(".*")
            index += 2
        elif char == "*":
            out.append("[^/]*")
            index += 1
        else:
            out.append(re.escape(char))
            index += 1
    return re.compile("".join(out) + r"\Z", re.DOTALL)


def path_matches(pattern: str, path: str) -> bool:
    return _pattern(pattern).match(path) is not None


def decide(
    client: ClientId,
    service: DataServiceId,
    method: str,
    path: str,
    rules: Rules,
    groups: frozenset[str],
    now: datetime,
) -> Decision:
    """Say whether `client` may call `method` on `path` of `service` at `now`, and why.

    path     from `resttarget.decision_path`
    groups   codes of the groups `client` is in
    now      aware UTC; a right ends at its last second, inclusive

    Source: X-Road UC MESS_03, steps 2a and 9.
    """
    require_utc(now)
    closest = "no_right"
    for right in rules.rights_for(service):
        if isinstance(right.holder, str):
            if right.holder[6:] not in groups:
                continue
        elif right.holder.client != client:
            continue
        if right.valid_until is not None and now.replace(microsecond=0) > right.valid_until:
            closest = "expired"
        elif right.method not in ("*", method):
            closest = "method" if closest == "no_right" else closest
        elif not path_matches(right.path, path):
            closest = "path" if closest == "no_right" else closest
        else:
            return Decision(True, "granted", right)
    return Decision(False, closest)


REASONS = {
    "no_right": "no right was granted",
    "method": "its right is for another method",
    "path": "its right is for other paths",
    "expired": "its right has ended",
}
