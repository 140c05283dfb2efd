"""The short form of ``make fuzz``."""

import pytest

from tests.fuzz.__main__ import fuzz

FEW = {  # two seconds in all
    "modbus": 4000,
    "collector": 400,
    "receipts": 800,
    "commands": 800,
    "config": 150,
    "spool": 20,
}


@pytest.mark.parametrize("target", FEW)
def test_wrong_input_is_refused_and_right_input_let_through(target: str) -> None:
    """Nothing escapes, nothing is invented, and the memory stays: see ``tests/fuzz/targets.py`` for what is held."""
    fed = fuzz(target, FEW[target], seed=7).target

    assert fed.accepted > 0
    assert sum(fed.refused.values()) > 0
