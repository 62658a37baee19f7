"""Reads one mapping of the configuration file strictly: every key is known, every value has its type, errors name the key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kerege.ground.errors import KeregeError
from kerege.node.config_types import MEGABYTE, Address
from kerege.node.errors import NodeConfigInvalid

_MISSING: Final = object()
_INDEXED: Final = re.compile(r"(\w+)\[(\d+)\]")
NOT_AMONG_CLIENTS: Final = "is not among clients"  # what is wrong with a data service that is otherwise in order
SET_ASIDE: Final = object()  # in the place of an entry of a list, so that the others keep their numbers

Place = tuple[str | int, ...]  # the way to a value in the file, key by key


class Section:
    """One mapping of the file. Ask for every key it may hold, then `close`: a key that nobody asked for is refused."""

    def __init__(self, value: Any, path: str, file: Path, place: Place = ()) -> None:
        self.file, self.path, self.where = file, path, place
        if not isinstance(value, Mapping):
            raise self.bad("", "expected keys and values here")
        self._value = dict(value)
        self._left = {str(key) for key in self._value}
        self._asked: set[str] = set()

    def bad(self, key: str, reason: str) -> NodeConfigInvalid:
        name = ".".join(part for part in (self.path, key) if part) or "(top)"
        at = _INDEXED.fullmatch(key)
        last: Place = (at[1], int(at[2])) if at is not None else (key,) if key else ()
        return NodeConfigInvalid(file=self.file, key=name, reason=reason, place=(*self.where, *last))

    def child(self, name: str, value: Any) -> Section:
        """The mapping that stands under `name` here, a name that is itself data (an identifier, a code)."""
        return Section(value, f"{self.path}.{name}" if self.path else name, self.file, (*self.where, name))

    def has(self, key: str) -> bool:
        self._asked.add(key)
        return key in self._value

    def raw(self, key: str, default: Any = _MISSING) -> Any:
        self._left.discard(key)
        self._asked.add(key)
        if key not in self._value:
            if default is _MISSING:
                raise self.bad(key, "it is required")
            return default
        return self._value[key]

    def text(self, key: str, default: Any = _MISSING) -> str:
        found = self.raw(key, default)
        if not isinstance(found, str) or not found:
            raise self.bad(key, "expected a text")
        return found

    def text_or_none(self, key: str) -> str | None:
        return self.text(key) if self.has(key) else None

    def one_of(self, key: str, default: str, allowed: tuple[str, ...]) -> str:
        found = self.raw(key, default)
        if found not in allowed:
            raise self.bad(key, f"expected {', '.join(allowed[:-1])} or {allowed[-1]}")
        return str(found)

    def number(self, key: str, default: float, least: float, most: float = float("inf")) -> float:
        found = self.raw(key, default)
        if not isinstance(found, int | float) or isinstance(found, bool) or not found >= least:
            raise self.bad(key, f"expected a number of at least {least:g}")
        if found > most:
            raise self.bad(key, f"expected a number of at most {most:g}")
        return float(found)

    def megabytes(self, key: str, default: float, least: float = 0.001) -> int:
        return int(self.number(key, default, least) * MEGABYTE)

    def flag(self, key: str, default: bool) -> bool:
        found = self.raw(key, default)
        if not isinstance(found, bool):
            raise self.bad(key, "expected true or false")
        return found

    def section(self, key: str, default: Any = _MISSING) -> Section:
        path = ".".join(p for p in (self.path, key) if p)
        return Section(self.raw(key, default), path, self.file, (*self.where, key))

    def section_or_none(self, key: str) -> Section | None:
        return self.section(key) if self.raw(key, None) is not None else None

    def items(self) -> list[tuple[str, Any]]:
        self._left.clear()
        return [(str(key), value) for key, value in self._value.items()]

    def listing(self, key: str, default: Any = _MISSING) -> list[Any]:
        found = self.raw(key, default)
        if not isinstance(found, list):
            raise self.bad(key, "expected a list")
        return found

    def sections(self, key: str, default: Any = _MISSING) -> list[Section]:
        path = ".".join(p for p in (self.path, key) if p)
        found = self.numbered(key, default)
        return [Section(v, f"{path}[{i}]", self.file, (*self.where, key, i)) for i, v in found]

    def numbered(self, key: str, default: Any = _MISSING) -> list[tuple[int, Any]]:
        """The entries of a list with where they stand, without those that `check` has told of and set aside."""
        return [(i, value) for i, value in enumerate(self.listing(key, default)) if value is not SET_ASIDE]

    def place(self, key: str, default: Any = _MISSING) -> Path:
        return (self.file.parent / self.text(key, default)).resolve()

    def place_or_none(self, key: str) -> Path | None:
        return self.place(key) if self.raw(key, None) is not None else None

    def places(self, key: str) -> tuple[Path, ...]:
        found = self.listing(key, [])
        if not all(isinstance(one, str) and one for one in found):
            raise self.bad(key, "expected a list of files")
        return tuple((self.file.parent / one).resolve() for one in found)

    def address(self, key: str) -> Address:
        return self.as_address(self.text(key), key)

    def address_or_none(self, key: str) -> Address | None:
        return self.address(key) if self.has(key) else None

    def as_address(self, text: Any, key: str) -> Address:
        host, colon, port = str(text).rpartition(":")
        if not colon or not host or not port.isdecimal() or int(port) > 65535:
            raise self.bad(key, "expected host:port")
        return Address(host.strip("[]"), int(port))

    def parse(self, kind: Any, text: Any, key: str) -> Any:
        """`text` as an identifier of `kind`."""
        try:
            return kind.parse(str(text))
        except KeregeError as problem:
            raise self.bad(key, problem.text.rstrip(".")) from None

    def close(self) -> None:
        if self._left:
            first = sorted(self._left)[0]
            near = difflib.get_close_matches(first, self._asked, 1)
            raise self.bad(first, "this key is not known" + (f" (is {near[0]} meant?)" if near else ""))
