"""Who answers for a finding: the name it carries (an organisation, a register) made into the one member or subsystem of the network it means.

A finding names an organisation by its whole code (`KG/GOV/70000001`) or bare (`70000001`), a register by the country's short name (`civil`) or its
subsystem (`KG/GOV/70000001/civil`). Two organisations may each run a register of one name, and members of two classes may share a number: such a
bare name is nobody's by itself, unless the country's list of compared fields says which subsystem it means (`registers.<name>.subsystem`), and a
steward answers. The same member in two spellings is one (`ownership_rules.same_member`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

from django.db.models import Q

from kerege.catalogue.ownership.rules import same_member
from kerege.membership.models import Member, Subsystem
from kerege.reconcile.fields import of_country

_MEMBER_PARTS = 3


def names_of(member: str) -> frozenset[str]:
    """Every name under which findings are this member's, or those of the subsystem's member: itself, its number, its registers, in all spellings.

    Empty for what is no member's code. A number or register's name that others have too is not among them.
    """
    parts = member.strip().split("/")
    if len(parts) < _MEMBER_PARTS or not all(parts):
        return frozenset()
    whole, number = "/".join(parts[:_MEMBER_PARTS]), parts[_MEMBER_PARTS - 1]
    run = {*Subsystem.objects.filter(member__code=whole).values_list("code", flat=True)}
    run |= {member.strip()} if len(parts) > _MEMBER_PARTS else set()
    others = Member.objects.exclude(code=whole).filter(code__endswith=f"/{number}").values_list("code", flat=True)
    bare = set() if any(same_member(number, other) for other in others) else {number}
    declared = {name: spec.subsystem for name, spec in of_country().registers.items() if spec.subsystem}
    shorts = {code.rsplit("/", 1)[-1] for code in run} - set(declared)
    taken = {code.rsplit("/", 1)[-1] for code in _ending(shorts) if not code.startswith(f"{whole}/")}
    return frozenset({whole, *bare, *run, *(shorts - taken), *(n for n, code in declared.items() if code in run)})


def is_shared(name: str) -> bool:
    """Whether a bare name could mean more than one member or register, so that nobody answers for it by that name alone."""
    if not name or "/" in name:
        return False
    spec = of_country().registers.get(name)
    if spec is not None and spec.subsystem:
        return False
    members = set(Member.objects.filter(code__endswith=f"/{name}").values_list("code", flat=True))
    return len(members) > 1 or len(set(_ending({name}))) > 1


def _ending(shorts: Iterable[str]) -> list[str]:
    """Codes of all subsystems that have one of these short names; one query."""
    wanted = [Q(code__endswith=f"/{short}") for short in sorted(shorts)]
    return list(Subsystem.objects.filter(reduce(or_, wanted)).values_list("code", flat=True)) if wanted else []
