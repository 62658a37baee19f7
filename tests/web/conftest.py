"""A hub over an empty home folder, with what a demo run leaves in it on request."""

import json
import sys
from pathlib import Path

import pytest
from django.test import Client

from kerege.web import assets

sys.path.insert(0, str(Path(__file__).parent))  # for `web_pages`, which the tests beside this file share

from web_pages import PEOPLE, RUN  # noqa: E402


@pytest.fixture
def home(tmp_path, settings):
    settings.HOME = tmp_path
    settings.ALLOWED_HOSTS = ["testserver", "127.0.0.1"]
    assets.table.cache_clear()
    return tmp_path


@pytest.fixture
def run(home):
    (home / "summary.json").write_text(json.dumps(RUN), encoding="utf-8")
    return RUN


@pytest.fixture
def people(home):
    (home / "demo-people.json").write_text(json.dumps(PEOPLE, ensure_ascii=False), encoding="utf-8")
    return PEOPLE


@pytest.fixture
def visitor(home, db):
    return Client()


def signed_in(person_id):
    client = Client()
    answer = client.post("/en/sign-in/", {"person": person_id})
    assert answer.status_code == 302, answer.content
    return client


@pytest.fixture
def officer(people, db):
    return signed_in("officer-1")


@pytest.fixture
def parent(people, db):
    return signed_in("parent-1")


@pytest.fixture
def steward(people, db):
    return signed_in("steward-1")
