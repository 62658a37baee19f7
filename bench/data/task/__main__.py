"""`python -m bench.data.task OUT.parquet --rows N`: the peers' register as a file."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.data.task import write

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("path", type=Path)
parser.add_argument("--rows", type=int, default=1_000_000)
options = parser.parse_args()
write(options.path, options.rows)
