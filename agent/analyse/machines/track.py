"""The last half hour of all meters in bins of six seconds, and the sudden steps found in it.

What is looked at is the active power less ``coupling`` times the reactive: what motors, and
buildings as a whole, do in both alike goes out by it, and a machine, whose step has next to no
reactive part, stays. The coupling is a regression of the steps of the last hours, so a meter whose
reactive power tells nothing of its active one is looked at as it is.
"""

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features.robust import Floats, median
from agent.analyse.machines.bins import BIN_S, binned, despiked, running_mean
from agent.analyse.machines.edges import HALF, REACH, Edge, differences, noise, steps, sudden
from agent.analyse.machines.returns import AFTER, BEFORE, OFFSETS, around, steps_between
from agent.records import Quality, Window

_LAG = REACH + HALF  # bins that must have come before a step is known to be the largest around
_KEPT = BEFORE + AFTER + 2 * _LAG  # bins before the newest window: of the oldest drop that may still come back
_MOST_EDGES = 200  # of half an hour and meter: what switches more often than this is no machine's neighbour
_MOVING = 0.1  # of a change, in the bins that it is measured between: where a motor starts, they tell of its surge
_USUAL = 3.0  # times the noise of reactive power: what comes with more is the coupled load's own step
_FORGETS = 1 / 8  # of the coupling with each window: two hours


class Track:
    """Bins ``first`` to ``end`` (counted since 1970); steps are known up to ``seen``."""

    def __init__(self, meters: int) -> None:
        self._meters = meters
        self._products = np.zeros((2, meters))  # of steps: active by reactive, reactive by reactive
        self._has_reactive: NDArray[np.bool_] = np.zeros(meters, dtype=np.bool_)
        self._begin(0)

    def _begin(self, start: int) -> None:
        self.first = self.end = start
        self.seen = start + _LAG
        self.edges: list[list[Edge]] = [[] for _ in range(self._meters)]
        self.newest_w = self._active = self._reactive = self._level = np.empty((self._meters, 0))

    def add(self, window: Window) -> None:
        """Append a window, where it follows on the last one, else begin anew; find the steps up to ``seen``."""
        start = round(window.start_s / BIN_S)
        if start != self.end:
            self._begin(start)
        good = np.array([letter is Quality.GOOD for letter in window.quality])
        power = window.values["active_power_w"]
        power = power if good.all() else np.where(good[:, None], power, np.nan)
        var = reactive(window)
        self._has_reactive = np.asarray(~np.isnan(var).all(axis=-1))
        var = np.where(self._has_reactive[:, None], var, 0.0)
        self._reactive = _append(self._reactive, binned(var, window.period_s, window.window_s))
        self.newest_w = binned(power, window.period_s, window.window_s)
        self._active = _append(self._active, self.newest_w)
        self.end = start + self.newest_w.shape[-1]
        self.first = self.end - self._active.shape[-1]
        self._find_edges()

    def _find_edges(self) -> None:
        low = self.seen - _LAG - self.first
        if self._active.shape[-1] - low <= 2 * _LAG:
            return
        coupling = self._couple(low)
        self._level = running_mean(despiked(self._active - coupling[:, None] * self._reactive), HALF)
        found = steps(self._level[:, low:])
        var = differences(running_mean(self._reactive[:, low:], HALF))
        var_noise = noise(var)
        until = self.end - _LAG
        for row, boundary in sudden(found):
            at = self.first + low + REACH + int(boundary)
            watts, vars_ = float(found.active_w[row, boundary]), float(var[row, boundary])
            coupled_w, error_var = float(coupling[row]) * vars_, float(var_noise[row])
            if self.seen <= at < until:
                self.edges[row].append(
                    Edge(
                        bin=at,
                        step_w=watts,
                        noise_w=float(found.noise_w[row]),
                        tan_phi=vars_ / (watts + coupled_w or 1e-3),  # W: a capacitor steps in reactive power alone
                        tan_error=error_var / abs(watts) if self._has_reactive[row] else np.nan,
                        is_remnant=abs(coupled_w) > max(abs(watts), _USUAL * abs(coupling[row]) * error_var),
                    )
                )
        self.seen = until
        for row, edges in enumerate(self.edges):
            if edges and (edges[0].bin < self.first or len(edges) > _MOST_EDGES):
                self.edges[row] = [edge for edge in edges if edge.bin >= self.first][-_MOST_EDGES:]

    def _couple(self, low: int) -> Floats:
        """Give the active power that goes with each var, (meters,)."""
        active, reactive = (despiked(track[:, low:]) for track in (self._active, self._reactive))
        moving = np.abs(reactive[:, 2:] - reactive[:, :-2])
        active, reactive = (track[:, 1 + HALF : -1] - track[:, 1 : -1 - HALF] for track in (active, reactive))
        limit = np.maximum(_MOVING * np.abs(reactive), 3 * median(moving)[:, None])
        settled = (moving[:, HALF:] < limit) & (moving[:, :-HALF] < limit)
        products = np.nansum([active * reactive * settled, reactive * reactive * settled], axis=-1)
        self._products += products - _FORGETS * self._products
        coupling: Floats = self._products[0] / np.maximum(self._products[1], 1.0)
        return coupling

    def rises(self, at: int) -> Floats:
        """Give the slow changes around a bin, (meters, 11): without the sudden steps; NaN where unknown."""
        if at - BEFORE < self.first:
            return np.full((self._meters, len(OFFSETS)), np.nan)
        change = around(self._level, at - self.first)
        for row, edges in enumerate(self.edges):
            if edges:
                change[row] -= steps_between(edges, at)
        return change


def reactive(window: Window) -> Floats:
    """Give the reactive power, (meters, ticks); where a meter has none, that of P and S, taken for inductive."""
    own = window.values["reactive_power_var"]
    apparent = window.values["apparent_power_va"]
    without = np.asarray(np.isnan(own).all(axis=-1) & ~np.isnan(apparent).all(axis=-1))
    if not without.any():
        return own
    rest = apparent**2 - window.values["active_power_w"] ** 2
    return np.where(without[:, None], np.sqrt(np.maximum(rest, 0.0)), own)


def _append(track: Floats, newest: Floats) -> Floats:
    return np.concatenate((track[:, -_KEPT:], newest), axis=-1)
