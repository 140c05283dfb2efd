"""Which tests go first: with a module at a time on each core, a long one at the end would leave the others idle."""

from pathlib import Path

import pytest

LONG = (  # modules of half a minute and more, the longest first
    "tests/test_end_to_end.py",
    "tests/faults/test_short.py",
    "tests/test_no_fault_mines.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Put the long modules first; the order within each stays."""
    ranks = {config.rootpath / name: rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(Path(item.path), len(LONG)))
