"""The run itself: everything set up, measured in turn round after round, and told as a table and as the JSON object of the bench."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bodies
import pairs
import rival
from measure import RunFailed, Sample, median, ratio, run_load
from processes import Processes, connections_to, free_ports, peak_megabytes, reset_peak, wait_port

FLOOR = ("floor-rsa",)  # asked for by name only
VARIANTS = ("direct", "nginx-rsa", "nginx-ec", "wire-rsa", "wire-ec", "link-rsa", "link-ec")
WORDS = {
    "direct": "direct call",
    "floor-rsa": "the floor in Python, RSA-2048",
    "nginx-rsa": "two nginx, RSA-2048",
    "nginx-ec": "two nginx, ECDSA P-256",
    "wire-rsa": "X-Road's wire, RSA-2048",
    "wire-ec": "X-Road's wire, ECDSA P-256",
    "link-rsa": "Kerege link, RSA-2048",
    "link-ec": "Kerege link, ECDSA P-256",
}
SIZES = {"1k": (1024, "k1"), "20k": (20480, "k20")}
MOST_LINKS = 4  # connections between two nodes on the link at c=16; X-Road's wire needs one per call under way


@dataclass
class Target:
    """One variant, running: where it is called and which processes it is made of."""

    name: str
    url: str  # with {} where the provider's path goes
    client: str | None
    parts: dict[str, int]
    pair: pairs.Pair | None = None
    links: int = 0


class Bench:
    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.processes = Processes(folder)
        self.targets: dict[str, Target] = {}
        self.samples: dict[tuple[str, str, int], list[Sample]] = defaultdict(list)
        self.notes: list[str] = []

    # --- setting up ---

    def nginx(self, name: str, text: str, port: int) -> int:
        file = self.folder / f"{name}.conf"
        file.write_text(text)
        process = self.processes.start(name, ["nginx", "-c", str(file), "-p", str(self.folder)])
        wait_port(port, process, self.processes.log(name))
        return process.pid

    def python(self, name: str, script: str, *arguments: object, wait: int) -> int:
        command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]
        process = self.processes.start(name, command)
        wait_port(wait, process, self.processes.log(name))
        return process.pid

    def set_up(self) -> None:
        (port,) = free_ports(1)
        provider = self.nginx("provider", rival.provider(self.folder, port), port)
        url = f"http://127.0.0.1:{port}"
        for name in self.options.only:
            kind, _, algorithm = name.partition("-")
            if kind == "direct":
                self.targets[name] = Target(name, url + "/{}", None, {"provider": provider})
            elif kind == "nginx":
                keys = pairs.rival_keys(self.folder / f"{name}-keys", algorithm)
                near, far = free_ports(2)
                inner = self.nginx(f"{name}-in", rival.inner(self.folder, f"{name}-in", far, port, keys), far)
                outer = self.nginx(f"{name}-out", rival.outer(self.folder, f"{name}-out", near, far, keys), near)
                parts = {"consumer": outer, "provider node": inner, "provider": provider}
                self.targets[name] = Target(name, f"http://127.0.0.1:{near}/{{}}", None, parts)
            elif kind == "floor":
                keys = pairs.rival_keys(self.folder / f"{name}-keys", algorithm)
                near, far = free_ports(2)
                back = self.python(f"{name}-back", "floor.py", "back", far, port, keys, wait=far)
                front = self.python(f"{name}-front", "floor.py", "front", near, far, keys, wait=near)
                parts = {"consumer": front, "provider node": back, "provider": provider}
                self.targets[name] = Target(name, f"http://127.0.0.1:{near}/{{}}", None, parts)
            elif kind == "link" and not pairs.link_known():
                self.notes.append(f"{WORDS[name]}: this version's nodes have no link; left out")
            else:
                pair = pairs.make_pair(
                    name,
                    self.folder / name,
                    self.processes,
                    url,
                    algorithm=algorithm,
                    link=kind == "link",
                    python=self.options.python,
                )
                pairs.start_pair(pair)
                parts = {"consumer": pair.pid("consumer"), "provider node": pair.pid("provider"), "provider": provider}
                path = f"{pair.clients_url}/r1/{pairs.SERVICE}/{{}}"
                self.targets[name] = Target(name, path, str(pairs.CLIENT), parts, pair)

    # --- measuring ---

    def steps(self) -> Iterator[tuple[str, int]]:
        for size in self.options.sizes:
            for concurrency in self.options.concurrency:
                yield size, concurrency

    def measure(self, target: Target, size: str, concurrency: int, seconds: int) -> Sample:
        length, path = SIZES[size]
        where = f"{WORDS[target.name]}, {size}, c={concurrency}"
        before = target.pair.records() if target.pair else {}
        sample = run_load(
            target.url.format(path),
            concurrency=concurrency,
            seconds=seconds,
            size=length,
            client=target.client,
            parts=target.parts,
            where=where,
        )
        if target.pair:
            if concurrency >= 16:
                target.links = max(
                    target.links, connections_to(target.parts["consumer"], target.pair.servers_port)
                )  # kept connections stay for a while after the load
            after = target.pair.records()
            for side, count in after.items():
                grown = count - before[side]
                if grown < 2 * sample.requests:  # a call that wrk did not wait for may add more
                    raise RunFailed(
                        f"{where}: {sample.requests} exchanges answered, but the log at {side} grew by {grown} records only"
                    )
        return sample

    def run(self) -> None:
        options = self.options
        for target in self.targets.values():  # connections made, code warm; not counted
            self.measure(target, options.sizes[0], max(16, *options.concurrency), 1)
        names = list(self.targets)
        for number in range(options.rounds):
            for size, concurrency in self.steps():
                turn = number % len(names)
                for name in names[turn:] + names[:turn]:  # whoever comes first in a round is not always the same
                    sample = self.measure(self.targets[name], size, concurrency, options.seconds)
                    self.samples[name, size, concurrency].append(sample)
            print(f"round {number + 1} of {options.rounds} done", file=sys.stderr, flush=True)
        for target in self.targets.values():
            if target.pair and target.pair.link and target.links > MOST_LINKS:
                self.notes.append(
                    f"{WORDS[target.name]}: {target.links} connections between the nodes at c=16: "
                    "the link was not used, its figures are X-Road's wire and are not in the JSON"
                )

    # --- big bodies ---

    def big(self) -> list[dict[str, Any]]:
        """Each size up and down through fresh pairs, memory of each node at its highest."""
        rows: list[dict[str, Any]] = []
        if not self.options.bodies:
            return rows
        (port,) = free_ports(1)
        script = str(Path(__file__).with_name("bodies.py"))
        process = self.processes.start("body-provider", [sys.executable, script, str(port)])
        wait_port(port, process, self.processes.log("body-provider"))
        limits = {"body_megabytes": 1100, "bodies_megabytes": 2400, "peer_seconds": 280}
        for link in (False, True) if pairs.link_known() else (False,):
            name = "bodies-link" if link else "bodies-wire"
            pair = pairs.make_pair(
                name,
                self.folder / name,
                self.processes,
                f"http://127.0.0.1:{port}",
                algorithm="rsa",
                link=link,
                limits=limits,
                timeout_seconds=280,
                python=self.options.python,
            )
            pairs.start_pair(pair)
            try:
                for size in self.options.bodies:
                    for way in (bodies.upload, bodies.download):
                        for side in ("consumer", "provider"):
                            reset_peak(pair.pid(side))
                        passed = way(pair.clients_url, str(pairs.SERVICE), str(pairs.CLIENT), bodies.SIZES[size])
                        peaks = {side: round(peak_megabytes(pair.pid(side))) for side in ("consumer", "provider")}
                        row = {
                            "wire": "link" if link else "x-road",
                            "size": size,
                            "way": way.__name__,
                            "seconds": round(passed.seconds, 3),
                            "resident_mb": peaks,
                        }
                        if passed.problem:
                            row["problem"] = passed.problem
                        rows.append(row)
            finally:
                pair.close()
                shutil.rmtree(pair.folder, ignore_errors=True)
        self.processes.stop("body-provider")
        return rows

    # --- telling ---

    def table(self) -> str:
        head = (
            f"{'variant':28} {'size':>4} {'c':>3} {'req/s':>8} {'of nginx':>8} {'p50 ms':>8} {'p99 ms':>8} "
            f"{'CPU ms: consumer':>17} {'provider':>9} {'both':>7} {'service':>8}"
        )
        lines = [head, "-" * len(head)]
        for size, concurrency in self.steps():
            for name in self.targets:
                one = median(self.samples[name, size, concurrency])
                compared = self.against(name, size, concurrency)
                cpu = one.cpu_ms
                near, far = cpu.get("consumer"), cpu.get("provider node")
                both = None if near is None or far is None else near + far
                lines.append(
                    f"{WORDS[name]:28} {size:>4} {concurrency:>3} {one.rate:8.0f} {_text(compared, 8, 2)} {one.p50_ms:8.2f} "
                    f"{one.p99_ms:8.2f} {_text(near, 17, 3)} {_text(far, 9, 3)} {_text(both, 7, 3)} {cpu['provider']:8.3f}"
                )
            lines.append("")
        return "\n".join(lines)

    def against(self, name: str, size: str, concurrency: int) -> float | None:
        """In parts of the nginx pair with the same kind of key."""
        other = "nginx-ec" if name.endswith("-ec") else "nginx-rsa"
        own, rivals = self.samples.get((name, size, concurrency)), self.samples.get((other, size, concurrency))
        return ratio(own, rivals) if own and rivals and own is not rivals else None

    def result(self) -> dict[str, Any]:
        def held(name: str, size: str, concurrency: int) -> float | None:
            target = self.targets.get(name)
            if target is None or (target.pair and target.pair.link and target.links > MOST_LINKS):
                return None
            found = self.against(name, size, concurrency)
            return None if found is None else round(found, 3)

        def cost(name: str) -> float | None:
            found = self.samples.get((name, "1k", 64))
            if not found:
                return None
            cpu = median(found).cpu_ms
            return round(cpu["consumer"] + cpu["provider node"], 3)

        alone = self.samples.get(("link-rsa", "1k", 1))
        linked = held("link-rsa", "1k", 1) is not None
        return {
            "xroad_wire": {
                "c64_vs_nginx_ecdsa": held("wire-ec", "1k", 64),
                "c64_vs_nginx_rsa": held("wire-rsa", "1k", 64),
                "cpu_ms_rsa": cost("wire-rsa"),
            },
            "own_link": {
                "c64_vs_nginx": held("link-rsa", "1k", 64),
                "c16_vs_nginx": held("link-rsa", "1k", 16),
                "c1_p50_ms": round(median(alone).p50_ms, 3) if alone and linked else None,
                "c64_20kb_vs_nginx": held("link-rsa", "20k", 64),
            },
        }


def _text(value: float | None, width: int, digits: int) -> str:
    return f"{value:{width}.{digits}f}" if value is not None else " " * (width - 1) + "-"
