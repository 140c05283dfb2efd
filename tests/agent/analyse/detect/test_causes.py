"""What the thermometer and the step's power factor say of a rise."""

import numpy as np
import pytest

from agent.analyse.detect.causes import TEXTS, Causes
from agent.analyse.detect.hidden import Candidates, LoadOf
from agent.analyse.features.robust import Floats
from tests.agent.analyse.stories import RULES

DAYS, AGE = 120, 14
ONSET = DAYS - AGE
STEP_W = 2000.0
WAVE_C: Floats = 4.0 * np.sin(2 * np.pi * np.arange(DAYS) / 14)  # a warm and a cold week
STEPPED = np.where(np.arange(DAYS) >= ONSET, STEP_W, 0.0)


def days_of(values: Floats) -> LoadOf:
    """Give (days,) as hours of one meter that are the same all day."""
    hours = np.repeat(values[None, :, None], 24, axis=2)
    return lambda last: hours if last is None else hours[:, -last:]


def risen() -> Candidates:
    """One meter whose likeliest onset is a fortnight old and of 2 kW."""
    one = np.ones(1)
    return Candidates(0.5 * one, np.array([AGE]), STEP_W * one, 1000.0 * one, 10.0 * one, ())


def weighed(
    base_w: Floats, temperature_c: Floats, reactive_var: Floats | None = None
) -> dict[str, tuple[float, float]]:
    """Give each cause and its log-odds on the last day."""
    reactive = np.full(DAYS, np.nan) if reactive_var is None else reactive_var
    values, parts = Causes(RULES).day(
        risen(), base_w[None], days_of(base_w), days_of(reactive), days_of(temperature_c), DAYS - 1
    )
    return {name: (float(values[name][0]), float(parts[name][0])) for name in TEXTS}


def heated(temperature_c: Floats) -> Floats:
    """A building that draws 200 W more for each degree below 15 °C."""
    load: Floats = 1000.0 + 200.0 * np.maximum(15.0 - temperature_c, 0.0)
    return load


def test_a_step_that_the_cold_explains_speaks_against_a_farm() -> None:
    """It grew colder by ten degrees, and this building heats with 200 W a degree."""
    temperature_c = 10.0 + WAVE_C - np.where(np.arange(DAYS) >= ONSET, 10.0, 0.0)

    share, log_odds = weighed(heated(temperature_c), temperature_c)["weather_share"]

    assert share == pytest.approx(1.0)
    assert log_odds == pytest.approx(-RULES.weather_weight * share)


def test_a_heat_wave_explains_a_step_of_cooling() -> None:
    """Above 18.3 °C a building is cooled."""
    temperature_c = 24.0 + WAVE_C + np.where(np.arange(DAYS) >= ONSET, 10.0, 0.0)
    cooled = 1000.0 + 200.0 * np.maximum(temperature_c - 18.3, 0.0)

    assert weighed(cooled, temperature_c)["weather_share"][0] == pytest.approx(1.0)


def test_a_step_in_steady_weather_is_not_explained() -> None:
    """The same building, the same weather before and after."""
    temperature_c: Floats = 10.0 + WAVE_C

    share, log_odds = weighed(heated(temperature_c) + STEPPED, temperature_c)["weather_share"]

    assert (share, log_odds) == pytest.approx((0.0, 0.0), abs=0.05)


def test_a_building_that_draws_less_in_the_cold_does_not_hide_a_farm() -> None:
    """A slope of the wrong sign is chance: it would explain a step when it grows warmer."""
    temperature_c = 5.0 + WAVE_C + np.where(np.arange(DAYS) >= ONSET, 8.0, 0.0)
    odd = 1000.0 + 100.0 * temperature_c

    assert weighed(odd, temperature_c)["weather_share"][0] == pytest.approx(0.0)


@pytest.mark.parametrize("known_days", [0, 50])
def test_without_two_months_of_a_thermometer_nothing_is_said(known_days: int) -> None:
    """Unknown speaks neither for nor against."""
    temperature_c = np.where(np.arange(DAYS) >= DAYS - known_days, 10.0 + WAVE_C, np.nan)

    share, log_odds = weighed(heated(10.0 + WAVE_C) + STEPPED, temperature_c)["weather_share"]

    assert np.isnan(share)
    assert log_odds == 0.0


@pytest.mark.parametrize(("cos_phi", "sign"), [(0.99, 1), (0.93, 0), (0.8, -1)])
def test_the_power_factor_of_what_came_tells_power_supplies_from_motors(cos_phi: float, sign: int) -> None:
    """Of the step alone, whatever the building's own power factor is."""
    tan_phi = np.tan(np.arccos(cos_phi))
    load_w, load_var = 1000.0 + STEPPED, 900.0 + tan_phi * STEPPED

    found, log_odds = weighed(load_w, np.full(DAYS, np.nan), load_var)["step_power_factor"]

    assert found == pytest.approx(cos_phi)
    assert np.sign(log_odds) == sign


def test_a_meter_without_reactive_power_says_nothing_of_it() -> None:
    """Unknown weighs nothing."""
    found, log_odds = weighed(1000.0 + STEPPED, np.full(DAYS, np.nan))["step_power_factor"]

    assert np.isnan(found)
    assert log_odds == 0.0


def test_after_a_restart_the_weather_explains_as_much_as_before() -> None:
    """Of more than a year, day by day: what the history gives at once is cut to the same days."""
    days = 400
    temperature_c = 10.0 + 8.0 * np.sin(np.arange(days) / 58) + 3.0 * np.sin(np.arange(days))
    base_w = heated(temperature_c) + 50.0 * np.cos(np.arange(days) / 3)

    def share(causes: Causes, day: int) -> float:
        load_w, var, outdoor = (days_of(series[: day + 1]) for series in (base_w, np.full(days, np.nan), temperature_c))
        values, _ = causes.day(risen(), base_w[None, : day + 1], load_w, var, outdoor, day)
        return float(values["weather_share"][0])

    kept = Causes(RULES)
    shares = [share(kept, day) for day in range(380, days)]

    assert shares[-1] == share(Causes(RULES), days - 1)
