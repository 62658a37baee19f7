"""`make bench-exchange`: the exchange beside two nginx with mutual TLS, in one run on one machine. docs/exchange-speed.md explains it.

Everything runs on loopback and ends by itself; only processes that this run started are ended. Variants are measured in turn, round
after round, so that whatever else the machine does falls on all of them; figures are medians over the rounds, ratios are taken within a round.
A run fails when a single call is answered with anything but 200, or when the two logs did not grow by two durable records per
exchange and node. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bodies
import pairs
from measure import RunFailed
from processes import NotReady
from run import FLOOR, SIZES, VARIANTS, Bench


def machine() -> str:
    """What was measured on, for whoever reads the figures later."""
    from importlib.metadata import version

    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // (1024 * 1024)
    nginx = (
        subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr.strip().rpartition("/")[2]
    )
    wrk = (
        subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout.split("Copyright")[0].strip()
    )
    commit = subprocess.run(
        ["git", "-C", str(pairs.PROJECT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    packages = ", ".join(f"{name} {version(name)}" for name in ("cryptography", "uvloop", "httptools"))
    return (
        f"{os.cpu_count()} cores ({processor}), {memory} GB, Linux {platform.release()}, Python {platform.python_version()}, "
        f"{packages}, nginx {nginx}, {wrk}; load average before {os.getloadavg()[0]:.1f}; commit {commit or 'unknown'}"
    )


def ready() -> str | None:
    """What is missing, in words; what can be installed is."""
    missing = [name for name in ("nginx", "wrk") if shutil.which(name) is None]
    if not missing:
        return None
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing {' '.join(missing)} from Debian", file=sys.stderr, flush=True)
        quiet = {"DEBIAN_FRONTEND": "noninteractive", "PATH": os.environ["PATH"]}
        subprocess.run(["apt-get", "update", "-q"], env=quiet, stdout=sys.stderr, check=False)
        # the rival is ours to start: Debian's own service must not come up with it
        install = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *missing]
        subprocess.run(install, env={**quiet, "RUNLEVEL": "1"}, stdout=sys.stderr, check=False)
        missing = [name for name in missing if shutil.which(name) is None]
    return f"not there: {', '.join(missing)} (Debian: apt-get install {' '.join(missing)})" if missing else None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-exchange", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    parser.add_argument("--only", nargs="+", choices=(*VARIANTS, *FLOOR), default=list(VARIANTS), help="variants")
    parser.add_argument("--concurrency", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument(
        "--python", default=sys.executable, help="the interpreter the nodes run on: another build of this version"
    )
    parser.add_argument(
        "--bodies", nargs="*", choices=list(bodies.SIZES), default=list(bodies.SIZES), help="big bodies"
    )
    options = parser.parse_args()
    if not (1 <= options.rounds <= 20 and 1 <= options.seconds <= 20):
        parser.error("rounds and seconds are 1 to 20")
    return options


def main() -> int:
    options = _options()
    problem = ready()
    if problem:
        print(problem)
        return 2
    place = pairs.PROJECT / "var"  # the disk that nodes run on, not a file system in memory
    place.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-exchange-", dir=place))
    bench = Bench(options, folder)
    started = time.monotonic()
    print(machine(), flush=True)
    if options.python != sys.executable:
        print(f"the nodes run on {options.python}", flush=True)
    try:
        bench.set_up()
        bench.run()
        print(f"\n{options.rounds} rounds of {options.seconds} s each, medians\n\n{bench.table()}", flush=True)
        for target in bench.targets.values():
            if target.pair:
                target.pair.close()
                shutil.rmtree(target.pair.folder, ignore_errors=True)
        rows = bench.big()
        for row in rows:
            memory = row["resident_mb"]
            print(
                f"{row['wire']:7} {row['size']:>5} {row['way']:9} {row['seconds']:8.3f} s   resident MB: "
                f"consumer {memory['consumer']}, provider {memory['provider']}   {row.get('problem', 'every byte the same')}"
            )
        for note in bench.notes:
            print(f"note: {note}")
        print(f"{time.monotonic() - started:.0f} s in all")
        print(json.dumps(bench.result()))
        return 1 if any("problem" in row for row in rows) else 0
    except (RunFailed, NotReady) as failed:
        print(f"failed: {failed}")
        return 1
    finally:
        bench.processes.stop_all()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
