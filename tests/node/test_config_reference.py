"""The reference of a node's file is held to the code: every key that is read stands in it, and in the example that has them all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from kerege.cli.node import node
from kerege.node import config
from kerege.node.check.checking import CODES
from kerege.node.config_reading import Section
from kerege.node.keys.acme_orders import read_settings
from kerege.semantics.crosswalks import sssom as crosswalk

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs/reference/node.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "docs/node.example.yaml"
# how-to pages whose YAML is another document: a data contract, a register's description, a mapping
NOT_THE_NODE = {"data-contracts", "register-requests", "write-a-mapping"}
SLOTS = crosswalk.OURS  # of crosswalks, which begin as the node's metrics do
OTHERWISE = {"configuration.folder", "log.key_env"}  # beside what the example has, refused


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Every key that reading the example asks for, as the reference writes it."""
    found: set[str] = set()
    raw, has = Section.raw, Section.has

    def note(section: Section, key: str) -> None:
        path = ".".join(str(step) for step in section.where if not isinstance(step, int))
        path = re.sub(r"^(services|peers|local_groups)\.[^ ]*/[^ ]*?(\.rights)?$", r"\1.<id>\2", path)
        path = re.sub(r"^local_groups\.\w+$", "local_groups.<code>", path)
        path = re.sub(r"^keys\.(auth|internal|sign)\b", "keys.<key>", path)
        if "/" not in key and path != "log.bodies_of":
            found.add(re.sub(r"\[\d+\]$", "", f"{path}.{key}" if path else key))

    def noting_raw(section: Section, key: str, *default: object) -> object:
        note(section, key)
        return raw(section, key, *default)

    def noting_has(section: Section, key: str) -> bool:
        note(section, key)
        return has(section, key)

    monkeypatch.setattr(Section, "raw", noting_raw)
    monkeypatch.setattr(Section, "has", noting_has)
    read_settings(config.load(EXAMPLE))
    return found


def flat(value: object, path: str = "") -> set[str]:
    if isinstance(value, dict):
        return {path} | {key for name, one in value.items() for key in flat(one, f"{path}.{name}".lstrip("."))}
    if isinstance(value, list):
        return {path} | {key for one in value for key in flat(one, path)}
    return {path}


def test_every_key_that_is_read_stands_in_the_reference(asked: set[str]) -> None:
    assert len(asked) > 90
    missing = sorted(key for key in asked if f"`{key}`" not in REFERENCE)
    assert missing == []


def test_every_key_that_is_read_is_in_the_example(asked: set[str]) -> None:
    there = flat(config.content_of(EXAMPLE))
    generic = there | {re.sub(r"^keys\.(auth|internal|sign)\b", "keys.<key>", key) for key in there}
    generic = {re.sub(r"^(services|peers)\.[^.]*", r"\1.<id>", key) for key in generic}
    generic = {re.sub(r"^local_groups\.\w+", "local_groups.<code>", key) for key in generic}
    assert sorted(asked - generic - OTHERWISE) == []


def test_the_reference_names_no_key_that_is_not_read(asked: set[str]) -> None:
    table = REFERENCE.split("## The configuration file")[1].split("\n## ")[0]
    listed = set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE))
    known = asked | {key.split(".")[0] for key in asked} | {"services.<id>", "peers.<id>", "local_groups.<code>"}
    assert sorted(listed - known) == []
    assert len(listed) > 80


HOW_TO = sorted((ROOT / "docs/how-to").glob("*.md"))


@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_what_a_page_of_how_to_names_is_there(page: Path, asked: set[str]) -> None:
    text = page.read_text(encoding="utf-8")
    tops = {key.split(".")[0] for key in asked}
    for name in re.findall(r"`([a-z_]+(?:\.[a-z_<>]+)+)", text):
        if name.split(".")[0] in tops and not name.endswith((".xml", ".jsonl")):
            generic = re.sub(r"^keys\.(auth|internal|sign)\.", "keys.<key>.", name)
            assert generic in asked, f"{name} is no key"
    for command in re.findall(r"kerege node (?:--config [^\s`]+ )?([a-z][a-z-]+)", text):
        assert command in node.commands, f"kerege node {command} is no command"
    for metric in re.findall(r"kerege_[a-z_]+", text):
        if metric in SLOTS:
            continue
        assert f"`{metric.removesuffix('_count')}" in REFERENCE, f"{metric} is not in the reference"
    for code in re.findall(r"check\.[a-z_]+", text):
        assert code in CODES, f"{code} is no code"
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        found = yaml.safe_load(re.sub(r"^ {3}", "", block, flags=re.MULTILINE) if block.startswith("   ") else block)
        if isinstance(found, dict) and not {"scrape_configs", "certification"} & set(found):  # others' files
            if page.stem in NOT_THE_NODE:
                continue
            assert set(found) <= tops


def test_there_are_pages() -> None:
    assert len(HOW_TO) > 8
