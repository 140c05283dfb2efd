"""Does the energy register only grow (Q4)? A roll-over is no fault; a reset, a fall or a leap is told.

Arrays have shape (meters, 2): the import and the export register.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.analyse.features.robust import Floats
from agent.analyse.quality.case import moment
from agent.analyse.quality.resolution import Resolution
from agent.analyse.quality.view import Flags, View
from agent.records import Notice

REGISTERS = ("active_energy_import_wh", "active_energy_export_wh")
_AT_MOST = 1.5  # times the peak may flow between two readings: polls may have missed a higher one
_LEAP = 10.0  # times the peak is no load
_UNUSUAL = 3.0  # times the largest step so far: coarse registers leap all the time
_LEAP_WH = 1000.0  # in excess: short bursts between two polls
_SHAKEN = 0.5  # of the reading: kWh and Wh in registers of their own, read one after the other, may be 1 kWh off
_LEAP_S = 3700.0  # readings further apart were separated by an outage, of which nothing is known
_FAMILIAR_S = 7 * 86_400.0  # as long, what a shorter outage may have hidden is not known either
_DIGITS = 10.0 ** np.arange(4, 13)  # of registers that count in decimals
_DECADES_WH = tuple(10.0**n for n in range(-1, 14))
_BINARY = (2.0**16, 2.0**31, 2.0**32)


@dataclass(frozen=True, slots=True)
class Readings:
    """The registers of one window (meters, 2, ticks), and their resolution (meters, 2)."""

    energy_wh: Floats
    resolution_wh: Floats  # NaN until they have moved
    moved: Flags  # (meters, 2) which advanced
    broken: Flags  # (meters, 2) which cannot be compared with what was read before


@dataclass(frozen=True, slots=True)
class _Step:
    """Two readings in a row that do not fit each other."""

    before: float  # Wh
    after: float
    waited_s: float
    time_s: float  # of the second


class Counter:
    """The registers' last readings and their resolution; ``kept`` outlives restarts."""

    def __init__(self, meters: Sequence[str]) -> None:
        shape = (len(meters), len(REGISTERS))
        self._resolution = Resolution(shape)
        self._last: dict[str, Floats] = {"wh": np.full(shape, np.nan), "time_s": np.full(shape, np.nan)}
        self._most: dict[str, Floats] = {"most_wh": np.zeros(shape)}  # of the steps that were right
        self._since_s = np.zeros(len(meters))  # since when no power was missed

    @property
    def kept(self) -> dict[str, Floats]:
        """The arrays that outlive a restart."""
        return self._last | self._most | self._resolution.kept

    def take(self, view: View, exchanged: Flags) -> tuple[Readings | None, list[Notice]]:
        """Give the readings, None where there never were any, and what is to be told of them.

        Of an ``exchanged`` meter that has been told.
        """
        start_s = view.window.start_s
        self._since_s = np.where(view.good & view.follows, self._since_s, np.where(view.good, start_s, np.inf))
        if exchanged.any():
            self._resolution.forget(np.repeat(exchanged[:, None], len(REGISTERS), axis=1))
        if view.has(*REGISTERS) or np.isfinite(self._last["wh"]).any():
            return self._read(view, exchanged)
        return None, []

    def _read(self, view: View, exchanged: Flags) -> tuple[Readings, list[Notice]]:
        energy = np.stack([view.window.values[name] for name in REGISTERS], axis=1)
        energy[~view.good] = np.nan
        before, before_s = self._before(view, energy)
        advanced = energy - before
        paired = np.isfinite(advanced)
        step = np.where(paired, advanced, 0.0)
        self._resolution.learn(view, step, paired)
        resolution = self._resolution.step_wh(energy)
        suspects = self._suspects(view, step, before, before_s, resolution)
        broken = suspects.any(axis=-1) | exchanged[:, None]
        notices = []
        for row, register in np.argwhere(suspects.any(axis=-1) & ~exchanged[:, None]).tolist():
            place = row, register, int(np.argmax(suspects[row, register]))
            steps = _step(view, energy, before, before_s, place)
            units_wh = np.nan_to_num([resolution[row, register], self._resolution.unit_wh[row, register]])
            notices += _judge(view, row, register, steps, units_wh)
        self._resolution.forget(broken)
        moved: Flags = np.max(step, axis=-1) > 0
        return Readings(energy, resolution, moved, broken), notices

    def _before(self, view: View, energy: Floats) -> tuple[Floats, Floats]:
        """Give the reading before each tick and its time, and keep the last ones for the next window."""
        window = view.window
        if window.start_s < np.fmax.reduce(self._last["time_s"], axis=None):  # the clock was set back
            self._last = {name: np.full_like(array, np.nan) for name, array in self._last.items()}
        ticks_s = window.start_s + window.period_s * np.arange(energy.shape[-1])
        readings = np.concatenate([self._last["wh"][..., None], energy], axis=-1)
        times_s = np.empty_like(readings)
        times_s[..., 0], times_s[..., 1:] = self._last["time_s"], ticks_s
        known = np.isfinite(readings)
        read = np.asarray(known[..., 1:].any(axis=-1))
        gappy = read & ~known.all(axis=-1)
        if gappy.any():
            latest = np.maximum.accumulate(np.where(known[gappy], np.arange(readings.shape[-1]), 0), axis=-1)
            readings[gappy] = np.take_along_axis(readings[gappy], latest, -1)
            times_s[gappy] = np.take_along_axis(times_s[gappy], latest, -1)
        self._last["wh"] = np.where(read, readings[..., -1], self._last["wh"])
        self._last["time_s"] = np.where(read, times_s[..., -1], self._last["time_s"])
        return readings[..., :-1], times_s[..., :-1]

    def _suspects(self, view: View, step_wh: Floats, before_wh: Floats, before_s: Floats, finest_wh: Floats) -> Flags:
        """Give the ticks at which a register fell, or grew by more than any load gives; learn from the other ones.

        Only registers that fell, grew by a kilowatt-hour at once or were not read for an hour need a closer look.
        """
        window = view.window
        waited_s = window.start_s + window.period_s * np.arange(step_wh.shape[-1]) - before_s
        highest_wh, most_wh = np.max(step_wh, axis=-1), self._most["most_wh"]
        odd = (np.min(step_wh, axis=-1) < 0) | (highest_wh > _LEAP_WH) | (np.fmax.reduce(waited_s, axis=-1) > _LEAP_S)
        self._most["most_wh"] = np.where(odd, most_wh, np.maximum(most_wh, highest_wh))
        suspects = np.zeros(step_wh.shape, dtype=np.bool_)
        if odd.any():
            rows = np.nonzero(odd)[0]
            missed = (before_s[odd] < self._since_s[rows, None]) & (view.known_s < _FAMILIAR_S)[rows, None]
            soon = waited_s[odd] <= _LEAP_S
            finest = np.nan_to_num(finest_wh)[odd][:, None]
            load_wh = _LEAP * view.peak_w[rows, None] * waited_s[odd] / 3600
            fell = _fell(step_wh[odd], before_wh[odd], finest)
            leapt = _leapt(step_wh[odd], load_wh, finest, most_wh[odd]) & soon & ~missed
            right_wh = np.max(step_wh[odd], axis=-1, where=~leapt & soon, initial=0.0)
            self._most["most_wh"][odd] = np.maximum(most_wh[odd], right_wh)
            suspects[odd] = fell | leapt
        return suspects


def _fell(step_wh: Floats, before_wh: Floats, finest_wh: Floats) -> Flags:
    shaken = (step_wh > -1000 * finest_wh - _LEAP_WH) & (step_wh > -_SHAKEN * before_wh)
    flags: Flags = (step_wh < -2 * finest_wh) & ~shaken
    return flags


def _leapt(step_wh: Floats, load_wh: Floats, finest_wh: Floats, most_wh: Floats) -> Flags:
    flags: Flags = (step_wh > load_wh + 100 * finest_wh + _LEAP_WH) & (step_wh > _UNUSUAL * most_wh[:, None])
    return flags


def _step(view: View, energy: Floats, before: Floats, before_s: Floats, place: tuple[int, int, int]) -> _Step:
    time_s = view.window.start_s + place[-1] * view.window.period_s
    return _Step(float(before[place]), float(energy[place]), float(time_s - before_s[place]), time_s)


def _judge(view: View, row: int, register: int, step: _Step, units_wh: Floats) -> list[Notice]:
    """Tell a reset, a fall and a leap from a roll-over, and from a register that counts import less export."""
    possible_wh = _AT_MOST * float(view.peak_w[row]) * step.waited_s / 3600 + 3 * float(units_wh.max())
    backwards = view.power_w[row] * (-1) ** register < 0
    if _rolls_over(step, units_wh, possible_wh) or (0 < step.before - step.after <= possible_wh and backwards):
        return []
    kilo = f"from {step.before / 1000:,.1f} to {step.after / 1000:,.1f} kWh"
    if step.after > step.before:
        seen = f"leapt {kilo} within {step.waited_s:.0f} s, which no load of this feeder can do"
    else:
        seen = f"was reset: it went {kilo}" if step.after <= possible_wh else f"ran backwards {kilo}"
    meter, name = view.window.meters[row], ("import", "export")[register]
    text = (
        f"{meter}: the {name} register {seen} before {moment(step.time_s)}: somebody reset or set it, or another "
        "meter is in place: compare the serial number on its plate, and note both readings"
    )
    data: dict[str, float | str] = {"register": REGISTERS[register], "before_wh": step.before, "now_wh": step.after}
    return [Notice(meter=meter, event="tamper", text=text, data=data)]


def _rolls_over(step: _Step, units_wh: Floats, possible_wh: float) -> bool:
    """Tell whether a register that ends where registers end would have gone on by no more than possible.

    It may count in each of ``units_wh``: a register that moves seldom shows multiples of its own.

    >>> _rolls_over(_Step(9_999_999_000.0, 500.0, 60.0, 0.0), np.array([100.0]), 20_000.0)  # of 8 digits, in 0.1 kWh
    True
    >>> _rolls_over(_Step(48_211_300.0, 500.0, 60.0, 0.0), np.array([100.0]), 20_000.0)
    False
    """
    units = np.array([*units_wh, *_DECADES_WH])
    ends = np.concatenate([units, *(units * end for end in _BINARY), *(unit * _DIGITS for unit in units_wh)])
    gone = ends - step.before + step.after
    return bool(((ends > step.before) & (gone >= 0) & (gone <= possible_wh)).any())
