"""Fills ``docs/detection.md``: the words stand in a template, every measured figure comes from the run."""

from collections.abc import Mapping
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = Path(__file__).with_name("detection.template.md")
PAGE = ROOT / "docs" / "detection.md"


def fill(figures: Mapping[str, str]) -> str:
    """Give the page; KeyError names a figure that the template asks for and the run does not give.

    A dollar sign that is meant stands twice in the template.
    """
    return Template(TEMPLATE.read_text()).substitute(figures)


def slots() -> tuple[str, ...]:
    """Give the names of the figures that the template asks for."""
    return tuple(Template(TEMPLATE.read_text()).get_identifiers())
