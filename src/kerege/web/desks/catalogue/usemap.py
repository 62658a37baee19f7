"""Who uses what: a picture of registers, their data services and those who use them, and the same as a list; by organisation or concept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from kerege.catalogue.browse import lists as browse
from kerege.catalogue.browse import use as browse_use
from kerege.catalogue.browse.use import Flow
from kerege.catalogue.codes.concepts import load_concepts
from kerege.ground import clock
from kerege.ground.text import Text
from kerege.web import labels
from kerege.web.desks.catalogue import frame
from kerege.web.desks.catalogue.picture import Box, Tie, draw
from kerege.web.formats import number
from kerege.web.words import counted, word

_DRAWN: Final = 16  # data services in the picture; more than that nobody reads
_CONSUMERS: Final = 20
_LISTED: Final = 40


def overview(request: HttpRequest) -> HttpResponse:
    now, known = clock.now(), labels.organisations()
    code, concept = request.GET.get("organisation", "")[:20], request.GET.get("concept", "")[:200]
    code = code if code in known else ""
    concept = concept if concept in load_concepts() else ""
    flows, more = browse_use.flows(now, organisation=code, concept=concept)
    cut = frame.cut(request, len(flows), _LISTED)
    page = flows[cut.offset : cut.offset + cut.limit]
    used = browse.concepts_in_use()
    context: dict[str, Any] = {
        "picture": _picture(flows, known), "groups": _groups(page, known), "cut": cut, "more": more, "organisation": code, "concept": concept,
        "organisations": sorted(((c, frame.organisation(c, known).name) for c in known), key=lambda p: p[1]),
        "concepts": sorted(((c, frame.concept(c).name) for c in load_concepts() if c in used), key=lambda p: p[1].casefold()),
        "cut_off": len({f.service for f in flows}) > _DRAWN or len({f.consumer for f in flows}) > _CONSUMERS,
        "measured": any(f.calls is not None for f in flows), "any": bool(flows), "narrowed": bool(code or concept),
    }  # fmt: skip
    return frame.show(request, "map", context)


def _picture(flows: Sequence[Flow], known: Mapping[str, Text]) -> Any:
    services = list(dict.fromkeys(f.service for f in flows))[:_DRAWN]
    shown = [f for f in flows if f.service in set(services)]
    consumers = list(dict.fromkeys(f.consumer for f in shown))[:_CONSUMERS]
    shown = [f for f in shown if f.consumer in set(consumers)]
    of = {f.service: f.provider for f in shown}
    calls: Counter[str] = Counter()
    for f in shown:
        calls[f.service] += f.calls or 0
    ties = [Tie(_key("p", provider), _key("s", service), calls[service] or None) for service, provider in of.items()]
    ties += [Tie(_key("s", f.service), _key("c", f.consumer), f.calls) for f in shown]
    return draw(
        [_register("p", code, known) for code in dict.fromkeys(of.values())],
        [Box(_key("s", s), labels.data_service(s), _called(calls[s]), _link(p, known)) for s, p in of.items()],
        [_register("c", code, known) for code in dict.fromkeys(f.consumer for f in shown)],
        ties,
        (word("map.registers"), word("map.services"), word("map.consumers")),
    )


def _key(column: str, code: str) -> str:
    return f"{column} {code}"


def _called(calls: int) -> str:
    return f"{number(calls)} {counted('map.calls_lower', calls)}" if calls else word("map.granted_only")


def _link(code: str, known: Mapping[str, Text]) -> str:
    who = frame.organisation(code, known)
    return f"{frame.to('catalogue-map')}?organisation={who.key}" if who.key else frame.to("catalogue-map")


def _register(column: str, code: str, known: Mapping[str, Text]) -> Box:
    return Box(_key(column, code), labels.register(code), frame.organisation(code, known).name, _link(code, known))


def _groups(flows: Sequence[Flow], known: Mapping[str, Text]) -> list[dict[str, Any]]:
    """The list: by organisation that gives, then by data service, who uses it."""
    groups: dict[str, dict[str, list[Flow]]] = {}
    for f in flows:
        groups.setdefault(browse_use.member_of(f.service), {}).setdefault(f.service, []).append(f)
    return [
        {
            "who": frame.organisation(member, known),
            "services": [
                {
                    "name": labels.data_service(service), "code": service,
                    "users": [
                        {
                            "name": labels.register(f.consumer), "of": frame.organisation(f.consumer, known), "calls": f.calls, "failed": f.failed,
                            "last_at": f.last_at, "dataset_id": f.dataset_id,
                        }
                        for f in users
                    ],
                }
                for service, users in services.items()
            ],
        }
        for member, services in groups.items()
    ]  # fmt: skip
