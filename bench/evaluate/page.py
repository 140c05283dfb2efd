"""Fills ``docs/detection.md``: the words stand in a template, every measured figure comes from a run.

The figures of the last whole run are kept beside the template, so that words can change without a run.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = Path(__file__).with_name("detection.template.md")
FIGURES = Path(__file__).with_name("figures.json")
PAGE = ROOT / "docs" / "detection.md"


def fill(figures: Mapping[str, str]) -> str:
    """Give the page; KeyError names a figure that the template asks for and the run does not give.

    A dollar sign that is meant stands twice in the template.
    """
    return Template(TEMPLATE.read_text()).substitute(figures)


def keep(figures: Mapping[str, str]) -> None:
    """Keep the figures of a whole run."""
    FIGURES.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")


def kept() -> dict[str, str]:
    """Give the figures of the last whole run."""
    figures: dict[str, str] = json.loads(FIGURES.read_text())
    return figures


def write() -> None:
    """Write the page with the figures that are kept."""
    PAGE.write_text(fill(kept()))
