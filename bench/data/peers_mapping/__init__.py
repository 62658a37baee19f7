"""The peers of the mapping bench, each in an environment of its own: Spinta (Lithuania's data agent) and LinkML-Map; None where not there."""

from __future__ import annotations

import csv
import json
import os
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
VENV: Final = HERE.parents[2] / ".venv"
_TICKS: Final = os.sysconf("SC_CLK_TCK")
Row = dict[str, str]
Tables = dict[str, dict[str, str]]


def linkml_map(rows: Sequence[Row], tables: Tables, folder: Path) -> float | None:
    """CPU seconds for each row, or None when it is not there."""
    python = VENV / "outside-linkml" / "bin" / "python"
    if not (VENV / "outside-linkml" / ".ready").exists():
        print("LinkML-Map is not there: make outside-mapping")
        return None
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    (folder / "tables.json").write_text(json.dumps(tables, ensure_ascii=False), "utf-8")
    told = subprocess.run(
        [python, HERE / "linkml_rows.py", folder / "rows.jsonl", folder / "tables.json"],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    found = json.loads(told.stdout.splitlines()[-1])
    print(
        f"LinkML-Map 0.5.4: {found['rows']} of {len(rows)} rows, 11 of 17 fields, {found['cpu_per_row'] * 1e6:.0f} us of CPU a row"
    )
    return float(found["cpu_per_row"])


def spinta(rows: Sequence[Row], tables: Tables, folder: Path) -> float | None:
    """CPU seconds of Spinta's server for each row it serves from an SQL source, codes recoded by enums; None when it is not there.

    Rows with a code it does not know are left out beforehand: it would break the stream at the first.
    """
    program = VENV / "outside-spinta" / "bin" / "spinta"
    if not program.exists():
        print("Spinta is not there: make outside-mapping")
        return None
    known = [row for row in rows if all(row[name] in table for name, table in tables.items())]
    _database(known, folder / "register.sqlite")
    _manifest(list(rows[0]), tables, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [
        "auth_server_id=x",
        "resource_server_id=x",
        "default_auth_client=default",
        "keymaps.default.dsn=sqlite:///:memory:",
    ]
    arguments = [text for option in options for text in ("-o", option)]
    (folder / "config" / "clients").mkdir(parents=True)
    environment = {**os.environ, "SPINTA_CONFIG_PATH": str(folder / "config")}
    subprocess.run(
        [program, "check", folder / "manifest.csv"], env=environment, capture_output=True, timeout=120, check=True
    )  # makes its keys
    server = subprocess.Popen(
        [program, *arguments, "run", "--mode", "external", "--host", "127.0.0.1", "--port", str(port), folder / "manifest.csv"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}/bench/Person"
        _wait(f"{address}?limit(1)")
        best = None
        for _ in range(2):
            before = _cpu(server.pid)
            with urllib.request.urlopen(address, timeout=300) as answer:
                served = len(json.loads(answer.read())["_data"])
            cost = (_cpu(server.pid) - before) / served
            best = cost if best is None else min(best, cost)
        print(f"Spinta 1.3.1: {served} rows over HTTP, 12 fields, {(best or 0) * 1e6:.0f} us of CPU a row")
        return best
    finally:
        server.terminate()
        server.wait(timeout=30)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _wait(address: str) -> None:
    for _ in range(120):
        try:
            urllib.request.urlopen(address, timeout=60).read()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
        else:
            return
    raise TimeoutError("Spinta did not answer within a minute")


def _database(rows: Sequence[Row], path: Path) -> None:
    with sqlite3.connect(path) as database:
        names = list(rows[0])
        columns = ", ".join(f"{name} TEXT" + (" PRIMARY KEY" if name == "id" else "") for name in names)
        database.execute(f"CREATE TABLE register ({columns})")
        database.executemany(
            f"INSERT INTO register VALUES ({', '.join('?' for _ in names)})", [list(row.values()) for row in rows]
        )


def _manifest(names: list[str], tables: Tables, folder: Path) -> None:
    head = [
        "id",
        "dataset",
        "resource",
        "base",
        "model",
        "property",
        "type",
        "ref",
        "source",
        "prepare",
        "level",
        "access",
        "uri",
        "title",
        "description",
    ]
    lines: list[dict[str, Any]] = [
        {"dataset": "bench"},
        {"resource": "db", "type": "sql", "source": f"sqlite:///{folder / 'register.sqlite'}"},
        {"model": "Person", "ref": "id", "source": "register", "level": 4, "access": "open"},
    ]
    for name in names:
        lines.append({"property": name, "type": "string", "source": name, "level": 4, "access": "open"})
        for number, (code, target) in enumerate(tables.get(name, {}).items()):
            lines.append({"type": "enum" if not number else "", "source": code, "prepare": f'"{target}"'})
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, head)
        writer.writeheader()
        writer.writerows(lines)
