"""Types of the native module `chains`."""

from typing import Any

from kerege.exchange.batch import Batch
from kerege.exchange.lane.call import Part

class Tree:
    result: bytes
    def __init__(self, batch: Batch) -> None: ...

def written(tree: Tree, part: Part) -> bytes: ...
def hold(parts: list[Part], chains: list[Any], results: list[Any]) -> list[bool]: ...  # bytes, or None
