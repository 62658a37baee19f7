"""What the machine under the node is doing: load, memory, disks, processes, packages, system, certificates.

Sampled aside (a few numbers every few seconds, an hour of them kept), gathered whole when getSecurityServerMetrics asks; the list of packages is
read once an hour at most. Command lines are left out: they may hold what nobody should read. The tree is `exchange.metrics_xml`'s.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]
from cryptography import x509

from kerege.exchange.certs import der_sha256
from kerege.exchange.ids import ServerId
from kerege.exchange.metrics_xml import Histogram, Metric, MetricSet, Number, Text, server_set
from kerege.exchange.opmon import VERSION
from kerege.ground.clock import iso

_EVERY_SECONDS: Final = 5.0
_SAMPLES: Final = 720
_MOST_PROCESSES: Final = 2_000
_MOST_PACKAGES: Final = 20_000
_PACKAGES_SECONDS: Final = 3600.0
_PACKAGES_TIMEOUT: Final = 10.0


@dataclass(frozen=True, slots=True)
class KnownCertificate:
    """A certificate the server uses and what for: authentication, signing, internal."""

    use: str
    certificate: x509.Certificate


class Environment:
    """Samples with `run` (a background task) and answers with `tree` (blocks: call it in a thread)."""

    def __init__(
        self,
        server: ServerId,
        folders: Sequence[Path],
        certificates: Callable[[], Sequence[KnownCertificate]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._server, self._folders, self._certificates, self._clock = server, tuple(folders), certificates, clock
        self._series: dict[str, deque[float]] = {}
        self._updated = clock()
        self._packages: tuple[float, tuple[Text, ...]] | None = None
        psutil.cpu_percent()  # the first call only begins a measurement

    async def run(self) -> None:
        """Sample for ever."""
        while True:
            self.sample()
            await asyncio.sleep(_EVERY_SECONDS)

    def sample(self) -> None:
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        self._updated = self._clock()
        for name, value in (
            ("SystemCpuLoad", psutil.cpu_percent()),
            ("LoadAverage", psutil.getloadavg()[0]),
            ("FreePhysicalMemory", memory.available),
            ("FreeSwapSpace", swap.free),
            ("CommittedVirtualMemory", memory.total - memory.available + swap.used),
            ("OpenFileDescriptorCount", _open_files()),
        ):
            self._series.setdefault(name, deque(maxlen=_SAMPLES)).append(value)

    def tree(self) -> MetricSet:
        """Everything, now."""
        if not self._series:
            self.sample()
        return server_set(
            self._server,
            (
                Text("proxyVersion", VERSION),
                MetricSet("systemMetrics", tuple(self._system())),
                MetricSet("Certificates", tuple(map(self._certificate, self._certificates()))),
                MetricSet("Packages", self._package_list()),
                MetricSet("Processes", tuple(_processes())),
            ),
        )

    def _system(self) -> list[Metric]:
        out: list[Metric] = [
            Text("OperatingSystem", f"{platform.system()} {platform.release()} {platform.machine()}"),
            Text("Distribution", _distribution()),
            Text("Python", platform.python_version()),
            Number("TotalPhysicalMemory", psutil.virtual_memory().total),
            Number("TotalSwapSpace", psutil.swap_memory().total),
            Number("MaxFileDescriptorCount", _most_files()),
            Number("ProcessorCount", psutil.cpu_count() or 1),
            Number("UptimeSeconds", int(time.time() - psutil.boot_time())),
        ]
        out += [Histogram(name, self._updated, tuple(samples)) for name, samples in sorted(self._series.items())]
        disks: list[Metric] = []
        seen = set()
        for folder in (Path("/"), *self._folders):
            try:
                device, usage = os.stat(folder).st_dev, shutil.disk_usage(folder)
            except OSError:
                continue
            if device not in seen:
                seen.add(device)
                disks.append(
                    MetricSet(str(folder), (Number("DiskSpaceTotal", usage.total), Number("DiskSpaceFree", usage.free)))
                )
        out.append(MetricSet("Disks", tuple(disks)))
        return out

    def _certificate(self, known: KnownCertificate) -> MetricSet:
        certificate = known.certificate
        return MetricSet(
            der_sha256(certificate),
            (
                Text("sha256Hash", der_sha256(certificate)),
                Text("certificateType", known.use),
                Text("notBefore", iso(certificate.not_valid_before_utc)),
                Text("notAfter", iso(certificate.not_valid_after_utc)),
            ),
        )

    def _package_list(self) -> tuple[Text, ...]:
        kept = self._packages
        if kept is None or time.monotonic() - kept[0] > _PACKAGES_SECONDS:
            kept = self._packages = (time.monotonic(), _packages())
        return kept[1]


def _processes() -> list[MetricSet]:
    out: list[MetricSet] = []
    fields = ["pid", "name", "username", "create_time", "cpu_times", "memory_info"]
    for process in psutil.process_iter(fields):
        if len(out) >= _MOST_PROCESSES:
            break
        info = process.info
        begun = datetime.fromtimestamp(info["create_time"] or 0, UTC).replace(microsecond=0)
        metrics: list[Metric] = [
            Text("processId", str(info["pid"])),
            Text("command", info["name"] or ""),
            Text("userId", info["username"] or ""),
            Text("startTime", iso(begun)),
        ]
        if info["cpu_times"] is not None:
            metrics.append(Number("cpuSeconds", round(info["cpu_times"].user + info["cpu_times"].system, 2)))
        if info["memory_info"] is not None:
            metrics.append(Number("residentBytes", info["memory_info"].rss))
        out.append(MetricSet(str(info["pid"]), tuple(metrics)))
    return out


def _packages() -> tuple[Text, ...]:
    """Packages of the system as dpkg knows them; none where it is not there or does not answer in time."""
    command = shutil.which("dpkg-query", path="/usr/bin:/bin")
    if command is None:
        return ()
    try:
        answer = subprocess.run(
            [command, "-W", "-f", "${binary:Package}\t${Version}\n"],
            capture_output=True,
            timeout=_PACKAGES_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    lines = answer.stdout.decode("utf-8", "replace").splitlines()[:_MOST_PACKAGES]
    return tuple(Text(name, version) for name, _, version in (line.partition("\t") for line in lines) if version)


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def _open_files() -> int:
    try:
        return int(psutil.Process().num_fds())
    except psutil.Error:
        return 0


def _most_files() -> int:
    try:
        return int(psutil.Process().rlimit(psutil.RLIMIT_NOFILE)[0])
    except (psutil.Error, AttributeError):
        return 0
