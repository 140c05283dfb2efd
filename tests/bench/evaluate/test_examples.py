"""The examples in the evaluation's docstrings hold."""

import doctest
from types import ModuleType

import pytest

from bench.evaluate import baselines, data, farms, metrics, table


@pytest.mark.parametrize("module", [baselines, data, farms, metrics, table], ids=lambda module: module.__name__)
def test_examples_hold(module: ModuleType) -> None:
    """There are some, and each gives what it says."""
    result = doctest.testmod(module)

    assert result.attempted > 0
    assert result.failed == 0
