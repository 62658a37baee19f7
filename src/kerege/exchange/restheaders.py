"""What the names of a REST message's headers say: which are X-Road's own, which go no further than one hop, what two readers could misread.

Implements X-Road PR-REST's rules of headers. A name is looked at once, and so is a sequence of names (`Shape`): clients and agencies say
the same headers again and again. `rest` reads and writes the messages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from kerege.exchange.errors import HeaderInvalid

Headers = tuple[tuple[bytes, bytes], ...]

HOP_BY_HOP: Final = frozenset(
    (
        b"transfer-encoding",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"upgrade",
        b"connection",
        b"user-agent",
        b"host",
        b"content-length",
        b"server",
        b"expect",
    )
)
# what a consumer's node drops from a provider's signed answer: how its own HTTP answer is framed and that it is a fault is its
# own to say. Headers that a `connection` header lists are hop-by-hop as well; see `for_the_client`.
NOT_FOR_THE_CLIENT: Final = HOP_BY_HOP | {b"proxy-connection", b"x-road-error"}
_NOT_FROM_CLIENT: Final = HOP_BY_HOP | {b"x-road-request-id", b"x-road-request-hash"}
_NOT_FROM_PROVIDER: Final = HOP_BY_HOP | {
    b"x-road-id",
    b"x-road-client",
    b"x-road-service",
    b"x-road-request-id",
    b"x-road-request-hash",
    b"x-road-error",
}
_SAID_ONCE: Final = (b"x-road-id", b"x-road-client", b"x-road-service", b"x-road-request-id", b"x-road-request-hash")
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")


class Name:
    """What a header's name says, found out once for each name."""

    __slots__ = (
        "dropped_from_client",
        "dropped_from_provider",
        "hop_by_hop",
        "low",
        "not_for_client",
        "once",
        "shadows",
        "xroad",
    )

    def __init__(self, name: bytes) -> None:
        low = name.lower()
        self.low = low
        self.xroad = low.startswith(b"x-road-")
        # to a reader that takes `_` for `-`, as gateways of agencies do
        self.shadows = b"_" in name and low.replace(b"_", b"-").startswith(b"x-road-")
        self.once = low in _SAID_ONCE
        self.hop_by_hop = low in HOP_BY_HOP
        self.dropped_from_client = low in _NOT_FROM_CLIENT
        self.dropped_from_provider = low in _NOT_FROM_PROVIDER or self.shadows
        self.not_for_client = low in NOT_FOR_THE_CLIENT or low.startswith(b"proxy-")


@lru_cache(maxsize=4096)
def name_of(name: bytes) -> Name:
    """Raises HeaderInvalid when `name` could be read as something else than one header's name."""
    if not _TOKEN.match(name):
        raise HeaderInvalid(header="(unnamed)", reason="its name is not a token")
    return Name(name)


class Shape:
    """What the names of a message's headers say together, found out once for each sequence of them: clients repeat theirs.

    Numbers are places in the headers; -1 where there is no such header.
    """

    __slots__ = (
        "accept",
        "client",
        "content_type",
        "for_agency",
        "for_client",
        "from_client",
        "from_client_plain",
        "from_provider",
        "message_id",
        "plain",
        "plain_answer",
        "request_id",
        "server",
    )

    def __init__(self, names: tuple[bytes, ...]) -> None:
        known = [name_of(one) for one in names]
        low = [one.low for one in known]
        last = {name: place for place, name in enumerate(low)}
        self.client, self.message_id = last.get(b"x-road-client", -1), last.get(b"x-road-id", -1)
        self.request_id, self.server = last.get(b"x-road-request-id", -1), last.get(b"x-road-security-server", -1)
        self.accept, self.content_type = last.get(b"accept", -1), last.get(b"content-type", -1)
        places = range(len(known))
        self.from_client = tuple([at for at in places if not known[at].dropped_from_client])
        self.from_provider = tuple([at for at in places if not known[at].dropped_from_provider])
        self.for_agency = tuple([at for at in places if not known[at].hop_by_hop])
        # what a `connection` header lists is found out for each message
        kept = tuple([at for at in places if not known[at].not_for_client])
        self.for_client = None if b"connection" in last else kept
        # no header of X-Road's own that two readers could read differently: repeated, or shadowed by underscores
        self.from_client_plain = _plain([known[at] for at in self.from_client])
        self.plain = _plain(known)
        once = [one.low for one in known if one.once]
        self.plain_answer = len(once) == len(set(once)) and not any(one.shadows for one in known)


def _plain(names: Sequence[Name]) -> bool:
    own = [one.low for one in names if one.xroad]
    return len(own) == len(set(own)) and not any(one.shadows for one in names)


_shape: Final = lru_cache(maxsize=512)(Shape)


def shape_of(headers: Headers) -> Shape:
    """Raises HeaderInvalid when a name could be read as something else than one header's name."""
    return _shape(tuple([name for name, _ in headers]))


def repeated(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """The first of X-Road's headers that is there a second time, or shadowed."""
    seen: set[bytes] = set()
    for key, _ in headers:
        name = name_of(key)
        if name.shadows or (name.xroad and name.low in seen):
            return name.low.decode("ascii")
        seen.add(name.low)
    return "(unnamed)"
