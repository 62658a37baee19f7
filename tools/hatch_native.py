"""Puts the native modules into a wheel: compiled where a C compiler is, left out (and said) where none is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent))


class NativeModules(BuildHookInterface[Any]):
    """For wheels only: a checkout installed in place has its modules from `make setup`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        import native

        try:
            native.build([])
        except Exception as problem:  # noqa: BLE001 - whatever it was, the Python modules do the work
            self.app.display_warning(f"without native modules: {type(problem).__name__}: {problem}")
            return
        build_data["artifacts"].append("src/kerege/**/*.so")
        build_data["pure_python"], build_data["infer_tag"] = False, True
