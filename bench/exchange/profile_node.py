"""Where a node's CPU goes under load: `python bench/exchange/profile_node.py --side provider --keys rsa --concurrency 64`.

One pair as in the bench, loaded for a few seconds. Three ways to look, none of which needs more than Python and, for two, Linux's perf:

  --with cprofile   the chosen node runs under cProfile and is stopped in order; its functions by own time are printed. The event loop's
                    thread only; every Python call costs more under it, so read the order and the counts, not the milliseconds.
  --with perf       the chosen node runs as always and perf samples it from outside: libraries and symbols of native code (crypto, TLS,
                    kernel), Python as one block. This is true to time.
  --with stat       perf's counters: task switches, instructions per cycle, page faults of the chosen node.
"""

from __future__ import annotations

import argparse
import pstats
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pairs
from measure import RunFailed, run_load
from processes import NotReady
from single import one_pair


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", choices=["consumer", "provider"], default="consumer")
    parser.add_argument("--keys", choices=["rsa", "ec"], default="rsa")
    parser.add_argument("--link", action="store_true", help="the Kerege link; X-Road's wire otherwise")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--size", choices=["1k", "20k"], default="1k")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--with", dest="tool", choices=["cprofile", "perf", "stat"], default="cprofile")
    parser.add_argument("--top", type=int, default=45, help="lines to print")
    options = parser.parse_args()
    needed = ["nginx", "wrk"] + (["perf"] if options.tool != "cprofile" else [])
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        print(f"not there: {', '.join(missing)} (Debian: apt-get install nginx wrk linux-perf)")
        return 2
    try:
        with one_pair("profile", algorithm=options.keys, link=options.link) as pair:
            output = pair.folder / "profile"
            for side in ("provider", "consumer"):
                wrapped = side == options.side and options.tool == "cprofile"
                pair.start(side, ("-m", "cProfile", "-o", str(output)) if wrapped else ())
            for side in ("provider", "consumer"):
                pair.wait(side)
            size = {"1k": (1024, "k1"), "20k": (20480, "k20")}[options.size]
            url = f"{pair.clients_url}/r1/{pairs.SERVICE}/{size[1]}"
            parts = {side: pair.pid(side) for side in ("consumer", "provider")}

            def load(seconds: int) -> None:
                sample = run_load(
                    url,
                    concurrency=options.concurrency,
                    seconds=seconds,
                    size=size[0],
                    client=str(pairs.CLIENT),
                    parts=parts,
                    where="profile",
                )
                cpu = ", ".join(f"{name} {value:.3f}" for name, value in sample.cpu_ms.items())
                print(
                    f"{sample.rate:.0f} exchanges/s, p50 {sample.p50_ms:.2f} ms, CPU ms per exchange: {cpu}", flush=True
                )

            load(1)
            if options.tool == "cprofile":
                load(options.seconds)
                pair.stop(options.side)
                pstats.Stats(str(output)).sort_stats("tottime").print_stats(options.top)
            else:
                _perf(options.tool, parts[options.side], options.seconds, options.top, output, load)
        return 0
    except (RunFailed, NotReady) as failed:
        print(f"failed: {failed}")
        return 1


def _perf(tool: str, pid: int, seconds: int, top: int, output: Path, load: object) -> None:
    assert callable(load)
    worker = threading.Thread(target=load, args=(seconds + 1,))
    worker.start()
    if tool == "stat":
        command = ["perf", "stat", "-p", str(pid), "--", "sleep", str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        worker.join()
        print(done.stderr)
        return
    record = ["perf", "record", "-q", "-F", "999", "-p", str(pid), "-o", str(output), "--", "sleep", str(seconds)]
    subprocess.run(record, capture_output=True, check=False)
    worker.join()
    for sort in ("dso", "dso,symbol"):
        command = ["perf", "report", "-q", "--stdio", "-i", str(output), "--sort", sort]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [line.rstrip(" -")[:110] for line in done.stdout.splitlines() if line.strip()]
        print(f"\nby {sort}")
        print("\n".join(lines[:top]) if lines else done.stderr.strip() or "perf recorded nothing")


if __name__ == "__main__":
    sys.exit(main())
