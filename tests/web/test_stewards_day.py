"""The steward's day in a real browser: from the harvest of a small register to a contract in force, with a second person where two are needed."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_journey import CHROMIUM, CUT, FLAGS, ROOT, _wait, free_port, overflow
from web_pages import PEOPLE

from kerege.semantics.crosswalks.sssom import parse_sssom

SHOTS = os.environ.get("KEREGE_SHOTS", "")  # a folder for pictures of every step, in both widths; none by default
CONTRACT = "kg:clinic.children"
WALK = "kg:clinic-sex--sex"
SIDE_BY_SIDE = [
    "Surname\tАсанова\nAs it came: АСАНОВА\tАсанова\tEqual",
    "Given name\tАйпери\nAs it came: АЙПЕРИ\tАйпери\tEqual",
    "Date of birth\t15 September 2019\nAs it came: 15.09.2019\t15 September 2019\tEqual after harmonising",
    "Sex\tfemale\nAs it came: Ж\t–\tMissing",
    "PIN\t11509201900017\t11509201900017\tEqual",
]
MEANINGS = {"pin": "person.pin", "surname": "person.surname", "birth_date": "person.birth_date", "sex": "person.sex"}

pytestmark = [
    pytest.mark.journey,
    pytest.mark.xdist_group("web-stewards-day"),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="not there: chromium"),
]

LAY = """
import sys; sys.path.insert(0, sys.argv[1])
from pathlib import Path
from kerege.web.installation import prepare
home = Path(sys.argv[2])
prepare(home)
import web_desks as desks
from kerege.web.access import Audience
for person, audience in (
    ("steward-1", Audience.STEWARD), ("reviewer-1", Audience.REVIEWER), ("owner-1", Audience.DATA_OWNER), ("clerk-1", Audience.CLERK)
):
    desks.grant(home, person, audience)
desks.suggest()
desks.lay_work(home)
(home / "laid").write_text(f"{desks.plan(desks.register(home)).plan_id} {desks.pair(home)}")
from django.db import connection
connection.close()
from kerege.cli.hub import hub
hub(["--port", sys.argv[3]])
"""

READS = """SELECT data_service, count(*), count(DISTINCT about), min(legal_basis) FROM identity_personaldataread
           WHERE reader = 'clerk-1' AND channel = 'desk' GROUP BY data_service ORDER BY data_service"""
DECISIONS = "SELECT count(*) FROM catalogue_codedecision"
MEANT = """SELECT f.name, l.concept FROM catalogue_conceptlink l JOIN catalogue_field f ON l.field_id = f.id
           JOIN catalogue_dataset d ON f.dataset_id = d.id WHERE d.source = 'clinic.csv'"""
OWNED = "SELECT organisation, unit, count(*) FROM catalogue_owner GROUP BY organisation, unit"
DECIDED = 'SELECT code, verdict, target, "by" FROM catalogue_codedecision WHERE crosswalk = ? ORDER BY id'
ACTED = """SELECT action, "by", ledger_index IS NOT NULL FROM catalogue_lifecycleaction
           WHERE kind = ? AND subject = ? AND version = '1.0.0' ORDER BY number"""
MARKED = 'SELECT d."table", m.reason, m."by" FROM catalogue_criticaldataset m JOIN catalogue_dataset d ON m.dataset_id = d.id'
LOOKED = """SELECT verdict, "by", reason FROM reconcile_clericaldecision d JOIN reconcile_clericaltask t ON d.task_id = t.id
            WHERE t.task_id = ?"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """`kerege hub` over a home where work waits at every desk, each journey's of its own, laid in the same process; ended by its own id.

    Gives its address, the plan and the pair that wait, and `ask`: a question to its database, in SQL.
    """
    home = tmp_path_factory.mktemp("desks")
    (home / "demo-people.json").write_text(json.dumps(PEOPLE, ensure_ascii=False), encoding="utf-8")
    port = free_port()
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KEREGE_")},
        "KEREGE_HOME": str(home), "PYTHONPATH": str(ROOT / "src"), "DJANGO_SETTINGS_MODULE": "kerege.web.settings",
    }  # fmt: skip

    def ask(question, *about):
        with contextlib.closing(sqlite3.connect(home / "hub.sqlite3")) as database:
            return database.execute(question, about).fetchall()

    with (home / "hub.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", LAY, str(Path(__file__).parent), str(home), str(port)], env=environ, stdout=log, stderr=log
        )  # fmt: skip
    try:
        base = f"http://127.0.0.1:{port}"
        _wait(base, process, home)
        plan, pair = (home / "laid").read_text("utf-8").split()
        yield SimpleNamespace(base=base, plan=plan, pair=pair, ask=ask)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def windows(browser):
    """A window for each person. What the browser complains about fails the test."""
    opened, complaints = [], []

    def open_(base, person, scripts=True):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, java_script_enabled=scripts)
        opened.append(context)
        page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{base}/en/sign-in/")
        page.check(f'input[value="{person}"]')
        click(page, "main form button")
        return page

    yield open_
    for context in opened:
        context.close()
    assert complaints == []


def click(page, selector):
    """A click that leads to another page (or the same anew), and that page, loaded: what is read next is of it."""
    with page.expect_navigation():
        page.click(selector)


def key(page, name):
    """A key that leads to another page."""
    with page.expect_navigation():
        page.keyboard.press(name)


def shot(page, name, languages=("ky",), *, reload=True):
    """Pictures of the page in both widths, where somebody asked for them; and that nothing of it is cut or sticks out.

    reload   in the language of the picture; not for a page that is the answer to a form
    """
    sizes = ((390, 844), (1280, 900)) if SHOTS else ((390, 844),)
    here = page.url
    for language in languages:
        if SHOTS and reload:
            page.goto(here.split("#")[0].replace("/en/", f"/{language}/"))
        for width, height in sizes:
            page.set_viewport_size({"width": width, "height": height})
            assert overflow(page) <= 0, (name, width)
            assert page.evaluate(CUT) == [], (name, width)
            if SHOTS:
                page.screenshot(path=f"{SHOTS}/{name}-{language}-{width}.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})
    if SHOTS and reload:
        page.goto(here.split("#")[0])


PRESS = "how => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {bubbles: true, cancelable: true, ...how}))"


def act(page, action, reason):
    page.fill("#life-reason", reason)
    click(page, f'button[name="action"][value="{action}"]')


def told(page):
    return page.inner_text("#told")


def test_the_stewards_day_from_a_harvested_register_to_a_published_contract(hub, windows):
    base, plan = hub.base, hub.plan
    began = time.monotonic()
    steward, reviewer = windows(base, "steward-1"), windows(base, "reviewer-1")
    assert "Data desks" in steward.inner_text("h1")  # the first page after signing in
    shot(steward, "01-desks")

    # The plan that waits: the difference with its reasons, then applied.
    click(steward, 'main a[href="/en/desks/harvests/"]')
    steward.focus("tr[data-item] a")
    steward.keyboard.press("j")
    key(steward, "Enter")
    assert steward.url.endswith(f"/{plan}/")
    assert "looks like a code list of 2" in steward.inner_text("main")
    assert "Токтосунов" not in steward.inner_text("main")  # masks and counts, no values
    shot(steward, "02-plan")
    assert steward.locator("[data-key]").count() == 0  # what brings a plan into the catalogue has no single key
    click(steward, 'button[value="apply"]')
    assert "6 changes came into the catalogue" in told(steward)
    assert steward.evaluate("document.activeElement.id") == "told"  # what happened is read out

    # What each column means: candidates by keyboard, the first accepted; one slip undone.
    click(steward, "text=what the fields mean")
    shot(steward, "03-columns")
    steward.keyboard.press("a")  # the focus is in no item: a single letter does nothing
    steward.focus("form.item input[type=radio]")
    for column, concept in MEANINGS.items():
        assert steward.inner_text("form.item h3").startswith(column)
        assert concept in steward.inner_text("form.item .candidate label")
        if column == "birth_date":  # held down it decides nothing; in a Cyrillic layout the key's place counts
            steward.evaluate(PRESS, {"key": "ф", "code": "KeyA", "repeat": True})
            with steward.expect_navigation():
                steward.evaluate(PRESS, {"key": "ф", "code": "KeyA"})
        else:
            key(steward, "a")
        assert f"{column} → {concept}: accepted" in told(steward)
        assert hub.ask(DECISIONS)[0][0] == list(MEANINGS).index(column) + 1
    assert steward.evaluate("document.activeElement.getAttribute('aria-describedby')") == "told-line"
    key(steward, "u")
    assert "undone" in told(steward)
    assert steward.inner_text("form.item h3").startswith("sex")
    key(steward, "a")
    assert "accepted" in told(steward)
    steward.click(".another summary")  # a region's number: another concept than those suggested
    steward.fill("form.item input[name=target]", "person.region_soate")
    click(steward, 'form.item button[value="accept"]')
    assert "catalogue.concept_unknown" in told(
        steward
    )  # there is no such concept; nothing was kept, and what was typed stands open
    assert steward.input_value("form.item input[name=target]") == "person.region_soate"
    steward.fill("form.item input[name=reason]", "the clinic's own district number, used nowhere else")
    steward.keyboard.press("Escape")
    click(steward, 'form.item button[value="none"]')
    assert "no concept fits" in told(steward)
    assert steward.locator("form.item").count() == 0  # every column is decided, the one without a concept too

    # One owner for all of it, with the legal basis; without one the form says so.
    steward.goto(steward.url.replace("suggestions/columns", "owners").split("#")[0])
    assert "pin has no owner" in steward.inner_text("main")
    shot(steward, "04-owners")
    steward.fill("#organisation", "70000004")
    steward.fill("#unit", "Department of registers")
    steward.fill("#legal_basis", "Law on public health (article to be confirmed)")
    click(steward, 'button[value="name"]')
    assert "The owner was named" in told(steward)
    assert "5 of 5 fields have an owner" in steward.inner_text("main")

    # Codes: the sure one and the unsure one, side by side with their evidence; then a version of the crosswalk.
    steward.goto(f"{base}/en/desks/suggestions/codes/{WALK}/")
    assert "31 records" in steward.inner_text("main")
    shot(steward, "05-codes")
    assert "X" in steward.inner_text("form.item h3")  # met in data, in no crosswalk: it comes first
    steward.focus("form.item button")
    key(steward, "n")
    assert "X: has no counterpart" in told(steward)
    for code, target in (("Ж", "2"), ("М", "1")):
        assert code in steward.inner_text("form.item h3")
        steward.focus("form.item button")
        steward.keyboard.press("1")
        key(steward, "a")
        assert f"{code} → {target}: accepted" in told(steward)
    assert "Every code is decided" in steward.inner_text("main")
    click(steward, "text=Make a version of the table")
    shot(steward, "06-crosswalk")
    steward.select_option("#policy", "null-and-flag")
    click(steward, 'button[value="version"]')
    assert "Version 1.0.0 was made" in told(steward)
    act(steward, "submit", "two codes, both decided")
    assert "A second person looks at it now" in told(steward)
    assert steward.locator('button[value="approve"]').count() == 0  # four eyes: the submitter has no such button
    reviewer.goto(steward.url.split("#")[0])
    shot(reviewer, "07-approve")
    act(reviewer, "approve", "checked against the code list")
    assert "was approved" in told(reviewer)
    steward.goto(reviewer.url.split("#")[0])
    act(steward, "publish", "in force from today")
    assert "was published" in told(steward)

    # The contract: a draft from the catalogue, approved by the second person, in force.
    steward.goto(f"{base}/en/desks/contracts/")
    steward.fill("#contract", CONTRACT)
    click(steward, 'button[value="draft"]')
    assert "The draft was made from the catalogue" in told(steward)
    assert "What stands against publishing now" not in steward.inner_text("main")
    shot(steward, "08-contract")
    act(steward, "submit", "first contract of the clinic's children")
    reviewer.goto(steward.url.split("#")[0])
    act(reviewer, "approve", "owner and legal basis are there")
    steward.goto(reviewer.url.split("#")[0])
    act(steward, "publish", "agreed with the department")
    assert "1.0.0 was published" in told(steward)
    assert "Department of registers" in steward.inner_text("main")
    shot(steward, "09-published")

    # Found by anybody who looks for it; and the catalogue holds what the pages said.
    steward.goto(f"{base}/en/catalogue/?q=clinic")
    for found in ("datasets/", "crosswalks/kg:"):
        assert "clinic" in steward.inner_text(f"main a[href*='/catalogue/{found}']")
    assert dict(hub.ask(MEANT)) == MEANINGS
    assert hub.ask(OWNED) == [("70000004", "Department of registers", 5)]
    assert hub.ask(DECIDED, WALK) == [
        ("X", "no-counterpart", "", "steward-1"),
        ("Ж", "accepted", "2", "steward-1"),
        ("М", "accepted", "1", "steward-1"),
    ]
    [(content,)] = hub.ask("SELECT content FROM catalogue_crosswalkversion WHERE crosswalk = ?", WALK)
    walk = parse_sssom(content, WALK)
    assert walk.table == {"М": "1", "Ж": "2"}
    assert str(walk.policy) == "null-and-flag"
    # approving and publishing bind, so they are in the ledger
    day = [("submit", "steward-1", 0), ("approve", "reviewer-1", 1), ("publish", "steward-1", 1)]
    assert hub.ask(ACTED, "crosswalk", WALK) == hub.ask(ACTED, "contract", CONTRACT) == day
    assert SHOTS or time.monotonic() - began < 120


def test_a_clerk_sees_two_records_only_after_the_read_is_logged(hub, windows):
    base, task = hub.base, hub.pair
    page = windows(base, "clerk-1")
    click(page, 'main a[href="/en/desks/pairs/"]')
    shot(page, "10-pairs")
    click(page, f'main a[href="/en/desks/pairs/{task}/"]')
    assert "Асанов" not in page.inner_text("main")  # weights first, no values
    assert "15.1 bits" in page.inner_text("main")
    assert hub.ask(READS) == []
    click(page, 'button[value="open"]')
    assert "This opening was written to the log" in page.inner_text("main")
    rows = page.locator("#h-side ~ table tbody tr").all_inner_texts()
    assert rows == SIDE_BY_SIDE
    # of each register the record and the person it is about were written down before the values were shown
    assert hub.ask(READS) == [(f"reconcile/desk/{name}", 2, 2, "to be confirmed") for name in ("civil", "health")]
    assert "Асанов" not in page.url
    shot(page, "11-pair", reload=False)
    page.focus("#v-same")
    page.keyboard.press("2")  # a number chooses; the focus stays in the card
    assert page.is_checked("#v-different")
    page.keyboard.press("1")
    page.fill("#reason", "the birth act and the certificate name the same mother")
    click(page, 'button[value="decide"]')
    assert "The decision was taken down" in told(page)
    page.goto(f"{base}/en/desks/pairs/{task}/")
    assert "It waits for a second person" in page.inner_text("main")
    assert hub.ask(LOOKED, task) == [("same", "clerk-1", "the birth act and the certificate name the same mother")]


def test_the_desks_work_without_scripts(hub, windows):
    base = hub.base
    page = windows(base, "steward-1", scripts=False)
    click(page, 'main a[href="/en/desks/findings/"]')
    shot(page, "12-findings")
    page.select_option("#group", "drift")
    click(page, "main form button")
    assert "group=drift" in page.url
    assert page.locator("main tbody tr").count() == 1  # the code without a place in the list is of another group
    click(page, "main table a")
    assert "What will close it" in page.inner_text("main")
    shot(page, "13-finding")
    page.goto(f"{base}/en/desks/requests/clinic-register/")
    asked = page.inner_text("main")
    for said in (
        "The clinic's register",
        "Law on public health (to be confirmed)",
        "children's certificates are kept on paper now",
    ):
        assert said in asked
    assert page.locator('button[name="decision"]').count() == 0  # a steward reviews nothing
    shot(page, "14-request")
    page.goto(f"{base}/en/desks/board/")
    page.fill("#reason", "the plan of this quarter")
    click(page, 'button[value="start"]')
    assert "The plan has begun" in told(page)
    assert "Day 1 of 90" in page.inner_text("main")
    page.fill("#reason", "vaccination certificates for admission to school")
    page.select_option("#dataset", label="clinic2")
    click(page, 'button[value="mark"]')
    assert "is marked critical" in told(page)
    assert "What to do next" in page.inner_text("main")
    shot(page, "15-board")
    assert hub.ask(MARKED) == [("clinic2", "vaccination certificates for admission to school", "steward-1")]
    assert "clinic2 – clinic2.csv" not in page.locator("#dataset option").all_inner_texts()
