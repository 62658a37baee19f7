"""Handing the picture to whoever signs and writes it: one function shape, so this room knows no file layout.

A publisher takes the picture, its rules as bytes, the folder and the moment, and leaves there what the nodes load; it writes
aside and renames, so a failure leaves the last configuration in place.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from kerege.membership.picture import Picture

Publisher = Callable[[Picture, bytes, Path, datetime], None]
