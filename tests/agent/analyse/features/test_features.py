"""Every feature against its slow oracle: gaps, constants, two points, idle feeders, nothing at all."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.analyse.detect import dedicated
from agent.analyse.features import electrical, level, rhythm, robust
from agent.analyse.features.robust import Floats
from tests import oracles

NAN = math.nan
WATTS = st.one_of(
    st.sampled_from([NAN, 0.0, 100.0, 104.999, 105.0, -40.0]), st.floats(-1e6, 1e6).map(lambda w: round(w, 3))
)
ROWS = st.integers(1, 60).flatmap(lambda n: st.lists(st.lists(WATTS, min_size=n, max_size=n), min_size=1, max_size=3))
HOURS = st.lists(WATTS, min_size=24, max_size=24)
KINDS_OF_DAY = st.sampled_from([HOURS, st.just([100.0] * 24), st.just([NAN] * 24)]).flatmap(lambda day: day)
LOADS = st.lists(KINDS_OF_DAY, min_size=1, max_size=9)
EDGES = ([[NAN]], [[7.0]], [[7.0, 8.0]], [[5.0] * 8], [[0.0] * 8], [[NAN] * 5, [1.0, NAN, 3.0, NAN, 2.0]])

bounded = settings(max_examples=30, derandomize=True, deadline=None)


def assert_equal(array: Floats, expected: Sequence[float]) -> None:
    """Compare within rounding: sums of the oracle are exact, those of an array nearly."""
    np.testing.assert_allclose(array, expected, rtol=1e-9, atol=1e-9)


def with_edges(test: Callable[..., None]) -> Callable[..., None]:
    """Add the cases that chance finds late."""
    for edge in EDGES:
        test = example(edge)(test)
    return test


@pytest.mark.parametrize(
    ("feature", "oracle"),
    [
        (robust.mean, oracles.mean),
        (robust.median, oracles.median),
        (lambda rows: robust.quantile(rows, 0.995), lambda row: oracles.quantile(row, 0.995)),
        (lambda rows: robust.quantile(rows, 0.0), lambda row: oracles.quantile(row, 0.0)),
        (lambda rows: robust.quantile(rows, 1.0), lambda row: oracles.quantile(row, 1.0)),
        (level.load_factor, oracles.load_factor),
        (level.dwell, oracles.dwell),
        (level.shorth, oracles.shorth),
        (electrical.noise_floor, oracles.noise_floor),
    ],
)
def test_a_feature_of_a_row_equals_its_oracle(
    feature: Callable[[Floats], Floats], oracle: Callable[[Sequence[float]], float]
) -> None:
    """Row by row, so one meter never leaks into another."""

    @bounded
    @given(ROWS)
    @with_edges
    def check(rows: list[list[float]]) -> None:
        assert_equal(feature(np.array(rows)), [oracle(row) for row in rows])

    check()


@bounded
@given(LOADS)
@example([[NAN] * 24])
@example([[3.0] * 24] * 7)
def test_the_baseload_equals_its_oracle(days: list[list[float]]) -> None:
    """The mean of the six lowest hours, for days with gaps too."""
    assert_equal(rhythm.baseload(np.array([days]))[0], oracles.baseload(days))


SMALL = st.sampled_from([NAN, 0.0, -2.0, 95.0, 100.0])


@bounded
@given(st.lists(st.tuples(SMALL, SMALL, SMALL, SMALL), min_size=1, max_size=12))
def test_what_the_electrical_quantities_tell_equals_its_oracle(ticks: list[tuple[float, float, float, float]]) -> None:
    """Power factor from the meter or from P and S, and the longest row of frozen polls."""
    first, second, third, fourth = (list(column) for column in zip(*ticks, strict=True))
    arrays = [np.array([column]) for column in (first, second, third, fourth)]

    assert_equal(electrical.power_factor(*arrays[:3]), [oracles.power_factor(first, second, third)])
    assert_equal(
        electrical.longest_repeat(arrays[:3], arrays[3]), [oracles.longest_repeat([first, second, third], fourth)]
    )


@pytest.mark.parametrize("watts", [0.0, -3000.0, NAN])
def test_a_feeder_without_import_has_no_flatness(watts: float) -> None:
    """Idle, exporting or unknown: there is no ratio to speak of, and no warning."""
    hourly = np.full((1, 14, 24), watts)

    values = dedicated.features(hourly, np.full((1, 14), 0.99))

    shape = {name: value[0] for name, value in values.items()}
    assert all(math.isnan(value) for value in shape.values()), shape
