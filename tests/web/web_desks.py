"""What the desks' tests share: grants for their people, a small register to harvest, codes suggested for it."""

from datetime import timedelta

from kerege.catalogue.codes import decisions
from kerege.catalogue.inventory import doings
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.ground import clock
from kerege.ground.text import Text
from kerege.identity import doings as identity
from kerege.ledger.log import Ledger
from kerege.semantics.suggest.evidence import CandidateSet, Evidenced
from kerege.web.access import RIGHTS

WALK = "kg:clinic-sex--sex"
CIVIL = {
    "ActNo": "77",
    "Fam": "АСАНОВА",
    "Imya": "АЙПЕРИ",
    "DataRozhd": "15.09.2019",
    "Pol": "Ж",
    "Pin": "11509201900017",
}
HEALTH = {"N_SPR": "ВС-1", "FIO": "Асанова Айпери", "DATA_R": "2019-09-15", "PIN": "11509201900017", "STATUS": "Д"}


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


def lay_work(home):
    """What waits at the other desks: a dataset with drift and an unknown code, a request for a register."""
    from kerege.catalogue.codes import unmapped as codelists_unmapped
    from kerege.catalogue.requests import doings as requests

    made = plan(register(home, name="clinic2.csv"))
    doings.apply_plan(made.plan_id, clock.now())
    doings.set_organisation("clinic2.csv", "70000001")
    now = clock.now()
    drift = doings.NewFinding("codes-new", 3, "sex", "1 new codes: X", {"codes": ["X"]})
    doings.record_findings("clinic2.csv", "clinic2", [drift], now, found_by="harvest")
    codelists_unmapped.keep_unmapped(WALK, "1.0.0", "clinic2.csv#clinic2.sex", {"X": 3}, now)
    told = {
        part: {"ky": "Клиника реестри", "ru": "Реестр клиники", "en": "The clinic's register"}
        for part in ("name", "purpose")
    }
    requests.ask(
        "clinic-register", "establish", {**told, "legislations": [{"name": "Law on public health (to be confirmed)"}]},
        organisation="70000003", by="owner-1", reason="children's certificates are kept on paper now", now=now,
    )  # fmt: skip


def pair(home):
    """Two records of one child in two registers that the desk may read, and a question about them; gives its number."""
    from kerege.identity.pseudonyms import open_key
    from kerege.reconcile import desk_doings, registers
    from kerege.reconcile.linkage.weights import Step, Waterfall, words
    from kerege.web import values

    pack, key = values.pack(), open_key(home)
    folder = home / "reconcile"
    folder.mkdir(exist_ok=True)
    rows = {
        "civil": ("kg:civil.birth-record", CIVIL),
        "health": ("kg:health.vaccination", HEALTH),
    }  # fmt: skip
    lines = ["registers:"]
    for name, (mapping, row) in rows.items():
        columns = list(pack.mapping(mapping).source.cells.values())
        file = home / f"{name}.csv"
        file.write_text(",".join(columns) + "\n" + ",".join(row.get(c, "") for c in columns) + "\n", encoding="utf-8")
        lines.append(f'  {name}: {{source: {name}.csv, mapping: "{mapping}", id: {next(iter(row))}}}')
    path = folder / "registers.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o600)
    text = Text(ky="Фамилиясы", ru="Фамилия", en="Surname")
    steps = (
        Step("surname", text, "jaro_winkler:0.92", 5.2, 0.0, words("jaro_winkler:0.92")),
        Step(
            "birth_date",
            Text(ky="Туулган күнү", ru="Дата рождения", en="Date of birth"),
            "exact",
            11.4,
            6.1,
            words("exact"),
        ),
        Step("sex", Text(ky="Жынысы", ru="Пол", en="Sex"), "else", -4.3, 0.0, words("else")),
        Step(
            "patronymic", Text(ky="Атасынын аты", ru="Отчество", en="Patronymic"), "absent", 0.0, 0.0, words("absent")
        ),
    )
    refs = [registers.ref_of(key, name, row[next(iter(row))]) for name, (_, row) in rows.items()]
    return desk_doings.ask(
        "kg:persons", "1", *refs, why="unsure", now=clock.now(), waterfall=Waterfall(-3.3, steps), double_review=True
    )


def pair_of_one(home):
    """Two records of one register that the desk may read, and a question about them; gives its number."""
    from kerege.identity.pseudonyms import open_key
    from kerege.reconcile import desk_doings, registers
    from kerege.web import values

    pack, key = values.pack(), open_key(home)
    folder = home / "reconcile"
    folder.mkdir(exist_ok=True)
    rows = [CIVIL, {**CIVIL, "ActNo": "78", "Fam": "БЕКОВА", "Pin": "11509201900025"}]
    columns = list(pack.mapping("kg:civil.birth-record").source.cells.values())
    lines = [",".join(columns), *(",".join(row.get(column, "") for column in columns) for row in rows)]
    (home / "civil.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = folder / "registers.yaml"
    path.write_text(
        'registers:\n  civil: {source: civil.csv, mapping: "kg:civil.birth-record", id: ActNo}\n', encoding="utf-8"
    )
    path.chmod(0o600)
    refs = [registers.ref_of(key, "civil", row["ActNo"]) for row in rows]
    return desk_doings.ask("kg:persons", "1", *refs, why="unsure", now=clock.now())
