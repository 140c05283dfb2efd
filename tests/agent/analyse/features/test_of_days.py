"""Each feature of whole days against its slow oracle, meter by meter: gaps, constants, two points, nothing at all."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.analyse.features import level, of_days, rhythm, spectrum, step, weather
from agent.analyse.features.inputs import Days
from agent.analyse.features.robust import Floats
from tests import oracles_of_days as oracles
from tests.agent.analyse.features.comparing import assert_equal

NAN = math.nan
DAYS = 35
WEEKEND = np.arange(DAYS) % 7 >= 5
bounded = settings(max_examples=25, derandomize=True, deadline=None)


def loads() -> Floats:
    """Hours of one site in W, (meters, 35, 24): ordinary and degenerate ones, the last with a farm since day 21."""
    rng = np.random.default_rng(4)
    open_hours = (np.arange(24) > 7) & (np.arange(24) < 18) & ~WEEKEND[:, None]
    office = 2000 + 3000 * open_hours + rng.normal(0, 100, (DAYS, 24))
    gappy = np.where(rng.random((DAYS, 24)) < 0.3, NAN, office)
    two_points = np.full((DAYS, 24), NAN)
    two_points[20, 3:5] = 700.0, 900.0
    constant, idle, unknown = (np.full((DAYS, 24), watts) for watts in (0.1, 0.0, NAN))
    solar = 1000 - 4000 * open_hours + rng.normal(0, 50, (DAYS, 24))
    farm = 9000 + rng.normal(0, 30, (DAYS, 24))
    hidden = office + 1500 * (np.arange(DAYS) >= 21)[:, None]
    return np.stack([office, gappy, two_points, constant, idle, unknown, solar, farm, hidden])


def temperatures() -> Floats:
    """Outdoor temperatures, °C: a warm month, the same with gaps, a cold one, a steady one, an unknown one."""
    rng = np.random.default_rng(5)
    warm = 18 + 6 * np.sin(np.arange(DAYS) / 4)[:, None] + 4 * np.sin(np.arange(24) / 4) + rng.normal(0, 1, (DAYS, 24))
    gappy = np.where(rng.random((DAYS, 24)) < 0.2, NAN, warm)
    steady, unknown = np.full((DAYS, 24), 21.0), np.full((DAYS, 24), NAN)
    return np.stack([warm, gappy, warm, steady, warm, warm, unknown, warm - 20, warm - 20])


LOADS, TEMPERATURES = loads(), temperatures()
SERIES = LOADS.reshape(len(LOADS), -1)
BASES = rhythm.baseload(LOADS)
DEAR = np.random.default_rng(6).random((DAYS, 24)) < 0.2


WATTS = st.one_of(st.sampled_from([NAN, 0.0, 100.0, 104.999, -40.0]), st.floats(-1e6, 1e6).map(lambda w: round(w, 3)))
ROWS = st.integers(1, 60).flatmap(lambda n: st.lists(st.lists(WATTS, min_size=n, max_size=n), min_size=1, max_size=3))


@pytest.mark.parametrize(
    ("feature", "oracle"),
    [
        (level.coefficient_of_variation, oracles.coefficient_of_variation),
        (level.base_to_mean, oracles.base_to_mean),
        (level.base_to_peak, oracles.base_to_peak),
        (level.roughness, oracles.roughness),
        (level.largest_ramp, oracles.largest_ramp),
        (level.repeat_share, oracles.repeat_share),
    ],
)
def test_a_feature_of_a_row_equals_its_oracle(
    feature: Callable[[Floats], Floats], oracle: Callable[[Sequence[float]], float]
) -> None:
    """Any row, of any length; one meter never leaks into another."""

    @bounded
    @given(ROWS)
    @example([[NAN]])
    @example([[7.0, 8.0]])
    @example([[5.0] * 8, [0.0] * 8])
    @example([[NAN] * 5, [1.0, NAN, 3.0, NAN, 2.0]])
    def check(rows: list[list[float]]) -> None:
        assert_equal(feature(np.array(rows)), [oracle(row) for row in rows])

    check()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (rhythm.night_to_day(LOADS, WEEKEND), [oracles.night_to_day(days, WEEKEND.tolist()) for days in LOADS]),
        (
            rhythm.weekend_to_workday(LOADS, WEEKEND),
            [oracles.weekend_to_workday(days, WEEKEND.tolist()) for days in LOADS],
        ),
        (rhythm.price_response(LOADS, DEAR), [oracles.price_response(days, DEAR.tolist()) for days in LOADS]),
        (rhythm.daily_range(LOADS), [oracles.daily_range(days) for days in LOADS]),
        (rhythm.daily_mean(LOADS), [oracles.daily_mean(days) for days in LOADS]),
        (rhythm.lagged_correlation(SERIES, 24), [oracles.lagged_correlation(row.tolist(), 24) for row in SERIES]),
        (rhythm.lagged_correlation(SERIES, 168), [oracles.lagged_correlation(row.tolist(), 168) for row in SERIES]),
        (rhythm.time_of_week_r2(SERIES), [oracles.time_of_week_r2(row.tolist()) for row in SERIES]),
        (rhythm.time_of_week_r2(SERIES[:, :335]), [NAN] * len(SERIES)),
    ],
    ids=["night", "weekend", "price", "range", "mean", "lag 24", "lag 168", "week", "too short"],
)
def test_a_rhythm_equals_its_oracle(values: Floats, expected: Sequence[float]) -> None:
    """An office, gaps, two points, a constant, an idle, an unknown and an exporting feeder, farms."""
    assert_equal(values, expected)


@pytest.mark.parametrize("days", [14, 5])
def test_the_spectrum_and_what_is_read_from_it_equal_their_oracles(days: int) -> None:
    """Bin by bin the Fourier sum; under a week there is no share of the harmonics."""
    series = SERIES[:, : days * 24]

    power = spectrum.spectrum(series)

    expected = [oracles.spectrum(row) for row in series]
    np.testing.assert_allclose(power, expected, rtol=1e-6, atol=1e-3)
    assert_equal(spectrum.spectral_flatness(power), [oracles.spectral_flatness(row) for row in expected])
    shares = [oracles.diurnal_share(row, days) if days >= 7 else NAN for row in expected]
    assert_equal(spectrum.diurnal_share(power, days), shares)


def test_the_answer_to_the_weather_equals_its_oracle() -> None:
    """Cooling, heating, both and neither; gaps in the load and in the temperature."""
    warmth = TEMPERATURES.reshape(SERIES.shape)
    rows = SERIES + np.where(warmth > 18.3, 40 * (warmth - 18.3), 0.0)

    fit = weather.weather_fit(rows, warmth)

    expected = [oracles.weather_fit(row.tolist(), air.tolist()) for row, air in zip(rows, warmth, strict=True)]
    np.testing.assert_allclose(np.stack([fit.cooling, fit.heating, fit.r2], axis=-1), expected, rtol=1e-6, atol=1e-8)
    assert [int(row) for row in np.flatnonzero(np.isfinite(fit.cooling))] == [0, 1, 4]
    assert [int(row) for row in np.flatnonzero(np.isfinite(fit.heating))] == [0, 1, 4, 7, 8]
    assert fit.cooling[0] * SERIES[0].mean() == pytest.approx(40, rel=0.1)


@pytest.mark.parametrize("days", [DAYS, 28, 20])
def test_what_began_a_fortnight_ago_equals_its_oracle(days: int) -> None:
    """Steps, lifts and the fit of an offset; with under ten days before the edge, nothing."""
    hours, weekend, base = LOADS[:, -days:], WEEKEND[-days:], BASES[:, -days:]

    assert_equal(step.baseload_step(base, np.full(len(base), 10.0)), [oracles.rise(row) / 10 for row in base])
    assert_equal(step.step_clarity(base), [oracles.step_clarity(row) for row in base])
    assert_equal(step.peer_step(base), oracles.peer_steps(base.tolist()))
    levels = step.hour_levels(hours, weekend)
    slow = [oracles.hour_levels(meter.tolist(), weekend.tolist()) for meter in hours]
    for at in (0, 1):
        np.testing.assert_allclose(levels[at], [pair[at] for pair in slow])
    lift = levels[1] - levels[0]
    assert_equal(
        step.lift_floor(lift, base[:, 0]), [oracles.lift_floor(row, b) for row, b in zip(lift, base[:, 0], strict=True)]
    )
    assert_equal(
        step.lift_evenness(lift, base[:, 0]),
        [oracles.lift_evenness(row, b) for row, b in zip(lift, base[:, 0], strict=True)],
    )
    fits = [oracles.offset_fit(*(half.tolist() for half in pair)) for pair in zip(*levels, strict=True)]
    assert_equal(np.stack(step.offset_fit(*levels), axis=-1)[[0, 1, 2, 6, 7, 8]], [fits[i] for i in (0, 1, 2, 6, 7, 8)])


def test_a_farm_is_a_step_that_lifts_all_hours_and_no_other_meter() -> None:
    """The features say of the hidden farm what it is: its share, even, an offset, here alone."""
    values = of_days.features(Days(hourly_w=LOADS, weekend=WEEKEND, reactive_var=0.1 * LOADS))
    share = 1500 / LOADS[8, 7:21].mean()

    hidden = {name: float(value[8]) for name, value in values.items()}
    assert hidden["baseload_step"] == pytest.approx(share, rel=0.05)
    assert hidden["lift_floor"] == pytest.approx(share, rel=0.1)
    assert hidden["offset_share"] == pytest.approx(share, rel=0.1)
    assert hidden["offset_slope"] == pytest.approx(1.0, abs=0.05)
    assert hidden["peer_step"] > 0.3
    assert hidden["step_power_factor"] == pytest.approx(1 / math.hypot(1, 0.1))
    assert abs(values["baseload_step"][0]) < 0.02
    assert abs(values["peer_step"][0]) < 0.05


def test_an_idle_exporting_or_unknown_feeder_is_not_described() -> None:
    """Ratios to nothing or to a negative mean would read as flat."""
    values = of_days.features(Days(hourly_w=-np.abs(LOADS[4:7]), weekend=WEEKEND, temperature_c=TEMPERATURES[4:7]))

    assert {name: value.tolist() for name, value in values.items() if not np.isnan(value).all()} == {}


@pytest.mark.parametrize("days", [14, DAYS])
def test_every_feature_of_days_stays_in_its_range(days: int) -> None:
    """What a load that only takes can have, whatever its gaps."""
    hours = np.abs(LOADS[:, -days:])
    values = of_days.features(
        Days(
            hourly_w=hours,
            weekend=WEEKEND[-days:],
            reactive_var=0.2 * hours,
            temperature_c=TEMPERATURES[:, -days:],
            power_factor=np.full(hours.shape[:2], 0.9),
            noise_floor=np.full(hours.shape[:2], 0.01),
            dear=DEAR[-days:],
        )
    )

    table = {name: feature for part in of_days.TABLES.values() for name, feature in part.items()}
    for name, value in values.items():
        known = value[np.isfinite(value)]
        assert value.shape == (len(LOADS),), name
        assert np.all((known >= table[name].range.low - 1e-9) & (known <= table[name].range.high + 1e-9)), (name, known)
        assert len(known) or days == 14, f"{name} is never known"
