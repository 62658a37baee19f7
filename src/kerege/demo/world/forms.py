"""The application forms as parents fill them: the raw fields of `kg:application`, dirty like everything people type.

`parent_pin` is always true, because it comes from the sign-in and not from typing. The truth of each form was established before
(`facts`); nothing here changes it.
"""

from __future__ import annotations

from kerege.demo.world.copies import Marker, address_text, copy_pin, one_string
from kerege.demo.world.dice import stream
from kerege.demo.world.model import Application
from kerege.demo.world.registers import Source, written_by_parent
from kerege.ground.clock import iso

_SEXES = {"M": ("М", "Э", "1"), "F": ("Ж", "К", "2")}


def fill_forms(source: Source) -> tuple[Application, ...]:
    rng = stream(source.seed, "forms")
    forms: list[Application] = []
    for truth in source.facts.truth:
        child, parent = source.persons[truth.child], source.persons[truth.parent]
        home = source.home(child)
        marker = Marker(source.dirt, "application", rng)
        under_actual = truth.application_id in source.facts.under_actual and home.actual is not None
        stale = marker.chance("stale_address", not under_actual)
        address = home.earlier if stale else home.registered
        if under_actual and home.actual is not None:
            address = home.actual
        born = child.birth_date
        raw = {
            "child_name": one_string(marker, child.name, child.sex),
            "child_birth_date": f"{born:%d.%m.%Y}" if rng.random() < 0.7 else born.isoformat(),
            "child_sex": rng.choice(_SEXES[child.sex]),
            "child_pin": copy_pin(marker, child.pin),
            "address_text": written_by_parent(rng, address_text(marker, source.writer, address)),
            "parent_pin": parent.pin,
            "school_code": truth.school_code,
            "stage": str(truth.stage),
            "submitted_at": iso(truth.submitted_at),
        }
        forms.append(Application(truth.application_id, raw, *marker.marks()))
    return tuple(forms)
