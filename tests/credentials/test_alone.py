"""The engine can be imported alone."""

from __future__ import annotations

import subprocess
import sys

PROBE = """
import sys
import kerege.credentials
rooms = {m.split(".")[1] for m in sys.modules if m.startswith("kerege.")}
assert rooms == {"credentials", "ground"}, rooms
assert not {"django", "sqlalchemy", "psycopg"} & set(sys.modules)
"""


def test_credentials_need_no_other_room_no_framework_and_no_database() -> None:
    subprocess.run([sys.executable, "-c", PROBE], check=True, timeout=60)
