"""How a feature is compared with its oracle."""

import numpy as np
from numpy.typing import ArrayLike

from agent.analyse.features.robust import Floats


def assert_equal(array: Floats, expected: ArrayLike) -> None:
    """Compare within rounding: sums of the oracle are exact, those of an array nearly."""
    np.testing.assert_allclose(array, np.asarray(expected, dtype=np.float64), rtol=1e-8, atol=1e-9)
