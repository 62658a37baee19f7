"""Addresses for machines: what is public, byte for byte, and nothing else."""

import os
import runpy
from pathlib import Path

import pytest

from kerege.ground import clock
from kerege.ledger import VerifierKey, open_signing, verify_checkpoint
from kerege.web import assets
from kerege.web import settings as web_settings


def test_health_says_ok(visitor):
    assert visitor.get("/health").json()["status"] == "ok"


def test_the_summary_is_the_file_the_demo_wrote(visitor, run):
    assert visitor.get("/api/summary").json() == run


def test_before_a_run_the_summary_is_not_there(visitor):
    response = visitor.get("/api/summary")
    assert response.status_code == 404
    assert response.json()["code"] == "web.no_run_yet"


@pytest.fixture
def published(home):
    folder = home / "globalconf"
    (folder / "V2").mkdir(parents=True)
    (folder / "internalconf").write_bytes(b"--directory--\r\n\x00\xff")
    (folder / "V2" / "shared-params.xml").write_bytes(b"<conf/>")
    (home / "keys").mkdir()
    (home / "keys" / "secret").write_text("never")
    return folder


def test_configuration_is_served_byte_for_byte(visitor, published):
    assert visitor.get("/internalconf").content == b"--directory--\r\n\x00\xff"
    response = visitor.get("/internalconf/V2/shared-params.xml")
    assert response.content == b"<conf/>"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "name",
    [
        "../keys/secret",
        "V2/../../keys/secret",
        "%2e%2e/keys/secret",
        "..%2fkeys%2fsecret",
        "/etc/passwd",
        "V2",
        ".hidden",
        "V2/%00",
        "nothing",
    ],
)
def test_configuration_never_leaves_its_folder(visitor, published, name):
    (published / ".hidden").write_text("no")
    assert visitor.get(f"/internalconf/{name}").status_code == 404


def test_a_link_out_of_the_folder_is_not_followed(visitor, published, home):
    os.symlink(home / "keys" / "secret", published / "tempting")
    assert visitor.get("/internalconf/tempting").status_code == 404


def test_configuration_is_also_found_where_a_signed_directory_says(visitor, published):
    assert visitor.get("/V2/shared-params.xml").content == b"<conf/>"
    assert visitor.get("/V2/../../keys/secret").status_code == 404
    assert visitor.get("/V3/shared-params.xml").status_code == 404


def test_configuration_that_was_never_published_is_not_there(visitor):
    assert visitor.get("/internalconf").status_code == 404


def test_a_static_file_with_its_fingerprint_is_kept_for_a_year(visitor):
    response = visitor.get(assets.address("kerege/kerege.css"))
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "immutable" in response.headers["Cache-Control"]


def test_a_static_file_is_checked_again_by_its_etag(visitor):
    response = visitor.get("/static/kerege/kerege.css")
    assert response.headers["Cache-Control"] == "no-cache"
    again = visitor.get("/static/kerege/kerege.css", headers={"if-none-match": response.headers["ETag"]})
    assert again.status_code == 304
    assert again.content == b""


@pytest.mark.parametrize("name", ["../settings.py", "kerege/../../settings.py", "kerege/none.css", "kerege"])
def test_nothing_but_the_listed_static_files_is_served(visitor, name):
    assert visitor.get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize("path", ["/api/summary", "/internalconf", "/static/kerege/kerege.css"])
def test_machines_addresses_only_answer_to_reading(visitor, run, published, path):
    assert visitor.post(path).status_code == 405


def test_the_style_sheet_asks_nobody_else_for_anything():
    sheet = assets.table()["kerege/kerege.css"].body.decode()
    assert "http" not in sheet
    assert "@import" not in sheet


@pytest.mark.parametrize("name", ["a" * 300, "V2/" + "b" * 300, "/".join(["c" * 200] * 30), "V2/shared-params.xml/x"])
def test_a_name_no_file_can_have_is_not_there(visitor, published, name):
    for address in (f"/internalconf/{name}", f"/V6/{name}", f"/status/{name}.jwt", f"/status/{name}"):
        assert visitor.get(address).status_code == 404


def test_links_in_a_circle_are_not_there(visitor, published):
    os.symlink(published / "b", published / "a")
    os.symlink(published / "a", published / "b")
    assert visitor.get("/internalconf/a").status_code == 404


def test_the_ledgers_newest_head_is_published_and_can_be_checked_with_the_published_key(visitor, home):
    assert visitor.get("/ledger/checkpoint").status_code == 404
    assert visitor.get("/ledger/key").status_code == 404
    with open_signing(home) as log:
        for size in (1, 2):
            log.append("x", {}, clock.now())
            log.sign_head(clock.now())
            note = visitor.get("/ledger/checkpoint")
            key = VerifierKey.parse(visitor.get("/ledger/key").content.decode().strip())
            assert verify_checkpoint(note.content.decode(), key).checkpoint.size == size
            assert note.headers["Content-Type"] == "text/plain; charset=utf-8"


def read_settings(monkeypatch, **environ):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(Path(web_settings.__file__)))


def test_cookies_go_over_tls_only_where_the_installation_says_it_has_it(monkeypatch):
    loopback = read_settings(monkeypatch)
    assert (loopback["SESSION_COOKIE_SECURE"], loopback["CSRF_COOKIE_SECURE"]) == (False, False)
    assert "SECURE_PROXY_SSL_HEADER" not in loopback
    public = read_settings(monkeypatch, KEREGE_SECURE_COOKIES="yes", KEREGE_PROXY_TLS_HEADER="X-Forwarded-Proto")
    assert (public["SESSION_COOKIE_SECURE"], public["CSRF_COOKIE_SECURE"]) == (True, True)
    assert public["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_FORWARDED_PROTO", "https")
