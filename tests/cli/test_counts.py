"""What a command counts stands in the singular where it is one: `1 row`, never `1 rows`."""

import ast
import re
from pathlib import Path

import pytest

import kerege

ROOMS = ("cli", "membership", "catalogue", "reconcile", "semantics", "ledger", "node")
SOURCES = sorted(file for room in ROOMS for file in (Path(kerege.__file__).parent / room).rglob("*.py"))
THINGS = (
    "archives attributes calls cells changes checkpoints codes columns consumers containers datasets days decisions discrepancies "
    "entries errors events faults fields findings links members notes operations pairs persons queries records requests responses "
    "rights rows servers settlements shapes subsystems tables tasks times tries values versions violations warnings"
)
COUNTED = re.compile(
    rf" (?:(?:more|new|other|open|code|data|linked|settled|stored|real|unmapped) )*(?:{'|'.join(THINGS.split())})\b"
)
PLACE = re.compile(r"\{(\w+)\}(?=" + COUNTED.pattern + ")")  # of a template
# What is never one: a bound, and what is told only where it is beyond a bound.
NEVER_ONE = re.compile(r"[A-Z_][A-Z0-9_]*|.*\b(?:limits?|most|longest|bounds|expected)\b.*")
BEYOND_A_BOUND = {
    ("catalogue/errors/sources.py", "ratio"), ("cli/catalogue.py", "k"),
    ("semantics/codelists/sdmx.py", "len(codes)"), ("semantics/codelists/tables.py", "rows"),
    ("semantics/codelists/tables.py", "sheet.height"), ("semantics/contracts/message.py", "len(out[name])"),
    ("semantics/crosswalks/rules.py", "many"), ("semantics/mappings/shape.py", "said[:12] or 'nothing'"),
}  # fmt: skip


def counted_plainly(file):
    """Every `{number} things` of a file's texts that is not within a choice by its number."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    chosen = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.IfExp) for inner in ast.walk(node.orelse)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from PLACE.findall(node.value)
        if isinstance(node, ast.JoinedStr) and id(node) not in chosen:
            for value, after in zip(node.values, node.values[1:], strict=False):
                if (
                    isinstance(value, ast.FormattedValue)
                    and isinstance(after, ast.Constant)
                    and COUNTED.match(after.value)
                ):
                    yield ast.unparse(value.value)


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: "/".join(file.parts[-2:]))
def test_nothing_is_counted_in_the_plural_alone(file):
    place = file.relative_to(Path(kerege.__file__).parent).as_posix()
    told = {(place, number) for number in counted_plainly(file) if not NEVER_ONE.fullmatch(number)}
    assert told - BEYOND_A_BOUND == set()
