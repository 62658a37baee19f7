"""One organisation under its whole code (`KG/GOV/70000001`) and its bare number (`70000001`): what stands under either is shown together.

A number that members of two classes share means neither of them by itself, and stays apart. `ownership.rules.same_member` is the same rule, pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kerege.membership.models import Member


def spellings(code: str) -> tuple[str, ...]:
    """Every way in which this organisation may be written, the given one first."""
    whole, number = (code, code.rsplit("/", 1)[-1]) if "/" in code else ("", code)
    found = list(Member.objects.filter(code__endswith=f"/{number}").values_list("code", flat=True)) if number else []
    if whole:
        return (whole,) if any(other != whole for other in found) else (whole, number)
    return (number, *found) if len(found) == 1 else (number,)


def together(counts: Mapping[str, int], members: Iterable[str]) -> dict[str, int]:
    """The same counts, each under the member's whole code where the number is one member's only."""
    whole: dict[str, str] = {}
    shared: set[str] = set()
    for member in members:
        number = member.rsplit("/", 1)[-1]
        shared |= {number} if number in whole else set()
        whole[number] = member
    out: dict[str, int] = {}
    for code, n in counts.items():
        named = whole[code] if code in whole and code not in shared else code
        out[named] = out.get(named, 0) + n
    return out
