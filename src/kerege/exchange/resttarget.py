"""The target of a REST call taken apart, and the one reading of its path on which access is decided.

Implements X-Road PR-REST 4.1: `/r1/{instance}/{class}/{member}/{subsystem}/{service}[/path][?query]`. The path is passed on as it came;
what two readers could read in two ways is refused, so that what was decided on is what the provider's system sees.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from kerege.exchange.errors import IdentifierInvalid, PathRefused, TargetInvalid
from kerege.exchange.ids import DataServiceId, decode_part, percent_decode

_TARGET: Final = re.compile(r"[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+\Z")
# the same taken apart: the five identifier parts, the path after them, the query
_FORM: Final = re.compile(
    r"/r1/((?:[\x21\x24-\x2e\x30-\x3b\x3d\x40-\x5b\x5d\x5f\x61-\x7a\x7e]*/){4}"
    r"[\x21\x24-\x2e\x30-\x3b\x3d\x40-\x5b\x5d\x5f\x61-\x7a\x7e]*)"
    r"(/[\x21\x24-\x3b\x3d\x40-\x5b\x5d\x5f\x61-\x7a\x7e]*)?"
    r"(?:\?([\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]*))?\Z"
)
# nothing in it that could be read in two ways
_PLAIN_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*/?\Z")


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed request target: whose data service, the raw path after it (with its first slash, or ""), the raw query."""

    service: DataServiceId
    path: str
    query: str | None


@lru_cache(maxsize=4096)
def _service_of(head: str) -> DataServiceId:
    parts = head.split("/")
    return DataServiceId(*(decode_part(part, "request target") for part in parts))


def parse_target(target: str) -> Target:
    """`/r1/{instance}/{class}/{member}/{subsystem}/{service}[/path][?query]` taken apart; every part must be there."""
    return Target(*parts_of(target))


def parts_of(target: str) -> tuple[DataServiceId, str, str | None]:
    """`parse_target` without an object for it: data service, path, query."""
    found = _FORM.match(target)
    if found is None:
        if not _TARGET.match(target):
            raise TargetInvalid(reason="it holds characters that must be percent-encoded")
        raise TargetInvalid(reason="it does not begin with /r1 and five identifier parts")
    service, path, query = found.groups()
    return _service_of(service), path or "", query


def decision_path(path: str) -> str:
    """The decoded, normalised path that access is decided on. Raises PathRefused for anything that two readers could read
    in two ways: dot or empty segments, encoded slashes and backslashes, nested encoding, control characters."""
    if _PLAIN_PATH.match(path):
        return path or "/"
    try:
        decoded = percent_decode(path, "path")
    except IdentifierInvalid as problem:
        raise PathRefused(reason=str(problem.params["reason"])) from None
    if not decoded or decoded == "/":
        return "/"
    upper = path.upper()
    if "%2F" in upper or "%5C" in upper or "\\" in decoded:
        raise PathRefused(reason="it holds an encoded slash or a backslash")
    if re.search(r"%[0-9A-Fa-f]{2}", decoded):
        raise PathRefused(reason="it is percent-encoded more than once")
    if any(not char.isprintable() for char in decoded):
        raise PathRefused(reason="it holds a control character")
    segments = decoded.split("/")[1:]
    for index, segment in enumerate(segments):
        name = segment.partition(";")[0]
        if name in {".", ".."}:
            raise PathRefused(reason="it holds a dot segment")
        if not segment and index != len(segments) - 1:
            raise PathRefused(reason="it holds an empty segment")
    return decoded


_RESOURCE: Final = re.compile(r"[a-z](?:[a-z_-]|\d(?!\d)){0,39}\Z")


def masked_path(path: str) -> str:
    """`path` for monitoring and messages: its first segment when that is plainly a resource's name, `*` for all the rest.

    Which later segment is a name, a street or a number cannot be told from its letters, so none of them is kept.
    """
    first, slash, rest = path.removeprefix("/").partition("/")
    kept = first if not first or _RESOURCE.match(first) else "*"
    return f"/{kept}" + ("/*" if slash and rest else slash)
