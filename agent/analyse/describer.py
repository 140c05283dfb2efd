"""Describes each day of a replay by all features: for who looks at loads, not for the judgement."""

from collections.abc import Mapping

import numpy as np

from agent.analyse.features import of_days, of_ticks
from agent.analyse.features.inputs import Days, Ticks
from agent.analyse.features.robust import Floats
from agent.analyse.history import DAY_S, History
from agent.analyse.site import Site
from agent.records import Quality, Window

_DAYS = 56  # eight of each hour of the week, and what began a fortnight ago with a fortnight before


class Describer:
    """Takes windows and gives the features of a day that is over.

    As in the judgement, the power of a meter with sub-meters is what these do not see; what is read
    from single polls is the meter's as a whole. It holds the polls of one day.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._history = History(None, site.names)
        self._windows: list[Window] = []

    def add(self, window: Window, features: Mapping[str, Floats]) -> None:
        """Take the next window and its scalars."""
        self._history.add(window, features)
        self._windows.append(window)

    def day(self, number: int) -> dict[str, Floats]:
        """Give every feature, name → (meters,): of the 56 days that end with this one, and of its own polls."""
        polled = [window for window in self._windows if window.start_s // DAY_S == number]
        self._windows = [window for window in self._windows if window.start_s // DAY_S > number]
        ticks = (
            _ticks(polled) if polled else Ticks({"active_power_w": np.full((len(self._site.names), 1), np.nan)}, 1.0)
        )
        return {**of_days.features(self._days(number)), **of_ticks.features(ticks)}

    def _days(self, number: int) -> Days:
        history, own = self._history, self._site.remainder
        factor = history.daily("power_factor", number, _DAYS)
        factor[[name in self._site.parents() for name in self._site.names]] = np.nan  # of the whole, not of its part
        return Days(
            hourly_w=own(history.hourly_w(number, _DAYS)),
            weekend=(history.day_numbers(number, _DAYS) + 3) % 7 >= 5,  # day 0 was a Thursday
            reactive_var=own(history.hourly("reactive_power_var", number, _DAYS)),
            temperature_c=history.hourly("outdoor_temperature_c", number, _DAYS),
            power_factor=factor,
            noise_floor=history.daily("noise_floor", number, _DAYS),
        )


def _ticks(windows: list[Window]) -> Ticks:
    """Join the polls of windows; unknown where a window was not good, without quantities that no meter has."""
    good = [np.array([letter is Quality.GOOD for letter in window.quality])[:, None] for window in windows]
    joined = {
        name: np.concatenate(
            [np.where(fit, window.values[name], np.nan) for fit, window in zip(good, windows, strict=True)], axis=-1
        )
        for name in windows[0].values
        if name == "active_power_w" or any(np.isfinite(window.values[name]).any() for window in windows)
    }
    return Ticks(joined, windows[0].period_s)
