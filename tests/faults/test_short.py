"""The short form of the fault campaign: a dozen cases of `make faults`, each a facility of real processes."""

import os
import time
from pathlib import Path

import pytest

from tests.faults.case import CASES, listed
from tests.faults.catalogue import SHORT
from tests.faults.one import tried


def test_every_fault_of_the_list_is_a_case() -> None:
    """66 of them; a case that this machine does not allow says so when it is tried."""
    assert sorted(CASES) == sorted(listed())


@pytest.mark.parametrize("number", SHORT)
def test_a_fault_costs_nothing_and_invents_nothing(number: str, tmp_path: Path) -> None:
    """What the case asks holds, and I1 to I8 afterwards."""
    seed = int(os.environ.get("FLATWATT_SEED", time.time_ns() % 10**6))
    print(f"FLATWATT_SEED={seed}")

    became = tried(number, seed, tmp_path)

    assert became["verdict"] == "passed", became["text"]
