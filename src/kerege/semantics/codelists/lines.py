"""What is above what in a hierarchy, for many questions at once: time and memory grow with the list, however deep or entangled it is. Pure.

A loop counts as one place. Where every place has at most one above it, an interval per place answers each question at once. Where some have
several, the places that are asked about are carried down the hierarchy as bits of a number, `_AT_ONCE` of them per walk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_AT_ONCE: Final = 4096  # half a kilobyte for each place, 100 MB for the longest list there may be


class Lines:
    """A "has above it" relation, as `loops` takes it; a node that is only named above another has nothing above it."""

    def __init__(self, above: Mapping[str, Iterable[str]]) -> None:
        ups = {node: tuple(dict.fromkeys(found)) for node, found in above.items()}
        self._ups = ups
        self._place: dict[str, int] = {}
        rings = loops(ups)
        self._ringed = len(rings)  # the first places are loops
        for n, ring in enumerate(rings):
            self._place |= dict.fromkeys(ring.members, n)
        size = self._ringed
        for node, found in ups.items():
            for one in (node, *found):
                if one not in self._place:
                    self._place[one] = size
                    size += 1
        self._over: list[set[int]] = [set() for _ in range(size)]
        for node, found in ups.items():
            here = self._place[node]
            self._over[here].update(there for one in found if (there := self._place[one]) != here)
        self._order = self._downwards()

    def _downwards(self) -> list[int]:
        """Every place after those above it."""
        under: list[list[int]] = [[] for _ in self._over]
        for low, highs in enumerate(self._over):
            for high in highs:
                under[high].append(low)
        left = [len(highs) for highs in self._over]
        order = [place for place, count in enumerate(left) if not count]
        for place in order:  # grows while it is walked
            for low in under[place]:
                left[low] -= 1
                if not left[low]:
                    order.append(low)
        self._under = under
        return order

    def reached(self, pairs: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of `pairs` (low, high) of which the second stands above the first, at any distance."""
        asked = {pair for pair in pairs if pair[0] in self._place and pair[1] in self._place}
        if all(len(highs) < 2 for highs in self._over):
            return self._reached_in_trees(asked)
        by_target: dict[str, list[str]] = {}
        for low, high in asked:
            by_target.setdefault(high, []).append(low)
        found = set()
        for bits, masks in self._carried(by_target):
            for high, bit in bits.items():
                found |= {(low, high) for low in by_target[high] if masks[self._place[low]] & bit}
        return found

    def _reached_in_trees(self, asked: set[tuple[str, str]]) -> set[tuple[str, str]]:
        begin = [0] * len(self._over)
        end = [0] * len(self._over)
        count = 0
        walk = [(place, False) for place, highs in enumerate(self._over) if not highs]
        while walk:
            place, done = walk.pop()
            count += 1
            if done:
                end[place] = count
                continue
            begin[place] = count
            walk.append((place, True))
            walk += [(low, False) for low in self._under[place]]
        found = set()
        for low, high in asked:
            below, over = self._place[low], self._place[high]
            if below < self._ringed if below == over else begin[over] < begin[below] and end[below] < end[over]:
                found.add((low, high))
        return found

    def doubled(self) -> Iterator[tuple[str, str]]:
        """(node, one directly above it that also stands above another directly above it), each once."""
        many = [(node, ups) for node, ups in self._ups.items() if len(ups) > 1]
        targets = dict.fromkeys(one for _, ups in many for one in ups)
        for bits, masks in self._carried(targets):
            for node, ups in many:
                # what is seen from the others: of those before and of those after, so that many parents cost no square of their number
                seen = [0 if one == node else masks[self._place[one]] for one in ups]
                after = [0] * (len(ups) + 1)
                for at in range(len(ups) - 1, -1, -1):
                    after[at] = after[at + 1] | seen[at]
                before = 0
                for at, one in enumerate(ups):
                    if bits.get(one, 0) & (before | after[at + 1]):
                        yield node, one
                    before |= seen[at]

    def _carried(self, targets: Iterable[str]) -> Iterator[tuple[dict[str, int], list[int]]]:
        """For some of `targets` after the other: the bit of each, and for every place the bits of those that stand above it."""
        waiting = list(targets)
        for start in range(0, len(waiting), _AT_ONCE):
            bits = {target: 1 << n for n, target in enumerate(waiting[start : start + _AT_ONCE])}
            own = [0] * len(self._over)
            for target, bit in bits.items():
                own[self._place[target]] |= bit
            masks = [0] * len(self._over)
            for place in self._order:
                mask = own[place] if place < self._ringed else 0
                for high in self._over[place]:
                    mask |= masks[high] | own[high]
                masks[place] = mask
            yield bits, masks


@dataclass(frozen=True, slots=True)
class Loop:
    """A group of nodes that are all above themselves (each reaches each), and one shortest way round through the smallest of them."""

    members: tuple[str, ...]
    way: tuple[str, ...]


def loops(above: Mapping[str, Iterable[str]]) -> tuple[Loop, ...]:
    """The loops of a "has above it" relation, by their smallest member.

    Tarjan's strongly connected components, without recursion: time grows with nodes and arrows, and a list of any depth is safe.
    """
    ups = {node: tuple(dict.fromkeys(found)) for node, found in above.items()}
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: dict[str, None] = {}
    found: list[Loop] = []
    for start in ups:
        if start in order:
            continue
        walk: list[tuple[str, Iterator[str]]] = []
        step: str | None = start
        while step is not None or walk:
            if step is not None:
                order[step] = low[step] = len(order)
                open_[step] = None
                walk.append((step, iter(ups.get(step, ()))))
            node, rest = walk[-1]
            step = None
            for other in rest:
                if other not in order:
                    step = other
                    break
                if other in open_:
                    low[node] = min(low[node], order[other])
            if step is not None:
                continue
            walk.pop()
            if walk:
                low[walk[-1][0]] = min(low[walk[-1][0]], low[node])
            if low[node] == order[node]:
                members: list[str] = []
                while not members or members[-1] != node:
                    members.append(open_.popitem()[0])
                if len(members) > 1 or node in ups.get(node, ()):
                    found.append(Loop(tuple(sorted(members)), _way_round(min(members), set(members), ups)))
    return tuple(sorted(found, key=lambda loop: loop.members))


def _way_round(start: str, inside: set[str], ups: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """A shortest way from `start` back to itself through nodes of its group."""
    came: dict[str, str] = {}
    edge = [start]
    while edge:
        after = []
        for node in edge:
            for other in ups.get(node, ()):
                if other == start:
                    way = [node]
                    while way[-1] != start:
                        way.append(came[way[-1]])
                    return tuple(reversed(way))
                if other in inside and other not in came:
                    came[other] = node
                    after.append(other)
        edge = after
    raise AssertionError("a group of more than one node has a way round")
