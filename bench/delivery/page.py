"""Fills ``docs/delivery.md``: the words stand in a template, every figure comes from the last whole run of its kind."""

import json
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).with_name("figures")


def keep(name: str, figures: dict[str, Any]) -> None:
    """Keep the figures of a whole run."""
    FIGURES.mkdir(exist_ok=True)
    (FIGURES / f"{name}.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
