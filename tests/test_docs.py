"""Documents are held to the code: what a person can type, set or read in an error stands in docs/reference."""

import importlib
import pkgutil
import re
from pathlib import Path

import click
import pytest
import yaml

import kerege
from kerege.cli import COMMANDS, main
from kerege.exchange import errors, faults, soap_errors
from kerege.exchange.profiles import READERS
from kerege.ground.errors import KeregeError
from kerege.ground.settings import SETTINGS
from kerege.node import reloading

ROOT = Path(__file__).parents[1]
REFERENCE = "\n".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs/reference").glob("*.md")))


def all_modules():
    skip = ("kerege.__main__", "kerege.demo.agencies.")
    for module in pkgutil.walk_packages(kerege.__path__, "kerege."):
        if not module.name.startswith(skip) and ".migrations" not in module.name:
            yield module.name


def test_every_command_is_in_the_reference():
    context = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        assert command.help, f"kerege {name} has no help"
        assert f"`kerege {name}" in REFERENCE, f"kerege {name} is not in docs/reference"
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert any(flag in REFERENCE for flag in option.opts), (
                    f"kerege {name} {option.opts} is not in docs/reference"
                )


def typed_in_pages():
    """(page, words) of every `kerege ...` that a page has its reader type, in blocks of commands and in code within a sentence."""
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
        for line in [*lines, *re.findall(r"(?<!`)`(kerege [a-z][^`]*)`", text)]:
            if not line.lstrip().startswith("#"):
                for typed in re.findall(r"(?:^|[\s/(])kerege ((?!=)[^|>&;$]*)", re.sub(r"[\[\]]", " ", line)):
                    yield page.relative_to(ROOT), typed.replace("`", " ").split()


def what_is_not_there(words):
    """The first word that is no command where one must stand, or no option of the commands before it; None when all are."""
    command, options, value = main, {"--help": False, "--version": False}, False
    for word in words:
        flag = word.partition("=")[0].rstrip(",.)")
        if flag.startswith("--"):
            if flag not in options:
                return word
            value = options[flag] and "=" not in word
        elif value:
            value = False
        elif isinstance(command, click.Group) and not word.startswith(("(", "-")):
            inner = command.get_command(click.Context(command), word.rstrip(",.)"))
            if inner is None:
                return word
            command = inner
            options |= {
                flag: isinstance(one, click.Option) and not one.is_flag
                for one in command.params
                for flag in (*one.opts, *one.secondary_opts)
            }
    return word if command is main and words else None


def test_every_command_a_page_names_is_there_with_its_options():
    typed = list(typed_in_pages())
    assert len(typed) > 50
    assert [f"{page}: kerege {' '.join(words)}" for page, words in typed if what_is_not_there(words)] == []


def test_a_misspelt_command_or_option_would_be_noticed():
    assert what_is_not_there(["network", "grantt", "A", "B"]) == "grantt"
    assert what_is_not_there(["network", "grant", "A", "B", "--untill", "2027-12-31"]) == "--untill"
    assert what_is_not_there(["node", "--config", "node.yaml", "chek"]) == "chek"
    assert what_is_not_there(["node", "--config", "node.yaml", "check", "--online"]) is None


def test_every_setting_is_in_the_reference():
    for setting in SETTINGS:
        assert f"`{setting.variable}`" in REFERENCE


def test_every_error_code_is_in_the_reference():
    for name in all_modules():
        importlib.import_module(name)
    missing = sorted(
        code
        for code, cls in KeregeError.catalogue().items()
        if cls.__module__.startswith("kerege.") and f"`{code}`" not in REFERENCE
    )
    assert missing == []


def test_what_an_exchange_error_says_and_its_fault_stand_in_the_reference_as_in_the_code():
    page = (ROOT / "docs/reference/exchange.md").read_text(encoding="utf-8")
    told = {code: row for row, code in re.findall(r"^(\| `(exchange\.\w+)` \| .*)$", page, re.MULTILINE)}
    wrong = []
    for code, cls in KeregeError.catalogue().items():
        if code.startswith("exchange.") and cls.__module__ in (errors.__name__, soap_errors.__name__):
            suffix = faults.SUFFIX_OF.get(code)
            if cls.message not in told[code] or (
                suffix and f"`{suffix}" not in told[code] and "| \N{EN DASH} |" not in told[code]
            ):
                wrong.append(code)
    assert wrong == []


def test_every_module_of_the_node_has_its_place_on_the_page_of_the_house():
    named = re.findall(r"`(?:node/)?(\w+)(\*?)(?:\.py)?`", (ROOT / "docs/architecture.md").read_text(encoding="utf-8"))
    whole, beginnings = {name for name, star in named if not star}, tuple(name for name, star in named if star)
    modules = {file.stem for file in (ROOT / "src/kerege/node").rglob("*.py")} - {"__init__"}
    assert sorted(name for name in modules - whole if not name.startswith(beginnings)) == []


def test_every_certificate_profile_is_in_the_reference():
    for name in READERS:
        assert f"`{name.rpartition('.')[2].removesuffix('CertificateProfileInfoProvider')}`" in REFERENCE


def test_every_gate_criterion_is_in_the_reference():
    for file in (ROOT / "src/kerege/country/kg/gates").glob("*.yaml"):
        for criterion in yaml.safe_load(file.read_text(encoding="utf-8"))["criteria"]:
            assert criterion["id"] in REFERENCE


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} -> {target}")
    assert broken == []


@pytest.mark.parametrize(
    "file", [p for p in ROOT.rglob("*.py") if ".venv" not in p.parts and "migrations" not in p.parts], ids=str
)
def test_modules_stay_small_enough_to_read(file):
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= 600, f"{file.relative_to(ROOT)} has {lines} lines; split it"


def test_every_page_is_in_the_list_of_all_pages():
    docs = ROOT / "docs"
    pages = {p.relative_to(docs).as_posix() for p in docs.rglob("*.md")}
    pages -= {p for p in pages if p.startswith("decisions/")} | {"README.md"}
    listed = re.findall(r"\]\(([a-z-]+(?:/[a-z-]+)?\.md)\)", (docs / "README.md").read_text(encoding="utf-8"))
    assert sorted(pages) == sorted(listed)


def test_every_key_that_needs_a_restart_is_said_to_need_one():
    told = (ROOT / "docs/reference/node.md").read_text(encoding="utf-8")
    sentence = told.split("A restart is needed for", 1)[1].split(";", 1)[0]
    keys = {key.split()[0].rstrip(",") for key, _ in reloading.RESTART}
    assert sorted(key for key in keys if "." not in key and key not in sentence) == []
