"""docs/detection.md is what the evaluation wrote: the template's words with a run's figures."""

import re
from string import Template

import pytest

from bench.evaluate import page


def test_the_page_is_current() -> None:
    """It is the template with the figures of the last run."""
    assert page.PAGE.read_text() == page.fill(page.kept()), "run `python -m bench.evaluate`"


def test_every_figure_has_its_slot_and_none_is_typed_by_hand() -> None:
    """No table of figures stands in the template itself: none of its cells is a number."""
    cells = re.findall(r"(?<=\|)\s*[\d.]+\s*(?=\|)", page.TEMPLATE.read_text())

    assert cells == []


def test_a_figure_that_is_missing_stops_the_page() -> None:
    """Nobody reads a page with holes."""
    names = Template(page.TEMPLATE.read_text()).get_identifiers()

    with pytest.raises(KeyError, match=names[0]):
        page.fill(dict.fromkeys(names[1:], "0.5"))


def test_the_page_says_how_it_was_made_and_nothing_that_ages() -> None:
    """Command and seed; no date, no commit."""
    text = page.PAGE.read_text()

    assert "make evaluate DATA=../shared/data" in text
    assert re.search(r"seed \d+", text)
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b|\b[0-9a-f]{40}\b", text)
