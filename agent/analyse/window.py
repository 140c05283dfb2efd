"""Samples become windows: read-only arrays on UTC-aligned intervals, for all meters at once."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features import electrical
from agent.analyse.features.robust import Floats, mean
from agent.records import Quality, Sample, Window

WINDOW_QUANTITIES = (
    "active_power_w",
    "active_power_l1_w",
    "active_power_l2_w",
    "active_power_l3_w",
    "reactive_power_var",
    "apparent_power_va",
    "power_factor",
    "voltage_l1_v",
    "voltage_l2_v",
    "voltage_l3_v",
    "current_l1_a",
    "current_l2_a",
    "current_l3_a",
    "current_n_a",
    "thd_current_l1_percent",
    "thd_current_l2_percent",
    "thd_current_l3_percent",
    "thd_voltage_l1_percent",
    "thd_voltage_l2_percent",
    "thd_voltage_l3_percent",
    "frequency_hz",
    "active_energy_import_wh",
    "active_energy_export_wh",
    "outdoor_temperature_c",
)
_MEANS = ("reactive_power_var", "outdoor_temperature_c")
_COUNTERS = ("active_energy_import_wh", "active_energy_export_wh")
IDENTITY = ("serial_number", "model_code", "ct_ratio", "vt_ratio", "ct_primary_a", "ct_secondary_a")
_FLICKERING = (
    "active_power_w",
    "reactive_power_var",
    "voltage_l1_v",
    "voltage_l2_v",
    "voltage_l3_v",
    "current_l1_a",
    "current_l2_a",
    "current_l3_a",
)
_ROUNDING = 1e-4  # of a period: ticks of 0.1 s, as seconds since 1970, are off by up to 2e-7 s
_MIN_COVERAGE = 0.5  # below, the mean of what is left may stand for another load than the window's
_FROZEN_S = 50.0  # of bit-for-bit repetition are a data fault: what caches for a minute repeats a poll less than that
_FROZEN_REPEATS = 8  # at least: coarse registers of one phase repeat five polls by chance, once in a few years
_FEWEST_REPEATS = 4  # in windows that have no more polls
_FEWEST_ALIKE = 2  # quantities that repeat together: electrical.longest_repeat


class WindowBuilder:
    """Collects the samples of all meters and closes a window when its last tick is over.

    A tick's samples go to the column of their own ``time_s``, so late ones still find their
    place while the window is open; after that they are dropped and counted in ``late``. Of two
    values for one tick the later arrival stands. Close before adding the samples of a tick.
    """

    def __init__(self, meters: Sequence[str], period_s: float, window_s: int) -> None:
        self._meters = tuple(meters)
        self._row = {meter: row for row, meter in enumerate(self._meters)}
        self._period_s = period_s
        self._window_s = window_s
        self._ticks = round(window_s / period_s)
        self._start_s: int | None = None
        self._first, self._last = self._ticks, -1  # columns of the ticks between which we were there
        self.late = 0

    def add(self, samples: Iterable[Sample]) -> None:
        """Take samples of the open window; the first sample opens one."""
        for sample in samples:
            if self._start_s is None:
                self._open(self._aligned(sample.time_s))
            column = self._column(sample.time_s)
            if not 0 <= column < self._ticks:
                self.late += 1
                continue
            self._first, self._last = min(self._first, column), max(self._last, column)
            row = self._row[sample.meter]
            self._refused[row, column] = sample.status == "range"
            self._answered[row, column] = sample.status not in ("timeout", "disconnected", "backoff")
            for quantity in WINDOW_QUANTITIES:
                value = sample.values.get(quantity)
                if value is not None:
                    self._values[quantity][row, column] = value
            for quantity in IDENTITY:
                value = sample.values.get(quantity, math.nan)
                if math.isfinite(value):
                    self._identity[quantity][row] = value

    def close(self, now_s: float) -> Window | None:
        """Give the open window if it is over at ``now_s``, and open the one that holds ``now_s``."""
        if self._start_s is None or now_s < self._start + self._window_s:
            return None
        window = self._closed()
        self._open(self._aligned(now_s))
        return window

    def cut(self, now_s: float) -> Window | None:
        """Give the open window as far as it has come, if it has, and open the one that holds ``now_s``: time leapt."""
        window = None if self._start_s is None or self._last < 0 else self._closed()
        self._open(self._aligned(now_s))
        return window

    def _closed(self) -> Window:
        for array in (*self._values.values(), *self._identity.values()):
            array.setflags(write=False)
        return Window(
            start_s=self._start,
            window_s=self._window_s,
            period_s=self._period_s,
            meters=self._meters,
            values=self._values,
            identity=self._identity,
            coverage=coverage(self._values["active_power_w"]),
            quality=self._quality(),
        )

    def _quality(self) -> tuple[Quality, ...]:
        """Give the letters; a meter is not silent before our first tick, nor after our last."""
        letters = quality(self._values, self._period_s, self._answered.mean(axis=-1), self._refused.mean(axis=-1))
        if self._last < 0:  # a bus so slow that its samples came too late, all of them
            return letters
        measured = self._answered[:, self._first : self._last + 1]
        is_short = measured.shape[1] < _MIN_COVERAGE * self._ticks
        return tuple(
            Quality.PARTIAL if letter is Quality.TIMEOUT and (is_short or share >= _MIN_COVERAGE) else letter
            for letter, share in zip(letters, measured.mean(axis=-1), strict=True)
        )

    @property
    def _start(self) -> int:
        assert self._start_s is not None
        return self._start_s

    def _aligned(self, time_s: float) -> int:
        return int(time_s // self._window_s) * self._window_s

    def _column(self, time_s: float) -> int:
        return math.floor((time_s - self._start) / self._period_s + _ROUNDING)

    def _open(self, start_s: int) -> None:
        shape = (len(self._meters), self._ticks)
        self._start_s = start_s
        self._first, self._last = self._ticks, -1
        self._values = {quantity: np.full(shape, np.nan) for quantity in WINDOW_QUANTITIES}
        self._identity = {quantity: np.full(len(self._meters), np.nan) for quantity in IDENTITY}
        self._answered = np.zeros(shape, dtype=np.bool_)
        self._refused = np.zeros(shape, dtype=np.bool_)


def coverage(active_power_w: Floats) -> Floats:
    """Give the share of ticks with a usable active power, shape (meters,), 0 to 1."""
    share: Floats = np.isfinite(active_power_w).mean(axis=-1)
    return share


def quality(values: Mapping[str, Floats], period_s: float, answered: Floats, refused: Floats) -> tuple[Quality, ...]:
    """Give each meter's letter: why its window may not be judged, or G.

    ``answered`` and ``refused`` (meters,) are the shares of ticks at which the meter answered at
    all, and with an implausible power.
    """
    covered = coverage(values["active_power_w"])
    frozen = _frozen(values, period_s)
    letters = [Quality.GOOD] * len(covered)
    for row in np.flatnonzero(frozen | ~(covered >= _MIN_COVERAGE)).tolist():
        letters[row] = _letter(frozen[row], answered[row], refused[row])
    return tuple(letters)


def _frozen(values: Mapping[str, Floats], period_s: float) -> NDArray[np.bool_]:
    """Tell which meters (meters,) repeat themselves for too long; a single quantity may well do so."""
    meters, ticks = values["active_power_w"].shape
    has = known(values) if ticks > _FEWEST_REPEATS else ()
    flickering = [values[name] for name in _FLICKERING if name in has]
    if len(flickering) < _FEWEST_ALIKE:
        return np.zeros(meters, dtype=np.bool_)
    most = max(_FEWEST_REPEATS, min(max(_FROZEN_REPEATS, math.ceil(_FROZEN_S / period_s)), ticks - 1))
    repeats: NDArray[np.bool_] = electrical.longest_repeat(flickering, values["frequency_hz"]) >= most
    return repeats


def _letter(frozen: bool, answered: float, refused: float) -> Quality:
    """Say why a window is not good."""
    if frozen:
        return Quality.STUCK
    if answered < _MIN_COVERAGE:
        return Quality.TIMEOUT
    return Quality.RANGE if refused >= _MIN_COVERAGE else Quality.FAULTY


def window_features(window: Window) -> dict[str, Floats]:
    """Give the scalars that leave the window, each of shape (meters,); NaN where unknown.

    The energies are the last register readings of the window.
    """
    values, has = window.values, known(window.values)
    power = values["active_power_w"]
    unknown = np.full(len(power), np.nan)
    has_factor = not has.isdisjoint(("apparent_power_va", "power_factor"))
    return {
        "active_power_w": mean(power),
        "active_power_min_w": np.fmin.reduce(power, axis=-1),
        "active_power_max_w": np.fmax.reduce(power, axis=-1),
        "power_factor": electrical.power_factor(power, values["apparent_power_va"], values["power_factor"])
        if has_factor
        else unknown,
        "noise_floor": electrical.noise_floor(power) if power.shape[-1] > 1 else unknown,
        **{name: mean(values[name]) if name in has else unknown for name in _MEANS},
        **{name: last(values[name]) if name in has else unknown for name in _COUNTERS},
    }


def known(values: Mapping[str, Floats]) -> frozenset[str]:
    """Give the quantities that any meter has at any tick: most meters have few, and what nobody has needs no look.

    Quantities may share an array, as those do that a recording has no column for.
    """
    arrays = {id(array): array for array in values.values()}
    finite = {key: bool(np.isfinite(array[..., 0]).any() or np.isfinite(array).any()) for key, array in arrays.items()}
    return frozenset(name for name, array in values.items() if finite[id(array)])


def lettered(window: Window, *letters: Quality) -> NDArray[np.bool_]:
    """Tell which meters (meters,) have one of these letters; mostly all or none do, which costs no look at each."""
    count = sum(map(window.quality.count, letters))
    if count in (0, len(window.quality)):
        return np.full(len(window.quality), count > 0)
    return np.array([letter in letters for letter in window.quality])


def last(readings: Floats) -> Floats:
    """Give each row's last finite value, shape (meters,); NaN where there is none."""
    if np.isfinite(readings[:, -1]).all():
        return readings[:, -1].copy()
    finite = np.isfinite(readings)
    column = readings.shape[-1] - 1 - np.argmax(finite[:, ::-1], axis=-1)
    return np.where(finite.any(axis=-1), readings[np.arange(len(readings)), column], np.nan)
