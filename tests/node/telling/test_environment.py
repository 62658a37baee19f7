"""What is measured of the machine: all parts there, nothing secret, the expensive parts bounded and kept."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from kerege.exchange.ids import ServerId
from kerege.exchange.metrics_xml import MetricSet, response
from kerege.exchange.pki import TestAuthority
from kerege.node.telling import environment
from kerege.node.telling.environment import Environment, KnownCertificate

SERVER = ServerId.parse("KG/GOV/70000003/node-edu")


def made(tmp_path: Path, certificates: tuple[KnownCertificate, ...] = ()) -> Environment:
    return Environment(SERVER, [tmp_path, tmp_path / "not there"], lambda: certificates)


def sets(tree: MetricSet) -> dict[str, MetricSet]:
    return {metric.name: metric for metric in tree.metrics if isinstance(metric, MetricSet)}


def test_the_tree_tells_of_load_memory_disks_processes_and_certificates(tmp_path: Path) -> None:
    authority = TestAuthority.create("KG", datetime.now(UTC))
    certificate = authority.configuration.certificate
    env = made(tmp_path, (KnownCertificate("signing", certificate),))
    for _ in range(3):
        env.sample()
    parts = sets(env.tree())
    system = {metric.name for metric in parts["systemMetrics"].metrics}
    assert {"OperatingSystem", "TotalPhysicalMemory", "SystemCpuLoad", "FreePhysicalMemory", "Disks"} <= system
    assert len(parts["Certificates"].metrics) == 1
    assert len(parts["Processes"].metrics) > 1
    text = etree.tostring(response(env.tree()))
    assert f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}".encode() in text


def test_command_lines_are_not_told(tmp_path: Path) -> None:
    child = subprocess.Popen(["sleep", "60.123456789"])
    try:
        assert b"60.123456789" not in etree.tostring(response(made(tmp_path).tree()))
    finally:
        child.kill()
        child.wait()


def test_the_packages_are_read_once_and_a_system_without_dpkg_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(environment, "_packages", lambda: calls.append(1) or ())
    env = made(tmp_path)
    env.tree()
    env.tree()
    assert len(calls) == 1
    monkeypatch.undo()
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert environment._packages() == ()
