"""The fixture ``flatwatt_meters``, which pytest finds wherever flatwatt is installed.

What simulates is imported when the fixture is asked for: whoever does not use it does not wait.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from firmware_sim.testing import Meters


@pytest.fixture
def flatwatt_meters() -> Iterator[Callable[..., "Meters"]]:
    """Give ``simulated_meters`` as a function: what it starts lives until the end of the test."""
    from firmware_sim.testing import simulated_meters

    with ExitStack() as stack:
        yield lambda scenario, clock=None: stack.enter_context(simulated_meters(scenario, clock))
