"""The hub's database address: servers, sockets, what goes on to the driver, and a refusal that never repeats a password."""

import os
import subprocess
import sys

import pytest

from kerege.ground.settings import SettingInvalid
from kerege.web.database import from_url


def test_a_server_with_everything_named():
    found = from_url("postgresql://hub%40edu:p%2Fw@db.example:5433/kerege")
    assert found == {
        "ENGINE": "django.db.backends.postgresql", "NAME": "kerege", "USER": "hub@edu", "PASSWORD": "p/w",
        "HOST": "db.example", "PORT": "5433",
    }  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres@/kerege?host=/var/run/postgresql",
        "postgresql://postgres:@/kerege?host=%2Fvar%2Frun%2Fpostgresql",
        "postgresql:///kerege?host=/var/run/postgresql&user=postgres",
        "postgres://postgres@ignored:1/kerege?host=/var/run/postgresql&port=",
    ],
)
def test_a_folder_of_a_socket_in_the_query_is_the_host(url):
    found = from_url(url)
    assert (found["HOST"], found["PORT"], found["USER"], found["NAME"]) == (
        "/var/run/postgresql", "", "postgres", "kerege",
    )  # fmt: skip
    assert "OPTIONS" not in found


def test_a_port_in_the_query_goes_with_the_sockets_folder():
    assert from_url("postgresql:///kerege?host=/tmp/pg&port=6543")["PORT"] == "6543"


def test_other_parameters_go_to_the_driver():
    found = from_url("postgresql://h/kerege?sslmode=verify-full&application_name=hub")
    assert found["OPTIONS"] == {"sslmode": "verify-full", "application_name": "hub"}
    assert found["HOST"] == "h"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://hub:secret-word@db/kerege",
        "postgresql://hub:secret-word@db:port/kerege",
        "postgresql://hub:secret-word@db/",
        "postgresql://hub:secret-word@db/kerege?port=no",
        "postgresql://hub:secret-word@db/kerege?host",
        "kerege",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url):
    with pytest.raises(SettingInvalid) as caught:
        from_url(url)
    assert "KEREGE_DATABASE_URL" in str(caught.value)
    assert "secret-word" not in str(caught.value)


def test_the_hubs_settings_honour_it():
    environ = {**os.environ, "KEREGE_DATABASE_URL": "postgresql:///kerege?host=/tmp/pg"}
    code = "from kerege.web.settings import DATABASES as d; print(d['default']['HOST'], d['default']['NAME'])"
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["/tmp/pg", "kerege"], done.stderr
