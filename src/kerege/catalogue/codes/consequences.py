"""What another version of a code list in force would break: `codes.versions.crosswalk_reasons` asked from the other side.

Publishing, retiring, deprecating or reinstating a version may put another one in force, or none. A crosswalk in force that leads to a code which
goes then is left dangling, and whatever `impact` finds besides may refuse records. These are reasons against it, of a kind that a steward may
accept with a reason of their own; or the crosswalk's next version is published together with the list's (`lifecycle.together`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Final

from kerege.catalogue.codes.versions import CODELIST as CODELIST
from kerege.catalogue.codes.versions import CROSSWALK, load_codelist, load_crosswalk
from kerege.catalogue.errors import CodeListVersionUnknown
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.lifecycle.queries import LEADS_TO
from kerege.catalogue.lifecycle.rules import Action, Subject
from kerege.catalogue.mappings.impact import gather
from kerege.catalogue.packs import pack_in_force
from kerege.ground.text import Said
from kerege.semantics.codelists.codelist import CodeList
from kerege.semantics.crosswalks.sssom import Crosswalk
from kerege.semantics.mappings.impact import Change, Hit, Node, impact
from kerege.semantics.pack import Pack

MOST: Final = 20
_THINGS: Final = ("mapping", "contract", "service", "consumer", "dataset")


def broken_by(subject: Subject, action: Action, together: Collection[Subject] = ()) -> Sequence[str]:
    """What `action` on a version of a code list would break, in sentences; empty when nothing.

    together   versions that are published in the same transaction, after this one: their crosswalks are held against the list then
    """
    found = consequences(subject, action, together)
    if found is None:
        return ()
    gone, after, pack, hits = found
    told = list(_dangling(pack, subject.id, gone, after))
    things = [h for h in hits if h.node.kind in _THINGS and h.severity != "notice"]
    if things and (told or any(h.severity == "breaks" for h in things)):
        names = ", ".join(f"{h.node} {h.severity}" for h in things[:MOST]) + (" ..." if len(things) > MOST else "")
        told.append(Said("rests_on_it", "of what rests on it: {things}", things=names))
    return told[: MOST + 1]


def hits_of(subject: Subject, action: Action) -> tuple[Hit, ...]:
    """Everything that another version in force would touch, heaviest first, for whoever is about to take the step."""
    found = consequences(subject, action)
    return found[3] if found is not None else ()


def consequences(
    subject: Subject, action: Action, together: Collection[Subject] = ()
) -> tuple[frozenset[str], CodeList | None, Pack, tuple[Hit, ...]] | None:
    """(codes that go, the list in force after it, what else is in force then, whom that touches); None when the list in force stays."""
    try:
        version = _after(subject, action)
        if version is None:
            return None
        after = load_codelist(subject.id, version) if version else None
    except CodeListVersionUnknown:
        return None  # a reason of its own (`versions.codelist_reasons`)
    pack = pack_in_force()
    before = pack.codelists.get(subject.id)
    walks = {s.id: load_crosswalk(s.id, s.version) for s in together if s.kind == CROSSWALK}
    pack = replace(pack, crosswalks=pack.crosswalks | walks, _mappers={}, _versions={})
    had = {c.notation for c in before} if before is not None else _led_to(pack, subject.id)
    gone = frozenset(had - {c.notation for c in after} if after is not None else had)
    return gone, after, pack, _hits(pack, subject.id, gone, before is not None and after is None)


def _after(subject: Subject, action: Action) -> str | None:
    """The version in force once `action` is done, "" for none any more; None where it stays what it is."""
    now = lifecycle.in_force(CODELIST, subject.id) or ""
    then = subject.version if action is Action.PUBLISH else lifecycle.in_force(
        CODELIST, subject.id, instead={subject.version: LEADS_TO[action]}
    )  # fmt: skip
    return None if (then or "") == now else then or ""


def _led_to(pack: Pack, list_id: str) -> set[str]:
    return {code for walk in pack.crosswalks.values() if walk.object_source == list_id for code in _targets(walk)}


def _targets(walk: Crosswalk) -> set[str]:
    led = {rule.target for rules in walk.compiled.rules.values() for rule in rules}
    return led | ({walk.policy.default} if walk.policy.default else set())


def _dangling(pack: Pack, list_id: str, gone: Collection[str], after: CodeList | None) -> Iterator[Said]:
    for walk in sorted(pack.crosswalks.values(), key=lambda w: w.id):
        if walk.object_source == list_id and (lost := sorted(_targets(walk) & set(gone))):
            codes = ", ".join(lost[:MOST]) + (" ..." if len(lost) > MOST else "")
            words = "the crosswalk {crosswalk} {version}, in force, leads to {codes}, which {codelist} would not have any more"
            yield Said(
                "walk_dangles", words, crosswalk=walk.id, version=walk.version, codes=codes,
                codelist=f"{list_id} {after.version}" if after is not None else list_id,
            )  # fmt: skip


def _hits(pack: Pack, list_id: str, gone: Collection[str], whole: bool) -> tuple[Hit, ...]:
    if not gone and not whole:
        return ()
    graph = gather(pack)
    changed = [Node("codelist", list_id)] if whole else [Node("code", f"{list_id} {code}") for code in sorted(gone)]
    worst: dict[Node, Hit] = {}
    order = ("breaks", "changes", "notice")
    for node in changed:
        for hit in impact(graph, Change(node, "remove")).hits:
            known = worst.get(hit.node)
            if known is None or order.index(hit.severity) < order.index(known.severity):
                worst[hit.node] = hit
    return tuple(sorted(worst.values(), key=lambda h: (order.index(h.severity), len(h.path), h.node)))
