"""The last half hour of all meters in bins of six seconds, and the sudden steps found in it."""

import numpy as np

from agent.analyse.features.robust import Floats
from agent.analyse.machines.bins import BIN_S, binned
from agent.analyse.machines.edges import HALF, REACH, Edge, steps, sudden
from agent.analyse.machines.returns import SPAN, slow_changes, steps_between
from agent.records import Quality, Window

_LAG = REACH + HALF  # bins that must have come before a step is known to be the largest around
_KEPT = SPAN + 2 * _LAG  # bins before the newest window: of the oldest drop that may still come back
_MOST_EDGES = 200  # of half an hour and meter: what switches more often than this is no machine's neighbour


class Track:
    """Bins ``first`` to ``end`` (counted since 1970); steps are known up to ``seen``."""

    def __init__(self, meters: int) -> None:
        self._meters = meters
        self._begin(0)

    def _begin(self, start: int) -> None:
        self.first = self.end = start
        self.seen = start + _LAG
        self.edges: list[list[Edge]] = [[] for _ in range(self._meters)]
        self.newest_w = self._active = self._reactive = np.empty((self._meters, 0))

    def add(self, window: Window) -> None:
        """Append a window, where it follows on the last one, else begin anew; find the steps up to ``seen``."""
        start = round(window.start_s / BIN_S)
        if start != self.end:
            self._begin(start)
        good = np.array([letter is Quality.GOOD for letter in window.quality])
        power = window.values["active_power_w"]
        power = power if good.all() else np.where(good[:, None], power, np.nan)
        self._reactive = _append(self._reactive, binned(reactive(window), window.period_s, window.window_s))
        self.newest_w = binned(power, window.period_s, window.window_s)
        self._active = _append(self._active, self.newest_w)
        self.end = start + self.newest_w.shape[-1]
        self.first = self.end - self._active.shape[-1]
        self._find_edges()

    def _find_edges(self) -> None:
        low = self.seen - _LAG - self.first
        if self._active.shape[-1] - low <= 2 * _LAG:
            return
        found = steps(self._active[:, low:])
        until = self.end - _LAG
        for row, boundary in sudden(found):
            at = self.first + low + REACH + int(boundary)
            if self.seen <= at < until:
                watts = float(found.active_w[row, boundary])
                edge = Edge(at, watts, float(found.noise_w[row]), self._tan_phi(row, at, watts))
                self.edges[row].append(edge)
        self.seen = until
        for row, edges in enumerate(self.edges):
            if edges and (edges[0].bin < self.first or len(edges) > _MOST_EDGES):
                self.edges[row] = [edge for edge in edges if edge.bin >= self.first][-_MOST_EDGES:]

    def _tan_phi(self, row: int, at: int, step_w: float) -> float:
        """Give reactive over active part: -0.15 of a machine's supply, 0 of a heater, 0.6 to 1 of a motor."""
        var = self._reactive[row, at - HALF - self.first : at + HALF - self.first]
        return float(var[HALF:].mean() - var[:HALF].mean()) / step_w

    def rises(self, start: int) -> Floats:
        """Give the slow changes after a bin, (meters, 4): without the sudden steps."""
        change = slow_changes(self._active, start + 1 - self.first)
        for row, edges in enumerate(self.edges):
            if edges:
                change[row] -= steps_between(edges, start)
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
