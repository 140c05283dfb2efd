"""Energy registers that roll over, are reset, run back or leap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agent.analyse.metering import DAY, TICKS, Series, Told, inspected, load, metered

IMPORT = "active_energy_import_wh"
AT = 20 * TICKS + 7  # the tick at which it happens


def shifted(series: Series, at: int, by_wh: float) -> Series:
    """Let the import register go on from another reading."""
    return series | {IMPORT: series[IMPORT] + np.where(np.arange(len(series[IMPORT])) >= at, by_wh, 0.0)}


def rolling(step_wh: float, end_wh: float) -> Series:
    """Give a meter whose register ends within the story."""
    series = metered(load(40))
    readings = np.floor((end_wh - 60_000 + series[IMPORT] - series[IMPORT][0]) / step_wh) * step_wh
    return series | {IMPORT: readings % end_wh}


def events(told: Told) -> list[tuple[int, str]]:
    """Give window and name of the events."""
    return [(number, notice.event) for number, notice in told.notices]


@pytest.mark.parametrize(
    ("step_wh", "end_wh"),
    [(10.0, 1e7), (10.0, 2.0**16 * 10), (0.1, 2.0**32 * 0.1), (1.0, 2.0**31), (100.0, 1e10), (40 * 10.0, 40 * 1e7)],
)
def test_a_register_that_rolls_over_is_no_fault(step_wh: float, end_wh: float) -> None:
    """However many digits or bits it has, in whatever unit, also behind transformers."""
    series = rolling(step_wh, end_wh)

    told = inspected({"office": series})

    assert np.diff(series[IMPORT]).min() < -0.9 * end_wh
    assert events(told) == []
    assert told.letters["office"] == "G" * 40


@pytest.mark.parametrize("renewed", [1, 5])
def test_a_register_behind_transformers_that_is_renewed_seldom_rolls_over(renewed: int) -> None:
    """Of 7 digits, behind a ratio of 40: what is seen are multiples of its step, or of a float32's."""
    series = metered(load(40))
    true_wh = 4e9 - 100_000 + series[IMPORT] - series[IMPORT][0]
    seen_wh = true_wh[np.arange(len(true_wh)) // renewed * renewed]
    series[IMPORT] = np.floor(seen_wh / 400) * 400 % 4e9

    told = inspected({"office": series})

    assert np.diff(series[IMPORT]).min() < -3.9e9
    assert events(told) == []


@pytest.mark.parametrize(("days", "expected"), [(1, []), (8, ["tamper"])])
def test_what_flowed_during_an_outage_is_a_leap_only_of_a_meter_that_is_known_well(
    days: int, expected: list[str]
) -> None:
    """In its first days the largest load may have run just then; after a week, another meter is in place."""
    hours = 24 * days + 3
    minute = np.arange(60 * hours) - 60 * 24 * days
    gone = (minute >= 0) & (minute < 40)
    series = metered(np.where(gone, 30_000.0, load(hours, 200.0, ticks=60)))
    seen = {name: np.where(gone, np.nan, series[name]) for name in ("active_power_w", IMPORT)}

    told = inspected({"office": seen}, window_s=3600)

    assert [notice.event for _, notice in told.notices if notice.event != "quality"] == expected


def test_a_register_that_was_reset_is_told_with_both_readings() -> None:
    """The window that joins two measurements is not judged; the next one is."""
    told = inspected({"office": shifted(metered(load(40)), AT, -48_101_700.0)})

    assert events(told) == [(20, "tamper")]
    assert told.letters["office"] == "G" * 20 + "R" + "G" * 19
    assert told.texts[0].startswith(
        "office: the import register was reset: it went from 48,101.7 to 0.3 kWh before 2026-01-05 05:07 UTC: "
    )
    assert told.notices[0][1].data["register"] == IMPORT


def test_a_register_that_runs_backwards_is_told() -> None:
    """By 500 kWh: nobody consumed less than nothing."""
    told = inspected({"office": shifted(metered(load(40)), AT, -500_000.0)})

    assert events(told) == [(20, "tamper")]
    assert "ran backwards from 48,10" in told.texts[0]


def test_a_register_that_leaps_is_told() -> None:
    """By 5 MWh within a minute: a meter with another reading was put in its place."""
    told = inspected({"office": shifted(metered(load(40)), AT, 5e6)})

    assert events(told) == [(20, "tamper")]
    assert "leapt from 48,10" in told.texts[0]
    assert "within 60 s" in told.texts[0]


def test_a_reset_during_an_outage_or_a_restart_is_told() -> None:
    """The last reading is remembered."""
    series = shifted(metered(load(DAY)), 30 * TICKS, -48e6)
    for name in ("active_power_w", IMPORT):
        series[name] = np.where(np.arange(DAY * TICKS) // TICKS % 96 < 24, series[name], np.nan)
        series[name][40 * TICKS :] = shifted(metered(load(DAY)), 30 * TICKS, -48e6)[name][40 * TICKS :]

    told = inspected({"office": series}, restart_before=35)

    assert (40, "tamper") in events(told)


def test_a_register_of_import_less_export_may_run_backwards() -> None:
    """As fast as power flows back."""
    watts = load(40) * np.where(np.arange(40 * TICKS) < AT, 1, -0.5)
    series = metered(watts)
    series[IMPORT] = 48e6 + np.floor(np.cumsum(watts) / 60)

    told = inspected({"office": {"active_power_w": watts, IMPORT: series[IMPORT]}})

    assert events(told) == []


REGISTERS = st.tuples(
    st.floats(20.0, 900_000.0),
    st.sampled_from([0.1, 1.0, 10.0, 100.0, 1000.0]),
    st.floats(0.0, 1e10),
    st.lists(st.booleans(), min_size=20, max_size=20),
)


@settings(max_examples=4, derandomize=True, deadline=None)
@given(meters=st.lists(REGISTERS, min_size=5, max_size=5), seed=st.integers(0, 999))
def test_whatever_an_honest_register_shows_is_no_fault(
    meters: list[tuple[float, float, float, list[bool]]], seed: int
) -> None:
    """Loads that come and go, coarse and fine registers, as float32 in kWh."""
    shown = {}
    for number, (watts, step_wh, start_wh, on) in enumerate(meters):
        series = metered(load(60, watts, seed) * np.repeat(on, 3 * TICKS), seed)
        flowed_wh = np.concatenate(([0.0], np.cumsum(series["active_power_w"])[:-1] / 60))
        kilo = (np.floor((start_wh + flowed_wh) / step_wh) * step_wh / 1000).astype(np.float32)
        shown[f"m{number}"] = series | {IMPORT: kilo.astype(float) * 1000}

    told = inspected(shown)

    assert told.texts == []
