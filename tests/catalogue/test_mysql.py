"""A real MariaDB register: read-only, sampled in pieces, given up on when slow or dead, its cost measured."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pymysql
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.mysql.reflection import MySQLTableDefinitionParser
from sqlalchemy.exc import DBAPIError

from kerege.catalogue import errors
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.sources import Limits, Reading
from kerege.catalogue.sources.base import told_type
from kerege.catalogue.sources.databases import Database
from kerege.catalogue.sources.mysql import MySQL, _cut


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
    laying = [
        install, "--no-defaults", f"--datadir={folder}/data", "--auth-root-authentication-method=normal", "--skip-test-db", *account,
    ]  # fmt: skip
    laid = subprocess.run(laying, check=False, capture_output=True)
    if laid.returncode:  # seen once on a busy machine; what it says is told when it happens twice
        shutil.rmtree(folder / "data", ignore_errors=True)
        laid = subprocess.run(laying, check=False, capture_output=True)
    assert laid.returncode == 0, (laid.stdout + laid.stderr).decode(errors="replace")
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
            "CREATE TABLE reg.odd_types (id INT PRIMARY KEY, yes BIT(1), doc JSON, place POINT, area MULTIPOLYGON, guid UUID)",
            "INSERT INTO reg.odd_types VALUES (1, b'1', '{\"a\": 1}', POINT(1, 2), NULL, UUID()), (2, b'0', '[]', POINT(3, 4), NULL, UUID())",
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


def test_an_estimate_of_rows_that_are_gone_gives_no_rows_and_no_fault(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.run("CREATE TABLE reg.emptied (id INT PRIMARY KEY)")
    monkeypatch.setattr(MySQL, "_count", lambda *_: 1_000_000)
    source = Database.at_url(server.url, Reading(tables=("emptied",)))
    (table,) = source.tables()
    assert list(table.rows()) == []
    source.close()


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


def test_types_of_one_family_alone_are_named_and_what_is_no_text_is_told_by_size(server: Server) -> None:
    (table,) = harvest_source(server.url, options("odd_types")).tables
    fields = {f.name: f for f in table.fields}
    assert [fields[n].declared_type for n in ("yes", "place", "area", "guid")] == [
        "BIT",
        "POINT",
        "MULTIPOLYGON",
        "UUID",
    ]
    assert (fields["yes"].masks[0][0], fields["yes"].distinct) == ("9", 2)
    assert (fields["place"].type, fields["place"].distinct, fields["area"].nulls) == ("binary", 2, 2)
    assert (fields["guid"].max_length, fields["doc"].max_length) == (36, 8)


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


# What MySQL 8 and 9 say and MariaDB does not, as their manual has it: SHOW CREATE TABLE, error numbers, session variables, threads.
TABLE_OF_MYSQL: Final = """CREATE TABLE `persons` (
  `my_row_id` bigint unsigned NOT NULL AUTO_INCREMENT /*!80023 INVISIBLE */,
  `pin` char(14) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL COMMENT 'Personal number',
  `flag` tinyint(1) NOT NULL DEFAULT '0',
  `yes` bit(1) DEFAULT b'0',
  `doc` json DEFAULT NULL,
  `at` datetime(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  `guid` binary(16) DEFAULT (uuid_to_bin(uuid())),
  `name` varchar(100) COLLATE utf8mb4_0900_as_cs DEFAULT NULL,
  `upper` varchar(100) GENERATED ALWAYS AS (upper(`name`)) VIRTUAL,
  `place` point NOT NULL /*!80003 SRID 4326 */,
  `likeness` vector(3) DEFAULT NULL,
  `hidden` int unsigned DEFAULT NULL /*!80023 INVISIBLE */,
  PRIMARY KEY (`my_row_id`),
  KEY `f` ((lower(`name`))),
  KEY `g` (`pin`) /*!80000 INVISIBLE */,
  CONSTRAINT `c` CHECK ((`flag` < 2)) /*!80016 NOT ENFORCED */
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMMENT='Residents' /*!80016 ENCRYPTION='N' */"""


@pytest.mark.filterwarnings("error")
def test_a_table_as_mysql_describes_it_is_read_and_each_column_has_a_way_out() -> None:
    source = Database.at_url("mysql://nobody@127.0.0.1:1/reg", Reading())
    dialect: Any = source._engine.dialect
    dialect.server_version_info = (9, 1, 0)
    read = MySQLTableDefinitionParser(dialect, dialect.identifier_preparer).parse(TABLE_OF_MYSQL, "utf8mb4")
    types = {c["name"]: told_type(str(c["type"])) for c in read.columns}
    assert types == {
        "my_row_id": "BIGINT", "pin": "CHAR(14) COLLATE ascii_bin", "flag": "TINYINT", "yes": "BIT", "doc": "JSON", "at": "DATETIME",
        "guid": "BINARY(16)", "name": "VARCHAR(100) COLLATE utf8mb4_0900_as_cs", "upper": "VARCHAR(100)", "place": "POINT",
        "likeness": "VECTOR", "hidden": "INTEGER",
    }  # fmt: skip
    assert read.keys[0]["columns"][0][0] == "my_row_id"
    asked = {name: str(_cut(sa.column(name), told, 10).compile(dialect=dialect)) for name, told in types.items()}
    assert {name for name, text in asked.items() if "md5" in text} == {"guid", "place", "likeness"}
    assert "UNSIGNED" in asked["yes"]
    assert all(asked[name].startswith("left(") for name in ("pin", "doc", "name", "upper"))
    source.close()


@pytest.mark.parametrize(
    ("number", "wrong", "said"),
    [
        (3024, errors.SourceSlow, "1 s"), (4031, errors.SourceDown, "in the middle of reading"), (3169, errors.SourceDown, "in the middle"),
        (1040, errors.SourceDown, "no connection left"), (1226, errors.SourceDown, "no connection left"), (2003, errors.SourceDown, "refused"),
        (1862, errors.SourceRefused, "password has expired"), (3118, errors.SourceRefused, "locked"), (3159, errors.SourceRefused, "over TLS"),
        (1130, errors.SourceRefused, "account, password"), (1227, errors.SourceRefused, "no right to read"),
    ],
)  # fmt: skip
def test_what_mysql_refuses_with_is_told_in_plain_words(number: int, wrong: type[Exception], said: str) -> None:
    source = Database.at_url("mysql://nobody:pw@127.0.0.1:1/reg", Reading(Limits(seconds=1)))
    error = DBAPIError("SELECT 1", {}, pymysql.err.OperationalError(number, "secret text of the server"))
    told = source._translated(error, "t")
    assert isinstance(told, wrong)
    assert said in str(told)
    assert "secret" not in str(told)
    source.close()


class Asked:
    """A cursor that knows what `known` begins, and refuses the rest as an unknown variable or column."""

    def __init__(self, known: dict[str, tuple[object, ...]]) -> None:
        self.known, self.statements, self.row = known, list[str](), ()

    def __enter__(self) -> Asked:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def execute(self, statement: str) -> None:
        self.statements.append(statement)
        found = [row for begin, row in self.known.items() if statement.startswith(begin)]
        if not found:
            raise pymysql.err.OperationalError(1193, "Unknown system variable")
        self.row = found[0]

    def fetchone(self) -> tuple[object, ...]:
        return self.row


def test_a_session_is_set_in_mysqls_words_and_its_thread_found_in_mysqls_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine = threading.get_native_id()
    monkeypatch.setattr(
        "kerege.catalogue.sources.mysql.process_cpu", lambda pid, thread=None, name="": 1.0 if name == "mysql" else None
    )
    cursor = Asked(
        {
            "SET SESSION TRANSACTION READ ONLY": (), "SET SESSION lock_wait_timeout": (), "SET SESSION max_execution_time = 1000": (),
            "SET SESSION information_schema_stats_expiry = 0": (), "SELECT THREAD_OS_ID": (mine,),
        }
    )  # fmt: skip
    source = Database.at_url("mysql://nobody@127.0.0.1:1/reg", Reading(Limits(seconds=1)))
    assert isinstance(source, MySQL)
    source._opened(SimpleNamespace(cursor=lambda: cursor))
    assert source._thread == (os.getpid(), mine)
    assert any(s.startswith("SET SESSION max_statement_time") for s in cursor.statements), "MariaDB's words do no harm"
    source._engine.dispose()


def test_a_certificate_named_in_the_url_is_what_the_server_is_held_to(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}
    refused = pymysql.err.OperationalError(2003, "no")

    def connect(**how: object) -> None:
        given.update(how)
        raise refused

    monkeypatch.setattr(pymysql, "connect", connect)
    for query, wanted in (("", (None, None)), ("?ssl_ca=/etc/ca.pem", ("/etc/ca.pem", True))):
        given.clear()
        with pytest.raises(errors.SourceDown):
            harvest_source(f"mysql://nobody@db.example/reg{query}", options())
        assert (given.get("ssl_ca"), given.get("ssl_verify_identity")) == wanted


@pytest.mark.parametrize(("query", "told"), [
    ("ssl_cert=/etc/own.pem&ssl_key=/etc/own.key", "ssl_cert .* checks nobody without ssl_ca"),
    ("ssl_key=/etc/own.key", "ssl_key .* checks nobody without ssl_ca"),
    ("ssl_mode=VERIFY_IDENTITY", "ssl_mode .* is not known here"),
    ("ssl_ca=/etc/ca.pem&ssl_disabled=true", "ssl_disabled .* is not known here"),
    ("ssl_ca=/etc/ca.pem&ssl_ca=/etc/other.pem", "ssl_ca .* stands twice"),
])  # fmt: skip
def test_an_address_that_asks_for_more_than_is_checked_is_refused_before_anything_is_connected_to(
    query: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pymysql, "connect", None)
    with pytest.raises(errors.OptionRefused, match=told) as refused:
        harvest_source(f"mysql://nobody:secret-word@db.example/reg?{query}", options())
    assert "secret-word" not in refused.value.text + refused.value.next_step


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
