"""Which sources supplied the site in each hour: the shares by which its loads, mining too, are attributed to them.

In each hour everything that draws, a charging battery and what is exported included, draws the same
mix: that of all that flowed in, from the grid and from generation. A battery gives back the mix with
which it was charged. The alternative, that mining as the last load came draws what was added last
(the marginal source, mostly the grid or the diesel set), needs a reason to call it the last; this
method needs none, and its parts add up to the whole (docs/site.md).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from agent.analyse.features.robust import Floats
from agent.analyse.site import Site
from agent.config import MeterFacts

UNKNOWN = "unknown"  # where a meter of a source was not measured, or nothing is known of what generates
Mix = Mapping[str, Floats]  # source -> share of each of the day's 24 hours; they add up to 1


class Supply:
    """The sources of one site; ``stored_wh``, by source, is its whole state: what the batteries hold."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._rows = _by_source(site.meters)
        self._generates = np.array([meter.role == "generation" for meter in site.meters])[:, None]
        self._batteries = [row for row, meter in enumerate(site.meters) if meter.source == "battery"]
        self._capacity_wh = sum(meter.capacity_wh or 0.0 for meter in site.meters)
        before = "grid" if "grid" in self._rows else UNKNOWN
        self.stored_wh: dict[str, float] = {before: self._capacity_wh} if self._batteries else {}

    @property
    def sources(self) -> tuple[str, ...]:
        """Give what can supply the site; a battery gives on what these gave it."""
        return tuple(dict.fromkeys((*self._rows, UNKNOWN)))

    def day(self, hourly_w: Floats) -> Mix:
        """Take a day of mean powers (meters, 24) and give the shares of its hours."""
        own_w = self._site.remainder(hourly_w)  # inverters below a solar meter generate what it measures
        inward_w = np.maximum(0.0, np.where(self._generates, -own_w, hourly_w))  # what is generated counts as export
        flows_w = {source: inward_w[rows].sum(axis=0) for source, rows in self._rows.items()}
        battery_w = own_w[self._batteries].sum(axis=0)
        mix = {source: np.zeros(24) for source in self.sources}
        for hour in range(24):
            inflow_w = {source: float(flow[hour]) for source, flow in flows_w.items()}
            for source, share in self._hour(inflow_w, float(battery_w[hour])).items():
                mix[source][hour] = share
        return mix

    def _hour(self, inflow_w: dict[str, float], battery_w: float) -> dict[str, float]:
        """Give the shares of one hour, and charge or discharge the batteries; Wh are W over an hour."""
        if not np.isfinite([*inflow_w.values(), battery_w]).all():
            return {UNKNOWN: 1.0}
        given = self._discharge(max(0.0, -battery_w))
        supply_wh = {source: inflow_w.get(source, 0.0) + given.get(source, 0.0) for source in self.sources}
        total_wh = sum(supply_wh.values())
        if total_wh <= 0:
            return {UNKNOWN: 1.0}
        shares = {source: supplied / total_wh for source, supplied in supply_wh.items()}
        self._charge(max(0.0, battery_w), shares)
        return shares

    def _discharge(self, energy_wh: float) -> dict[str, float]:
        """Take energy out, in the mix that is stored; what is more than that is unknown."""
        stored_wh = sum(self.stored_wh.values())
        taken = min(energy_wh, stored_wh) / stored_wh if stored_wh > 0 else 0.0
        given = {source: taken * stored for source, stored in self.stored_wh.items()}
        self.stored_wh = {source: stored - given[source] for source, stored in self.stored_wh.items()}
        given[UNKNOWN] = given.get(UNKNOWN, 0.0) + max(0.0, energy_wh - stored_wh)
        return given

    def _charge(self, energy_wh: float, shares: Mapping[str, float]) -> None:
        """Put energy in. Beyond the capacity, losses have eaten some of all that was stored."""
        for source, share in shares.items():
            if energy_wh * share > 0:
                self.stored_wh[source] = self.stored_wh.get(source, 0.0) + energy_wh * share
        full = sum(self.stored_wh.values()) / self._capacity_wh if self._capacity_wh else 0.0
        if full > 1:
            self.stored_wh = {source: stored / full for source, stored in self.stored_wh.items()}


def _by_source(meters: Sequence[MeterFacts]) -> dict[str, list[int]]:
    """Give the rows of the meters through which each source flows in.

    Where no incomer is declared, the grid comes in at the top of the tree, unless generation stands
    there too: then the site is an island, or somebody must say what is not.
    """
    rows: dict[str, list[int]] = {}
    for row, meter in enumerate(meters):
        if meter.source == "grid" or (meter.role == "generation" and meter.source != "battery"):
            rows.setdefault(meter.source or UNKNOWN, []).append(row)
    at_top = [meter.role for meter in meters if meter.parent is None]
    if "grid" not in rows and "generation" not in at_top:
        rows["grid"] = [row for row, meter in enumerate(meters) if meter.parent is None]
    return rows
