"""A collector's desk for every test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Give a collector's desk with an empty database."""
    desk = Desk(tmp_path / "collector.db")
    yield desk
    desk.close()
