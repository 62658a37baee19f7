"""Compile the native modules (`src/**/*.pyx`) in place: `python tools/native.py [--quiet] [MODULE ...]`.

Cython makes C of them, the machine's C compiler makes extension modules beside the sources. What did not change is not made again.
Ends with 0 when all are there, with 1 and the compiler's last lines when they could not be made: everything then runs without them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"


def extensions(only: list[str]) -> list[object]:
    from setuptools import Extension

    found = []
    for pyx in sorted(SOURCE.rglob("*.pyx")):
        name = ".".join(pyx.relative_to(SOURCE).with_suffix("").parts)
        if only and name not in only:
            continue
        beside = sorted(str(c) for c in pyx.parent.glob(f"{pyx.stem}_*.c"))  # C written by hand: NAME_*.c
        found.append(
            Extension(
                name,
                [str(pyx), *beside],
                include_dirs=[str(pyx.parent)],
                depends=[str(h) for h in pyx.parent.glob("*.h")],
                extra_compile_args=["-O2", "-fno-strict-aliasing", "-Wno-unused-function", "-Wno-unreachable-code"],
            )
        )
    return found


def build(only: list[str], target: Path = SOURCE) -> None:
    """Make the extension modules (all of them where none is named); raises what Cython or the compiler raises."""
    from Cython.Build import cythonize
    from setuptools import Distribution

    work = ROOT / "var" / "native" / ("-".join(only) or "all")
    work.mkdir(parents=True, exist_ok=True)
    modules = cythonize(extensions(only), build_dir=str(work / "c"), include_path=[str(SOURCE)], quiet=True)
    distribution = Distribution({"name": "kerege-native", "ext_modules": modules, "package_dir": {"": str(target)}})
    command = distribution.get_command_obj("build_ext")
    command.inplace = True
    command.build_temp = str(work / "objects")
    command.ensure_finalized()
    command.run()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("module", nargs="*", help="such as kerege.exchange.lane.frames; all without")
    options = parser.parse_args()
    os.chdir(ROOT)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said) if options.quiet else contextlib.nullcontext():
            build(options.module)
    except (ImportError, Exception) as problem:  # noqa: BLE001 - whatever it was, the Python modules do the work
        sys.stderr.write(f"the native modules could not be made: {type(problem).__name__}: {str(problem)[-2000:]}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
