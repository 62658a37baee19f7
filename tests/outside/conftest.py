"""The independent network of tests/box, for the libraries here."""

import importlib.util
import sys
from pathlib import Path

_BOX = Path(__file__).parents[1] / "box"
sys.path.insert(0, str(_BOX))

_spec = importlib.util.spec_from_file_location("box_fixtures", _BOX / "conftest.py")
assert _spec is not None
assert _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
network = _fixtures.network
