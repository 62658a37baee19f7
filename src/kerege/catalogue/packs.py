"""The installation's country pack, read once per process and again when a file of it changed; and what of code lists and crosswalks is in force.

`current_pack` is what the folder says: messages and tables are translated by it, and the nodes have the same. `pack_in_force` is what people and
machines are shown as the country's lists: in place of the pack's own, the version that was published last in the catalogue; a list that was published
and then retired is not there at all, and the pack's does not come back in its place. Pages, API, search, exports and reference data all ask here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

import kerege.country
from kerege.ground import settings
from kerege.semantics.codelists.codelist import CodeList
from kerege.semantics.crosswalks.sssom import Crosswalk
from kerege.semantics.pack import Pack, load_pack

# kind, id, the version in force and its digest; "" and "" where what was in force is retired
Settled = tuple[str, str, str, str]
_CODELIST: Final = "codelist"
_CROSSWALK: Final = "crosswalk"
T = TypeVar("T", CodeList, Crosswalk)


def pack_folder() -> Path:
    """The folder of the pack that the settings name."""
    return Path(next(iter(kerege.country.__path__))) / settings.get("country")


def current_pack() -> Pack:
    """The pack with the country's full lists, where the installation has them."""
    newest, files = pack_state()
    return _load(pack_folder(), settings.get("country_data"), newest, files)


def pack_state() -> tuple[int, int]:
    """When a file of the pack was changed last (nanoseconds since 1970) and how many there are: another pair is another pack."""
    folder, data = pack_folder(), settings.get("country_data")
    files = [
        *folder.glob("*.*"),
        *(f for part in ("codelists", "crosswalks", "mappings") for f in folder.glob(f"{part}/*")),
    ]
    if has_full_places():
        files.append(Path(data) / "soate.csv")
    return max((f.stat().st_mtime_ns for f in files), default=0), len(files)


def has_full_places() -> bool:
    """Whether the pack's SOATE is the country's whole list; its folder alone has the top levels."""
    data = settings.get("country_data")
    return bool(data) and (Path(data) / "soate.csv").is_file()


@lru_cache(maxsize=2)
def _load(folder: Path, data: str, _newest: int, _files: int) -> Pack:
    return load_pack(folder, data_dir=Path(data) if data else None)


def pack_in_force() -> Pack:
    """The pack with the versions in force in the catalogue over its own lists and crosswalks, without those that are retired.

    Three queries at most; what they name is parsed once per process.
    """
    pack, settled = current_pack(), _settled()
    found = _LAID.get("newest")
    if found is None or found[0] is not pack or found[1] != settled:
        # in one assignment: two threads may do it twice, to one end
        found = _LAID["newest"] = (pack, settled, _laid_over(pack, settled))
    return found[2]


def codelist_in_force(list_id: str) -> CodeList | None:
    """The version of a code list that everybody is shown; None when there is none, or none any more."""
    return pack_in_force().codelists.get(list_id)


def crosswalk_in_force(crosswalk_id: str) -> Crosswalk | None:
    """The version of a crosswalk that everybody is shown; None when there is none, or none any more."""
    return pack_in_force().crosswalks.get(crosswalk_id)


_LAID: Final[dict[str, tuple[Pack, tuple[Settled, ...], Pack]]] = {}


def _settled() -> tuple[Settled, ...]:
    """What the life cycle settled, by kind and id: of what was ever published, the version in force or that there is none any more."""
    from kerege.catalogue.lifecycle.rules import IN_FORCE, Action, State, Step, state_after
    from kerege.catalogue.models import CodeListVersion, CrosswalkVersion, LifecycleAction

    done: dict[tuple[str, str], dict[str, list[LifecycleAction]]] = {}
    acted = LifecycleAction.objects.filter(kind__in=(_CODELIST, _CROSSWALK)).order_by("number")
    for row in acted.only("kind", "subject", "version", "action", "by", "at"):
        done.setdefault((row.kind, row.subject), {}).setdefault(row.version, []).append(row)
    chosen: dict[tuple[str, str], str] = {}
    for what, versions in done.items():
        found: list[tuple[bool, datetime, str]] = []
        published = False
        for version, actions in versions.items():
            state = state_after(Step(Action(a.action), a.by) for a in actions)
            times = [a.at for a in actions if a.action == Action.PUBLISH]
            published = published or bool(times)
            if state in IN_FORCE:
                found.append((state is State.PUBLISHED, max(times), version))
        if published:
            chosen[what] = max(found)[2] if found else ""
    digests: dict[tuple[str, str, str], str] = {}
    if lists := [thing for kind, thing in chosen if kind == _CODELIST]:
        told = CodeListVersion.objects.filter(list_id__in=lists).values_list("list_id", "version", "digest")
        digests |= {(_CODELIST, thing, version): digest for thing, version, digest in told}
    if walks := [thing for kind, thing in chosen if kind == _CROSSWALK]:
        rows = CrosswalkVersion.objects.filter(crosswalk__in=walks).values_list("crosswalk", "version", "digest")
        digests |= {(_CROSSWALK, thing, version): digest for thing, version, digest in rows}
    return tuple((*what, version, digests.get((*what, version), "")) for what, version in sorted(chosen.items()))


def _laid_over(pack: Pack, settled: tuple[Settled, ...]) -> Pack:
    lists, walks = dict(pack.codelists), dict(pack.crosswalks)
    for kind, thing, version, digest in settled:
        if kind == _CODELIST:
            _put(lists, thing, _codelist(thing, version, digest) if version else None)
        else:
            _put(walks, thing, read_crosswalk(thing, version, digest) if version else None)
    # compiled mappings and their versions belong to the pack they were compiled with, and are not handed on
    return replace(pack, codelists=lists, crosswalks=walks, _mappers={}, _versions={})


def _put(among: dict[str, T], thing: str, found: T | None) -> None:
    if found is None:
        among.pop(thing, None)
    else:
        among[thing] = found


@lru_cache(maxsize=128)
def _codelist(list_id: str, version: str, _digest: str) -> CodeList:
    from kerege.catalogue.codes.versions import load_codelist

    return load_codelist(list_id, version)


@lru_cache(maxsize=128)
def read_crosswalk(crosswalk: str, version: str, _digest: str) -> Crosswalk:
    """A kept version, read once per process while its digest is the same."""
    from kerege.catalogue.codes.versions import load_crosswalk

    return load_crosswalk(crosswalk, version)


def kept_crosswalk(crosswalk: str, version: str = "") -> Crosswalk:
    """A version as `codes.versions.load_crosswalk` finds it (the newest where none is named), read once per process."""
    from kerege.catalogue.codes.versions import load_crosswalk
    from kerege.catalogue.models import CrosswalkVersion

    rows = CrosswalkVersion.objects.filter(crosswalk=crosswalk, **({"version": version} if version else {}))
    found = rows.order_by("-id").values_list("version", "digest").first()
    return read_crosswalk(crosswalk, *found) if found else load_crosswalk(crosswalk, version)
