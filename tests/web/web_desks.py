"""What the desks' tests share: grants for their people, a small register to harvest, codes suggested for it."""

from datetime import timedelta

from kerege.catalogue import decisions, doings
from kerege.catalogue.harvest import Options, harvest_source
from kerege.ground import clock
from kerege.ground.text import Text
from kerege.identity import doings as identity
from kerege.ledger.log import Ledger
from kerege.semantics.suggest_evidence import CandidateSet, Evidenced
from kerege.web.access import RIGHTS

WALK = "kg:clinic-sex--sex"


def grant(home, person, audience):
    """What a desk asks for besides the role; the person is registered by the way."""
    right, now = RIGHTS[audience], clock.now()
    identity.register_organisation("70000003", Text(ky="Министрлик", ru="Министерство", en="Ministry"))
    identity.register_person(person.replace("-", " ").title(), "70000003", person)
    identity.define_role(f"desk-{audience.value}", Text(ky="Стол", ru="Стол", en="Desk"), [right.action])
    with Ledger.open(home / "ledger") as ledger:
        return identity.grant_role(
            person, f"desk-{audience.value}", right.scope, now + timedelta(days=30), granted_by=None, ledger=ledger, now=now
        )  # fmt: skip


def register(folder, rows=60, name="clinic.csv"):
    """A small register of children at a clinic, as a CSV file."""
    lines = ["pin,surname,birth_date,sex,region"]
    for n in range(rows):
        lines.append(
            f"1{n % 28 + 1:02}0{n % 9 + 1}2019{n:05},Токтосунов{n},{n % 28 + 1:02}.0{n % 9 + 1}.2019,{'МЖ'[n % 2]},{n % 3}"
        )
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def plan(path, share=("sex",)):
    found = harvest_source(str(path), Options(share=share))
    return doings.make_plan(found, Options(share=share), clock.now(), location=str(path.resolve()))


def suggest(walk=WALK, extra=0):
    """Suggestions for two codes, one sure by links and one unsure; `extra` further ones nobody can guess."""
    sets = [
        CandidateSet("М", (Evidenced("1", 0.97, 0.9, 31, 0.99), Evidenced("2", 0.2, 0.2, 0, 0.0)), "accept", "labels-and-links"),
        CandidateSet("Ж", (Evidenced("2", 0.7, 0.7, 0, 0.0), Evidenced("1", 0.4, 0.4, 2, 0.1)), "unsure", "close"),
        *(CandidateSet(f"x{n:05}", (Evidenced("1", 0.3, 0.3, 0, 0.0),), "unsure", "close") for n in range(extra)),
    ]  # fmt: skip
    decisions.keep_suggestions(
        walk, decisions.new_run(), sets, {"М": "мужской", "Ж": "женский"}, {"1": "male", "2": "female"}, clock.now()
    )
