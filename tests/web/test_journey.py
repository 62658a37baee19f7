"""A real hub process and a real browser: at a desk and on a phone, with scripts and without, by keyboard."""

import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import web_country as country
from web_pages import PEOPLE, RUN

from kerege.ledger.log import Ledger
from kerege.web import formats

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic", "--no-first-run"]
ROOT = Path(__file__).parents[2]
PUBLIC = [
    *(
        "",
        "catalogue/",
        "catalogue/code-lists/kg:sex/",
        "catalogue/crosswalks/kg:civil-region--soate/",
        "catalogue/map/",
    ),
    *("discrepancies/", "network/", "gate/", "measures/", "verify/", "sign-in/"),
]
OFFICERS = ["applications/", f"applications/{country.ADMIT}/", f"applications/{country.OPEN}/"]
WIDTHS = (1280, 360, 320)

pytestmark = [
    pytest.mark.journey,
    pytest.mark.xdist_group("web-journey"),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="not there: chromium"),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


LAY = """
import sys; sys.path.insert(0, sys.argv[1])
import django; django.setup()
from pathlib import Path
import web_country
print(web_country.lay(Path(sys.argv[2])).paper)
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """`kerege hub` as a process of its own over a home with cases in it; ended by its own id."""
    home = tmp_path_factory.mktemp("hub")
    (home / "summary.json").write_text(json.dumps(RUN), encoding="utf-8")
    (home / "demo-people.json").write_text(json.dumps(PEOPLE, ensure_ascii=False), encoding="utf-8")
    port = free_port()
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KEREGE_")},
        "KEREGE_HOME": str(home), "PYTHONPATH": str(ROOT / "src"), "DJANGO_SETTINGS_MODULE": "kerege.web.settings",
    }  # fmt: skip
    with (home / "hub.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kerege", "hub", "--port", str(port)], env=environ, stdout=log, stderr=log
        )
    try:
        base = f"http://127.0.0.1:{port}"
        _wait(base, process, home)
        paper = subprocess.run(
            [sys.executable, "-c", LAY, str(Path(__file__).parent), str(home)],
            env=environ, check=True, capture_output=True, text=True, timeout=120,
        ).stdout.strip()  # fmt: skip
        yield base, paper, home
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()


def _wait(base, process, home):
    for _ in range(600):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{base}/health", timeout=2) as answer:
            if answer.status == 200:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    pytest.fail(f"the hub did not start: {(home / 'hub.log').read_text()[-2000:]}")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def window(browser):
    """A window of a given width; what the browser complains about fails the test."""
    opened, complaints = [], []

    def open_(width=360, scripts=True):
        context = browser.new_context(viewport={"width": width, "height": 800}, java_script_enabled=scripts)
        opened.append(context)
        page = context.new_page()
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_
    for context in opened:
        context.close()
    assert complaints == []


def sign_in(page, base, person):
    page.goto(f"{base}/en/sign-in/")
    page.check(f'input[value="{person}"]')
    with page.expect_navigation():
        page.click("main form button")


def overflow(page):
    page.wait_for_load_state()  # a click does not wait: the new page may have no root element yet
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


# Anything whose text is cut or sticks out of its box; scrolling boxes and text for screen readers aside.
CUT = """() => [...document.querySelectorAll('main *, header *, footer *')].filter(e => {
  const s = getComputedStyle(e);
  const head = e.closest('thead');
  if (head && getComputedStyle(head).position === 'absolute') return false;  // a card's column names, kept for screen readers
  if (s.position === 'absolute' || e.closest('svg, .visually-hidden, .paper, textarea, select') || s.display === 'inline') return false;
  return e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1;
}).map(e => e.tagName + '.' + e.className + ': ' + e.textContent.trim().slice(0, 60))"""


TOO_SMALL = """() => [...document.querySelectorAll(
  'header a:not(.skip), header summary, button, select, input:not([type=hidden])'
)].map(e => [e.getBoundingClientRect(), e.outerHTML.slice(0, 80)])
  .filter(([r]) => r.height && (r.height < 44 || r.width < 24)).map(x => x[1])"""


def look_at_every_width(page, address):
    """A page is fetched once and its window made narrower: what stands where is the style sheet's, no script asks how wide a window is."""
    page.set_viewport_size({"width": WIDTHS[0], "height": 800})
    page.goto(address)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("window.innerWidth") == width
        assert overflow(page) <= 0, (address, width)
        assert page.evaluate(CUT) == [], (address, width)


def test_no_script_asks_how_wide_its_window_is():
    """What `look_at_every_width` rests on."""
    scripts = list((ROOT / "src/kerege/web/static").rglob("*.js"))
    assert scripts
    for script in scripts:
        text = script.read_text(encoding="utf-8")
        assert not [word for word in ("innerWidth", "matchMedia", "clientWidth", "resize") if word in text], script.name


@pytest.mark.parametrize("language", ["ky", "ru", "en"])
def test_no_page_is_wider_than_its_window(hub, window, language):
    base, _, _ = hub
    page = window()
    sign_in(page, base, "officer-1")
    for path in PUBLIC + OFFICERS:
        look_at_every_width(page, f"{base}/{language}/{path}")
    page = window()
    sign_in(page, base, "parent-1")
    look_at_every_width(page, f"{base}/{language}/my-child/")


SIDE_BY_SIDE = """() => {
  const at = e => e.getBoundingClientRect();
  const ways = [...document.querySelectorAll('.way')];
  const bars = ways.map(w => w.querySelector('.bar'));
  return {
    figures: ways.map(w => at(w.querySelector('.big')).top), bars: bars.map(b => at(b).top),
    above: bars.map(b => at(b).top - at(b.previousElementSibling).bottom),
  };
}"""


@pytest.mark.parametrize("language", ["ky", "ru", "en"])
@pytest.mark.parametrize("width", [390, 1280])
def test_both_ways_have_their_figures_and_bars_on_one_height_and_air_above_the_bars(hub, window, language, width):
    base, _, _ = hub
    page = window(width)
    page.goto(f"{base}/{language}/")
    found = page.evaluate(SIDE_BY_SIDE)
    assert len(found["bars"]) == 2
    assert found["figures"][0] == found["figures"][1]
    assert found["bars"][0] == found["bars"][1]
    assert found["above"] == [8, 8]


@pytest.mark.parametrize("width", [390, 700, 1280])
def test_the_doors_of_the_catalogue_fill_their_rows_and_none_stands_alone(hub, window, width):
    base, _, _ = hub
    page = window(width)
    page.goto(f"{base}/en/catalogue/")
    rows = page.evaluate("""() => {
      const at = e => e.getBoundingClientRect(), list = document.querySelector('.ways-in'), rows = {};
      for (const one of list.children) (rows[Math.round(at(one).top)] ??= []).push(at(one));
      return Object.values(rows).map(r => [r.length, Math.round(at(list).right - r.at(-1).right)]);
    }""")
    assert [gap for _, gap in rows] == [0] * len(rows)
    assert [count for count, _ in rows] == {390: [1] * 7, 700: [2, 2, 2, 1], 1280: [4, 3]}[width]


FINGERPRINT = """<!doctype html><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/kerege.css"><main class="wrap"><div class="card">{}</div></main>"""


@pytest.mark.parametrize(("width", "lines"), [(320, 4), (390, 4), (1280, 2)])
def test_a_fingerprint_breaks_between_its_groups_only_and_is_selected_and_copied_as_one(window, width, lines):
    page = window(width)
    html = FINGERPRINT.format(formats.fingerprint("0123456789abcdef" * 4))
    css = (ROOT / "src/kerege/web/static/kerege/kerege.css").read_text(encoding="utf-8")
    page.route("**/kerege.css", lambda route: route.fulfill(body=css, content_type="text/css"))
    page.route("**/page", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto("http://fingerprint.invalid/page")
    element = page.locator(".fingerprint")
    element.click()
    assert page.evaluate("getSelection().toString()") == ":".join(["01:23:45:67:89:AB:CD:EF"] * 4)
    tall, line = element.evaluate("e => [e.getBoundingClientRect().height, parseFloat(getComputedStyle(e).lineHeight)]")
    assert round(tall / line) == lines


def test_the_line_under_the_language_in_use_is_as_wide_as_its_name_and_begins_at_the_margin(hub, window):
    base, _, _ = hub
    page = window(390)
    page.goto(f"{base}/ky/")
    left, line = page.evaluate("""() => {
      const e = document.querySelector('.languages span'), s = getComputedStyle(e);
      return [e.getBoundingClientRect().left + parseFloat(s.paddingLeft), [s.backgroundOrigin, s.backgroundSize, s.boxShadow]];
    }""")
    assert round(left) == 16
    assert line == ["content-box", "100% 3px", "none"]


def test_two_boxes_of_a_state_stand_as_far_apart_on_a_phone_as_other_boxes_do(window):
    page = window(390)
    css = (ROOT / "src/kerege/web/static/kerege/kerege.css").read_text(encoding="utf-8")
    boxes = '<div class="panel">Shut</div><div class="panel">Fail</div>'
    page.set_content(f'<style>{css}</style><div class="grid grid--two">{boxes}</div><p>after</p>')
    ends = page.evaluate(
        "[...document.querySelectorAll('.panel, p')].map(e => e.getBoundingClientRect()).map(r => [r.top, r.bottom])"
    )
    assert [round(below[0] - above[1]) for above, below in itertools.pairwise(ends)] == [16, 24]


def test_targets_in_navigation_and_forms_are_large_enough_for_a_thumb(hub, window):
    base, _, _ = hub
    page = window(360)
    page.goto(f"{base}/ky/catalogue/")
    page.click("summary")
    small = page.evaluate(TOO_SMALL)
    assert small == []


def test_a_term_is_told_by_keyboard_and_closed_by_escape(hub, window):
    base, _, _ = hub
    page = window(360, scripts=False)
    page.goto(f"{base}/ky/catalogue/concepts/")
    told = page.locator("#gloss-concept")
    assert not told.is_visible()
    page.focus("h1 .gloss")
    page.keyboard.press("Enter")
    assert told.is_visible()
    box = told.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    page.keyboard.press("Escape")
    assert not told.is_visible()


def test_the_keyboard_reaches_the_content_first_and_its_focus_is_seen(hub, window):
    base, _, _ = hub
    page = window(1280)
    page.goto(f"{base}/ru/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.wait_for_timeout(300)  # it slides in
    assert page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Tab")
    style = page.evaluate(
        "(() => { const s = getComputedStyle(document.activeElement); return [s.outlineStyle, parseFloat(s.outlineWidth)] })()"
    )
    assert style == ["solid", 3]


@pytest.mark.parametrize("scripts", [True, False])
def test_a_document_is_checked_with_scripts_and_without(hub, window, scripts):
    base, paper, _ = hub
    page = window(360, scripts)
    requests = []
    page.on("request", lambda request: requests.append(request.method))
    page.goto(f"{base}/en/verify/")
    page.fill("#document", paper)
    page.click("main form button")
    page.wait_for_selector('#verify-result [data-state="valid"]')
    text = page.inner_text("#verify-result")
    assert "Токтосунова Айпери" in text
    assert ("Checked in this browser" in text) == scripts
    assert ("POST" in requests) != scripts


def test_a_tampered_document_is_refused_in_the_browser(hub, window):
    base, paper, _ = hub
    page = window(360)
    page.goto(f"{base}/ky/verify/")
    page.fill("#document", paper[:80] + ("A" if paper[80] != "A" else "B") + paper[81:])
    page.click("main form button")
    page.wait_for_selector('#verify-result [data-state="refused"]')
    assert "Токтосунова" not in page.inner_text("#verify-result")


def test_an_officers_look_stands_in_the_parents_list_a_moment_later(hub, window):
    base, _, home = hub
    officer, parent = window(1280), window(360)
    with Ledger.open(home / "ledger") as ledger:
        before = ledger.size
    sign_in(officer, base, "officer-1")
    officer.click("text=A-2026-000101")
    assert "Your opening of this page has been logged" in officer.inner_text("main")
    sign_in(parent, base, "parent-1")
    newest = parent.inner_text("#h-reads ~ table tbody tr:first-child")
    assert "The application's story" in newest
    assert newest.strip().endswith(str(before))


def test_everything_but_the_check_works_without_scripts(hub, window):
    base, _, _ = hub
    page = window(360, scripts=False)
    page.goto(f"{base}/ky/")
    page.click("header summary")
    page.click('.nav--phone a[href="/ky/discrepancies/"]')
    page.select_option("#pair", "civil~health")
    page.click("main form button")
    assert "pair=civil%7Ehealth" in page.url or "pair=civil~health" in page.url
    page.click('.languages a[lang="ru"]')
    assert "/ru/discrepancies/?pair=civil" in page.url
