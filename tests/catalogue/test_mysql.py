"""A real MariaDB register: read-only, sampled in pieces, given up on when slow or dead, its cost measured."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pymysql
import pytest

from kerege.catalogue import errors
from kerege.catalogue.harvest import Options, harvest_source
from kerege.catalogue.sources import Limits, Reading
from kerege.catalogue.sources.databases import Database


@dataclass
class Server:
    url: str
    pid: int

    def run(self, *statements: str) -> None:
        port = int(self.url.rpartition(":")[2].partition("/")[0])
        with pymysql.connect(host="127.0.0.1", port=port, user="root", charset="utf8mb4", autocommit=True) as db:
            for statement in statements:
                db.cursor().execute(statement)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of its own on 127.0.0.1, ended by its number."""
    install, daemon = shutil.which("mariadb-install-db"), shutil.which("mariadbd")
    if not install or not daemon:
        pytest.skip("not there: MariaDB (apt-get install mariadb-server)")
    folder = Path(tempfile.mkdtemp(prefix="kerege-my-"))
    folder.chmod(0o777)
    account = ["--user=nobody"] if os.getuid() == 0 else []
    subprocess.run(
        [install, "--no-defaults", f"--datadir={folder}/data", "--auth-root-authentication-method=normal", "--skip-test-db", *account],
        check=True, capture_output=True,
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [daemon, "--no-defaults", f"--datadir={folder}/data", f"--socket={folder}/s", f"--port={port}", "--bind-address=127.0.0.1",
         f"--pid-file={folder}/pid", "--skip-name-resolve", *account],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    made = Server(f"mysql://root@127.0.0.1:{port}/reg", process.pid)
    try:
        for _ in range(150):
            try:
                made.run("CREATE DATABASE IF NOT EXISTS reg CHARACTER SET utf8mb4")
                break
            except pymysql.err.OperationalError:
                time.sleep(0.1)
        made.run(
            "USE reg",
            "CREATE TABLE reg.persons (id INT PRIMARY KEY AUTO_INCREMENT, pin CHAR(14) COMMENT 'Personal number', sex ENUM('M','F'), "
            "born DATE, area VARCHAR(20), photo BLOB, note TEXT) COMMENT 'Residents'",
            "INSERT INTO reg.persons (pin, sex, born, area, photo, note) SELECT LPAD(seq, 14, '2'), IF(seq % 2, 'M', 'F'), "
            "DATE('1980-01-01') + INTERVAL (seq % 9000) DAY, CONCAT('4170', 2 + seq % 7), IF(seq % 3, NULL, 'secret'), "
            "CONCAT('Ош ', seq) FROM seq_1_to_30000",
            "CREATE TABLE reg.keyless AS SELECT area, sex FROM reg.persons",
            "CREATE TABLE reg.closed (a INT)",
            "CREATE VIEW reg.slow AS SELECT SLEEP(20) AS waited",
            "CREATE TABLE reg.`odd ``%s :name` (`a %(b)s` INT, `имя` TEXT)",
            "INSERT INTO reg.`odd ``%s :name` VALUES (1, 'x')",
            "CREATE USER reader@'%' IDENTIFIED BY 'pw'",
            "GRANT SELECT (pin, sex) ON reg.persons TO reader@'%'",
            "ANALYZE TABLE reg.persons, reg.keyless",
        )
        yield made
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def options(*tables: str, rows: int = 200_000, seconds: int = 30) -> Options:
    return Options(Reading(Limits(rows, 1_000_000, seconds), tables=tables))


def test_tables_comments_types_and_keys_are_read_over_one_connection_whose_cost_is_known(server: Server) -> None:
    found = harvest_source(server.url, options("persons"))
    (table,) = found.tables
    fields = {f.name: f for f in table.fields}
    assert (found.kind, table.description, table.key, table.rows) == ("mysql", "Residents", ("id",), 30_000)
    assert (fields["pin"].description, fields["born"].type) == ("Personal number", "date")
    assert {c for c, _ in fields["sex"].codes} == {"M", "F"}
    assert (fields["photo"].type, fields["photo"].distinct, fields["photo"].codes) == ("binary", 1, ())
    assert fields["note"].masks[0][0] == "Аа 99999"
    assert "root" not in found.source
    assert (found.cost.connections, found.cost.rows) == (1, 30_000)
    assert found.cost.bytes > 1_000_000
    assert found.cost.cpu_seconds is not None
    assert 0 <= found.cost.cpu_seconds < 5


def test_a_large_table_is_read_in_pieces_all_over_its_key_the_same_way_each_time(server: Server) -> None:
    once, again = (harvest_source(server.url, options("persons", rows=1000)) for _ in range(2))
    (table,) = once.tables
    assert once.digest == again.digest
    assert (table.sampled, table.rows) == (True, 1000)
    assert {c for c, _ in table.fields[4].codes} == {f"4170{n}" for n in range(2, 9)}
    assert table.fields[0].masks[0][0] == "99999"
    assert table.fields[0].max_length == 5


def test_a_table_without_a_whole_number_key_gives_its_first_rows_and_says_so(server: Server) -> None:
    found = harvest_source(server.url, options("keyless", rows=1000))
    assert found.tables[0].rows == 1000
    assert "not a sample" in dict(found.remarks)["keyless"]


def test_odd_names_are_quoted_and_never_pasted(server: Server) -> None:
    (table,) = harvest_source(server.url, options("odd `%s :name")).tables
    assert [f.name for f in table.fields] == ["a %(b)s", "имя"]
    assert table.rows == 1


def test_the_session_cannot_write(server: Server) -> None:
    source = Database.at_url(server.url, Reading())
    with source._engine.connect() as connection, pytest.raises(Exception, match="READ ONLY transaction"):
        connection.exec_driver_sql("DELETE FROM persons")
    source.close()


def test_a_slow_register_is_cancelled_and_named(server: Server) -> None:
    with pytest.raises(errors.SourceSlow) as error:
        harvest_source(server.url, options("slow", seconds=1))
    assert error.value.params["seconds"] == 1


def test_an_account_without_rights_is_told_what_to_ask_for_and_its_password_stays_out(server: Server) -> None:
    for account in ("reader:wrong", "reader:pw"):
        with pytest.raises(errors.SourceError) as error:
            harvest_source(server.url.replace("root", account), options("persons"))
        assert "wrong" not in str(error.value)
        assert ":pw" not in str(error.value)


def test_nothing_listens(server: Server) -> None:
    with pytest.raises(errors.SourceDown):
        harvest_source("mysql://root@127.0.0.1:1/reg", options())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the driver mourns its connection
def test_a_source_that_dies_mid_harvest_is_told(server: Server) -> None:
    """The last test here: the server does not come back."""
    source = Database.at_url(server.url, Reading(tables=("persons",)))
    (rows,) = source.tables()
    stream = rows.rows()
    next(stream)
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(errors.SourceDown, match="in the middle of reading"):
        list(stream)
    source.close()
    del stream, rows
    gc.collect()
