"""Two meters with holes in their past, for the tests of the history."""

import numpy as np

from agent.analyse.history import DAY_S, History
from agent.analyse.window import window_features
from agent.records import Quality, Window

METERS = ("main", "feeder")
HOURLY = ("active_power_w", "reactive_power_var", "outdoor_temperature_c")
FIRST_DAY = 20_000
NOISE = np.random.default_rng(3)


def window(start_s: int, watts: list[float], quality: list[Quality] | None = None, window_s: int = 900) -> Window:
    """Give a window of three ticks for as many meters as there are loads."""
    power = np.array(watts)[:, None] * [0.99, 1.0, 1.02]
    return Window(
        start_s=start_s,
        window_s=window_s,
        period_s=window_s / 3,
        meters=METERS[: len(watts)],
        values={
            "active_power_w": power,
            "apparent_power_va": power / 0.95,
            "reactive_power_var": power / 10,
            "power_factor": np.full_like(power, np.nan),
            "outdoor_temperature_c": np.array([[start_s % 977 / 30.0] * 3, [np.nan] * 3][: len(watts)]),
            "active_energy_import_wh": np.full_like(power, np.nan),
            "active_energy_export_wh": np.full_like(power, np.nan),
        },
        identity={},
        coverage=np.isfinite(power).mean(axis=-1),
        quality=tuple(quality or [Quality.GOOD] * len(watts)),
    )


def fill(history: History, days: int, step_s: int = 3600) -> None:
    """Write some days in which both meters were away now and then, and the feeder was stuck for a while."""
    for start_s in range(FIRST_DAY * DAY_S, (FIRST_DAY + days) * DAY_S, step_s):
        hour = start_s // 3600
        watts = [5000 + 100 * NOISE.random(), np.nan if hour % 7 == 0 else 300 * NOISE.random()]
        letters = [
            Quality.TIMEOUT if hour % 31 < 4 else Quality.GOOD,
            Quality.STUCK if hour % 24 == 5 else Quality.EXCHANGED if hour % 90 == 7 else Quality.GOOD,
        ]
        taken = window(start_s, watts, letters, step_s)
        history.add(taken, window_features(taken))


def assert_same(one: History, other: History) -> None:
    """Compare all that the judge asks of a history."""
    one.read_all()
    other.read_all()
    today = one.first_day + one.days - 1
    assert (one.first_day, one.days) == (other.first_day, other.days)
    for name in HOURLY:
        np.testing.assert_allclose(one.hourly(name, today), other.hourly(name, today), rtol=1e-12)
    np.testing.assert_array_equal(one.exchanged(today), other.exchanged(today))
    for name in ("power_factor", "noise_floor"):
        np.testing.assert_allclose(one.daily(name, today), other.daily(name, today), rtol=1e-12)


def hold(history: History, day: int, watts: float) -> None:
    """Add one window at noon, and read what a leap to it left on disk."""
    taken = window(day * DAY_S + 12 * 3600, [watts, watts], window_s=3600)
    history.add(taken, window_features(taken))
    history.read_all()
