"""What the documentation promises, held against the code: a verb, option, key or word without a line fails here."""

import argparse
import dataclasses
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import get_args, get_type_hints

import pytest

from agent.config import GatewayConfig
from agent.quantities import QUANTITIES
from agent.records import Quality, Verdict
from docs.generate import PAGES, actions, nested, verbs

ROOT = Path(__file__).parents[1]
PROSE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
VERBS = verbs()

_TLD = ("org", "io", "com")
REGISTRIES = re.compile(
    "|".join(
        re.escape(name) + r"\.(" + "|".join(_TLD) + ")"  # in pieces, so that this file names none
        for name in (
            "py" + "pi",
            "python" + "hosted",
            "deb" + ".debian",
            "security" + ".debian",
            "npm" + "js",
            "crates",
        )
    )
)
SOMEBODYS_FOLDER = re.compile(r"(?<![\w.])/(?:home/(?!pi\b)|root/|Users/|work/|farm/)[a-z.]")


def every_parser(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Give a verb's parser and those of the verbs within it."""
    yield name, parser
    for inner, inner_parser in nested(parser):
        yield from every_parser(f"{name} {inner}", inner_parser)


def keys_of(config: type) -> Iterator[str]:
    """Give the keys of a configuration's file: the fields of its dataclass and of those within."""
    for name, hint in get_type_hints(config).items():
        inner = [part for part in (hint, *get_args(hint)) if isinstance(part, type) and dataclasses.is_dataclass(part)]
        for part in inner:
            yield from keys_of(part)
        if not inner or isinstance(hint, UnionType):
            yield name


def commands(page: Path) -> list[str]:
    """Give the command lines of ``flatwatt`` that a page shows, in its blocks of code or as a unit's program."""
    lines = re.findall(r"^(?:    |\$ |ExecStart(?:Pre)?=\S*/|#     |)(flatwatt [a-z].*)$", page.read_text(), re.M)
    shown = [re.split(r" {2,}| > |&", line)[0] for line in lines]  # what follows is an explanation
    return [line for line in shown if "…" not in line]


def tracked_files() -> list[Path]:
    """Give the files under version control that hold text."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in files if path.is_file() and b"\0" not in path.read_bytes()[:8192]]


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    """``make docs`` was run after the last change of what the page describes."""
    assert (ROOT / "docs" / name).read_text() == PAGES[name]()


@pytest.mark.parametrize("name", VERBS)
def test_the_readme_names_every_verb(name: str) -> None:
    """A newcomer sees on the first page what the program can do."""
    assert f"`{name}`" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", VERBS)
def test_every_option_of_a_verb_is_documented(name: str) -> None:
    """Each option and argument, of verbs within verbs too, has a row with its meaning."""
    page = (ROOT / "docs/command-line.md").read_text()
    rows = [row for row in page.splitlines() if row.startswith("| `")]
    options = [action for _, parser in every_parser(name, VERBS[name]) for action in actions(parser)]

    for action in options:
        spelling = action.option_strings[-1] if action.option_strings else (action.metavar or action.dest)
        assert any(f"{spelling}" in row for row in rows), spelling
        assert action.help, f"{name} {spelling} has no help"


@pytest.mark.parametrize(
    "page", [*PROSE, *sorted((ROOT / "deploy").iterdir()), *sorted((ROOT / "configs").glob("*.toml"))]
)
def test_every_command_that_is_shown_can_be_typed(page: Path) -> None:
    """The verb exists and takes these options."""
    for command in commands(page):
        _, verb, *words = shlex.split(command, comments=True)
        VERBS[verb].parse_args(words)


@pytest.mark.parametrize("page", PROSE)
def test_every_make_target_that_is_shown_exists(page: Path) -> None:
    """The Makefile knows what the pages tell people to make."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))

    assert set(re.findall(r"(?:^(?:    )?|`)make ([a-z]+)", page.read_text(), re.M)) <= targets


@pytest.mark.parametrize("page", PROSE)
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    """Relative links point at files that exist."""
    targets = re.findall(r"\]\(((?!https?:|#|mailto:)[^)#]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_quantity_is_in_the_data_dictionary() -> None:
    """The vocabulary and its page are one."""
    page = (ROOT / "docs/data-dictionary.md").read_text()

    assert [name for name in QUANTITIES if f"| `{name}` |" not in page] == []


def test_every_key_of_the_configuration_is_in_the_example() -> None:
    """The example is the reference: each key stands in it, in use or commented out."""
    example = (ROOT / "configs/gateway.example.toml").read_text()

    assert [key for key in keys_of(GatewayConfig) if not re.search(rf"^(# ?)?{key} *=", example, re.M)] == []


def test_the_keys_of_a_configuration_are_found_in_every_depth() -> None:
    """The check above would pass over what it does not see."""
    assert {"id", "state_dir", "period_s", "url", "resend_after_s", "retries", "unit", "declared_w", "kind"} <= set(
        keys_of(GatewayConfig)
    )


@pytest.mark.parametrize("word", [*Verdict, *Quality])
def test_the_glossary_explains_every_verdict_and_quality(word: str) -> None:
    """Who reads a verdict or a letter can look it up."""
    assert f"`{word}`" in (ROOT / "docs/glossary.md").read_text()


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the business of the machine, not of the project."""
    assert [path.name for path in tracked_files() if REGISTRIES.search(path.read_text(errors="replace"))] == []


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    """What was true on one machine is wrong on the others."""
    assert [path.name for path in tracked_files() if SOMEBODYS_FOLDER.search(path.read_text(errors="replace"))] == []


def test_registries_and_folders_are_recognised() -> None:
    """The two checks above can fail."""
    assert REGISTRIES.search("https://files." + "python" + "hosted.org/packages")
    assert SOMEBODYS_FOLDER.search("open('" + "/ho" + "me/ada/flatwatt')")
    assert not SOMEBODYS_FOLDER.search("docs/root/plan and /dev/ttyUSB0")
