"""An engine is plain Python: it can be imported alone, and brings no web framework, no database and no other engine."""

import subprocess
import sys

import pytest

ENGINES = ["exchange", "semantics", "credentials", "ledger"]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_imports_alone(engine):
    others = [f"kerege.{name}" for name in ENGINES if name != engine]
    program = f"""
import importlib, pkgutil, sys
import kerege.{engine} as room
for module in pkgutil.walk_packages(room.__path__, "kerege.{engine}."):
    importlib.import_module(module.name)
loaded = [m for m in sys.modules if m in {others!r} or m.split(".")[0] in ("django", "sqlalchemy", "psycopg")]
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
