"""What comes from the grid: voltages that differ (Q12), dips (Q16), and a frequency that all meters share (Q21)."""

from collections.abc import Sequence

import numpy as np

from agent.analyse.features.robust import Floats, mean, median, ratio
from agent.analyse.quality.case import Check, Seen, Telling, joined
from agent.analyse.quality.view import VOLTAGES, View, verdict
from agent.records import Quality

_DAY_S = 86_400.0
UNEVEN = Check("uneven_voltage", Quality.GOOD, 1, 900, "voltages are alike again")
DIP = Check("dip", Quality.GOOD, 1, 0, "voltage is back")
FREQUENCY = Check("frequency", Quality.GOOD, 4, 3600, "frequency is that of the other meters again")
CHECKS = (UNEVEN, DIP, FREQUENCY)

_UNEVEN = 0.1  # of the other phases: Itron SiteScan diagnostic 2 (reliability.md, Q12)
_DIP, _BACK = 0.9, 0.92  # of the nominal voltage, with hysteresis: EN 50160
_APART_HZ = 0.02  # reliability.md, Q21
_OWN_SWING = 0.7  # of the site's: a meter of this grid swings with it, one of another by 1.4 of it beside it
_FINEST_HZ = 0.001  # in which the resolution of a frequency is measured
_LEAST_METERS = 3  # of two that differ nobody knows which is right


class Supply:
    """The checks of the grid; ``kept`` is the usual voltage of each phase and which phases had one."""

    def __init__(self, meters: Sequence[str]) -> None:
        shape = (len(meters), 3)
        self.kept: dict[str, Floats] = {
            "usual_v": np.full(shape, np.nan),
            "known_s": np.zeros(shape),
            "alike": np.zeros(shape),
        }

    def take(self, view: View) -> list[Seen]:
        """Give what this window shows."""
        seen = [_frequency(view)] if view.has("frequency_hz") else []
        if view.has(*VOLTAGES):
            seen = [self._uneven(view), self._dip(view), *seen]
            self._remember(view)
        return seen

    def _uneven(self, view: View) -> Seen:
        """See a phase whose voltage left those of the others: in some networks they were never alike."""
        voltage_v = view.mean_voltage_v
        middle_v = np.sort(voltage_v, axis=1)[:, 1:2]  # the median of three is one of the right ones
        apart = np.abs(ratio(voltage_v - middle_v, middle_v)) > _UNEVEN
        carried = view.dead & (view.mean_current_a > 0)  # no voltage where current flows: the tap's fault
        odd = apart & (self.kept["alike"] > 0) & ~carried
        self.kept["alike"] = np.maximum(self.kept["alike"], ~apart & np.isfinite(middle_v))

        def tell(row: int) -> Telling:
            phase = int(np.argmax(np.where(odd[row], np.abs(voltage_v[row] - middle_v[row]), -1.0)))
            others = [n for n in range(3) if n != phase]
            names = " and ".join(str(n + 1) for n in others)
            volts = joined([float(voltage_v[row, n]) for n in others], "V", 0)
            own_v = float(voltage_v[row, phase])
            seen = f"voltage of phase {phase + 1} is {own_v:.0f} V while phases {names} have {volts}"
            advice = "a fuse blew, or a neutral or terminal is loose, which endangers what is connected: check at once"
            return Telling(seen, advice, {"phase": phase + 1, "voltage_v": own_v})

        return Seen(UNEVEN, verdict(odd.any(axis=1), view.good & np.isfinite(voltage_v).all(axis=1)), tell)

    def _dip(self, view: View) -> Seen:
        """See a voltage below 90 % of what is usual here; it is back above 92 %."""
        usual_v = np.where(self.kept["known_s"] >= _DAY_S, self.kept["usual_v"], np.nan)
        lowest_v = np.fmin.reduce(view.voltage_v, axis=-1)
        level = ratio(lowest_v, usual_v)
        worst = np.fmin.reduce(level, axis=1)

        def tell(row: int) -> Telling:
            phase = int(np.nanargmin(level[row]))
            low = view.voltage_v[row, phase] < _DIP * usual_v[row, phase]
            volts, lasted_s = float(lowest_v[row, phase]), float(low.sum() * view.window.period_s)
            usual = f"{usual_v[row, phase]:.0f} V"
            seen = f"voltage of phase {phase + 1} fell to {volts:.0f} V, usual {usual}, for {lasted_s:.0f} s,"
            advice = "the grid, or a load that starts: loads may have tripped, and come back together"
            return Telling(seen, advice, {"phase": phase + 1, "voltage_v": volts, "lasted_s": lasted_s})

        return Seen(DIP, verdict(worst < _DIP, view.good & ((worst < _DIP) | (worst >= _BACK))), tell)

    def _remember(self, view: View) -> None:
        """Follow the usual voltage slowly, with a time constant of a day; what is far from it does not count."""
        voltage_v = view.mean_voltage_v
        usual_v, known_s = self.kept["usual_v"], self.kept["known_s"]
        window_s = view.window.window_s
        near = ~(np.abs(voltage_v - usual_v) > _UNEVEN * usual_v)
        counts = np.isfinite(voltage_v) & near & view.good[:, None]
        share = window_s / np.minimum(known_s + window_s, max(_DAY_S, window_s))
        moved_v = np.where(np.isfinite(usual_v), usual_v + share * (voltage_v - usual_v), voltage_v)
        self.kept["usual_v"] = np.where(counts, moved_v, usual_v)
        self.kept["known_s"] = np.where(counts, known_s + window_s, known_s)


def _frequency(view: View) -> Seen:
    """See a meter whose frequency is not that of the site: what it shows is not measured here, or not now."""
    frequency_hz = view.window.values["frequency_hz"]
    usable = np.isfinite(frequency_hz) & view.good[:, None]
    usable &= np.count_nonzero(usable, axis=0) >= _LEAST_METERS
    if not usable.all():
        frequency_hz = np.where(usable, frequency_hz, np.nan)
    site_hz = median(frequency_hz, axis=0)
    apart_hz = median(frequency_hz - site_hz)
    own_swing_hz, site_swing_hz = _swing_hz(frequency_hz - site_hz), _swing_hz(site_hz)
    tolerance_hz = np.full(len(apart_hz), _APART_HZ)
    strays = own_swing_hz > _OWN_SWING * site_swing_hz
    if strays.any() or (np.abs(apart_hz) > _APART_HZ).any():  # else no resolution matters
        resolution_hz = _resolution_hz(frequency_hz)
        tolerance_hz = _APART_HZ + resolution_hz + median(resolution_hz)
        strays &= site_swing_hz > resolution_hz

    def tell(row: int) -> Telling:
        own_hz = float(mean(frequency_hz[row]))
        others_hz = float(mean(np.delete(frequency_hz, row, axis=0).ravel()))
        seen = f"frequency is {own_hz:.3f} Hz where the other meters of the site show {others_hz:.3f} Hz"
        if strays[row]:
            seen = f"frequency swings by {own_swing_hz[row]:.3f} Hz on its own while the other meters of the site agree"
        advice = (
            "what this meter shows is not measured on this grid, or not now: check its register and its identity; "
            "or does a generator or UPS feed it?"
        )
        return Telling(seen, advice, {"frequency_hz": own_hz, "others_hz": others_hz})

    return Seen(FREQUENCY, verdict(strays | (np.abs(apart_hz) > tolerance_hz), np.isfinite(apart_hz)), tell)


def _swing_hz(frequency_hz: Floats) -> Floats:
    """Give the median distance from the median, of each row."""
    return median(np.abs(frequency_hz - median(frequency_hz)[..., None]))


def _resolution_hz(frequency_hz: Floats) -> Floats:
    """Give the smallest step of each meter's frequency; 0.1 Hz, which some have, where it did not move."""
    units = np.rint(np.nan_to_num(frequency_hz) / _FINEST_HZ).astype(np.int64)
    highest = np.max(units, axis=-1, keepdims=True)
    steps = np.gcd.reduce(np.where(units > 0, highest - units, 0), axis=-1)
    return np.where(steps > 0, steps * _FINEST_HZ, 0.1)
