"""The YAML of contracts: text to plain values (`bounded_yaml`) and back. JSON is YAML here.

Written is what other readers, of YAML 1.1 too, read alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import yaml

from kerege.semantics.bounded_yaml import SCALARS, Bounds, YamlRefused, read
from kerege.semantics.errors import ContractInvalid, ContractRefused

LARGEST: Final = 4 * 1024 * 1024  # bytes of one contract
MOST_NODES: Final = 200_000  # with every alias written out
DEEPEST: Final = 60
_BOUNDS: Final = Bounds(LARGEST, MOST_NODES, DEEPEST)


def load(text: str | bytes, file: str = "(contract)") -> dict[str, Any]:
    """The document in a YAML or JSON text. Raises ContractRefused (limits, not YAML) or ContractInvalid (a key twice)."""
    try:
        found = read(text, _BOUNDS)
    except YamlRefused as error:
        if error.wrong:
            raise ContractInvalid(file=file, where=f"line {error.line}", reason=error.reason) from None
        raise ContractRefused(file=file, reason=str(error)) from None
    if not isinstance(found, dict):
        raise ContractRefused(file=file, reason="it is not one mapping of keys to values")
    return found


class _Dumper(yaml.SafeDumper):
    """Block style, keys in the document's order, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    # a text that this module's own reader, or one of YAML 1.1, might take for something else is quoted
    style = "|" if "\n" in value and value.isprintable() is False and _blockable(value) else None
    if style is None and (value in SCALARS or re.match(r"[-+.]?[0-9]", value)):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _blockable(value: str) -> bool:
    return all(char.isprintable() or char == "\n" for char in value) and not re.search(r"[ \t]\n|\n\Z\n|\A[ \n]", value)


_Dumper.add_representer(str, cast(Callable[[yaml.SafeDumper, str], yaml.Node], _text))


def dump(document: Mapping[str, Any]) -> str:
    """The document as YAML that every reader of YAML 1.1 and 1.2 reads alike."""
    return yaml.dump(
        _plain(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=False
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
