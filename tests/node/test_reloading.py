"""Keys are taken up all together or not at all, whatever ends the attempt."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from kerege.exchange.ids import MemberId
from kerege.node.errors import NodeKeyInvalid
from kerege.node.keys.pairs import NodeKeys
from kerege.node.reloading import _Keys, _use_keys

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ONE, TWO, THREE = (MemberId("KG", "GOV", code) for code in ("1", "2", "3"))
ENDS = [asyncio.CancelledError(), MemoryError(), OSError("token gone"), NodeKeyInvalid(file="keys.auth", reason="x")]


class Node:
    """What `_use_keys` touches of a node: its keys, and who adopts them."""

    def __init__(self, meanwhile: Callable[[NodeKeys], None] = lambda keys: None) -> None:
        self.keys: Any = NodeKeys("old auth", {ONE: "old 1", THREE: "old 3"}, {ONE: NOW, THREE: NOW})  # type: ignore[arg-type,dict-item]
        self.shown: list[str] = []
        self._meanwhile = meanwhile
        keeper = SimpleNamespace(current=lambda now: SimpleNamespace(trust="trust"))
        core = SimpleNamespace(
            keys=self.keys, clock=lambda: NOW, keeper=keeper, revocation=SimpleNamespace(adopt_signer=self._adopt)
        )
        contexts = SimpleNamespace(use_key=self.shown.append)
        self.parts: Any = SimpleNamespace(core=core, contexts=contexts)

    async def _adopt(self, trust: str, member: MemberId, signer: Any) -> None:
        assert trust == "trust"
        self.keys.good_until[member] = NOW + timedelta(hours=1)
        self.keys.signers[member] = signer

    async def use(self, ends: BaseException | None) -> None:
        async def use_auth(pair: Any) -> None:
            self.keys.auth = pair
            self._meanwhile(self.keys)
            if ends is not None:
                raise ends
            self.parts.contexts.use_key(pair)

        new: Any = _Keys("new auth", {ONE: "new 1", TWO: "new 2"})  # type: ignore[arg-type,dict-item]
        await _use_keys(self.parts, new, use_auth)


def test_keys_that_can_all_be_used_are_in_use() -> None:
    node = Node()
    asyncio.run(node.use(None))
    assert node.keys.auth == "new auth"
    assert node.keys.signers == {ONE: "new 1", TWO: "new 2", THREE: "old 3"}


@pytest.mark.parametrize("ends", ENDS, ids=lambda one: type(one).__name__)
def test_whatever_ends_the_attempt_the_old_keys_are_all_in_use_again(ends: BaseException) -> None:
    node = Node()
    with pytest.raises(type(ends)):
        asyncio.run(node.use(ends))
    assert node.keys.auth == "old auth"
    assert node.keys.signers == {ONE: "old 1", THREE: "old 3"}
    assert node.keys.good_until == {ONE: NOW, THREE: NOW}
    assert node.shown == ["old auth"]


def test_what_something_else_renewed_meanwhile_is_not_taken_back() -> None:
    later = NOW + timedelta(hours=2)

    def renewed(keys: Any) -> None:
        keys.signers.update({ONE: "renewed 1", THREE: "renewed 3"})
        keys.good_until.update({ONE: later, THREE: later})

    node = Node(renewed)
    with pytest.raises(OSError, match="token gone"):
        asyncio.run(node.use(OSError("token gone")))
    assert node.keys.signers == {ONE: "renewed 1", THREE: "renewed 3"}
    assert node.keys.good_until == {ONE: later, THREE: later}
