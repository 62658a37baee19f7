"""Columns and paths as a contract names them: a described answer's paths (`data[].code`) become nested properties and items.

A table's column that has a dot or `[]` in its name stays one property: its name in messages is written without them, the column's own name is
its `physicalName`. What no schema can say (a map's keys, written `*`) ends there: the map is an object, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_NUMBERED: Final = re.compile(r"\[\d+\]")
_STEP: Final = re.compile(r"\[\]|[^.\[\]]+|[\[\]]")
Document = dict[str, Any]


def nested(told: Mapping[str, Document]) -> list[Document]:
    """The properties of one record from path -> what is said of the leaf. The items of a list that is the whole answer are the records."""
    root: Document = {"logicalType": "object"}
    for path, leaf in told.items():
        steps = _STEP.findall(_NUMBERED.sub("[]", path).removeprefix("[].")) or [path]
        node, whole = root, True
        for n, step in enumerate(steps):
            if step == "*":
                whole = False
                break
            last = n + 1 == len(steps)
            if step == "[]" and node is not root:
                node["logicalType"] = "array"
                node.pop("logicalTypeOptions", None)
                node = node.setdefault("items", {})
            else:
                if node is not root:
                    node["logicalType"] = "object"
                    node.pop("logicalTypeOptions", None)
                node = _named(node, "value" if step == "[]" else step)
            if not last:
                node.setdefault("logicalType", "object")
        if whole and not (node.get("properties") or node.get("items")):
            node.update({k: v for k, v in leaf.items() if k != "name"})
    return list(root.get("properties", ()))


def _named(node: Document, name: str) -> Document:
    inner: list[Document] = node.setdefault("properties", [])
    for one in inner:
        if one["name"] == name:
            return one
    inner.append({"name": name})
    return inner[-1]


def flat(told: Mapping[str, Document]) -> list[Document]:
    """The properties of a table's row from column -> what is said of it; each has a name that is no path, and one of its own."""
    taken = {name for name in told if not _is_path(name)}
    out = []
    for column, leaf in told.items():
        name = column
        if _is_path(column):
            plain = re.sub(r"[.\[\]]+", "_", column).strip("_") or "column"
            name, n = plain, 2
            while name in taken:
                name, n = f"{plain}_{n}", n + 1
            taken.add(name)
            leaf = {**leaf, "physicalName": column}
        out.append({**leaf, "name": name})
    return out


def _is_path(name: str) -> bool:
    return "." in name or "[" in name
