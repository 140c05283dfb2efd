"""What a site drew, how much of it was mined, from which sources: of one day, and of a period.

How intervals of several meters are added: two estimates' errors are partly one error (the same
season, the same holidays shift all baseloads) and partly each meter's own, so halves of bands add
with a correlation of :data:`CORRELATION`, between the root of the sum of squares and the plain sum.
Over the days of one meter they add plainly: it is the same case, misjudged in the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agent.analyse.analyst import Day
from agent.analyse.features.robust import Floats
from agent.analyse.site import Site
from agent.analyse.sources import Supply
from agent.emission_factors import EmissionFactor

CORRELATION = 0.5  # of the errors of two meters on one site: 0.2 to 0.66 on real buildings (docs/site.md)
Estimate = tuple[float, float, float]


def added(estimates: Sequence[Estimate]) -> Estimate:
    """Add p10, p50, p90 of several meters: the middles plainly, the halves of the bands as partly correlated.

    >>> low, middle, high = added([(8.0, 10.0, 12.0), (9.0, 10.0, 11.0)])
    >>> round(low, 2), middle, round(high, 2)
    (17.35, 20.0, 22.65)
    >>> added([(8.0, 10.0, 12.0)])
    (8.0, 10.0, 12.0)
    """
    low, middle, high = np.reshape(np.array(estimates, dtype=float), (-1, 3)).T
    total = float(middle.sum())
    return total - _width(middle - low), total, total + _width(high - middle)


def _width(halves: Floats) -> float:
    return float(np.sqrt(CORRELATION * halves.sum() ** 2 + (1 - CORRELATION) * (halves**2).sum()))


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteEnergy:
    """A site over one day or more. Energies are Wh of the hours that were measured."""

    first_day: int
    last_day: int
    coverage: float  # share of the hours and of the meters at the top that were measured
    load_wh: float
    meter_mining_wh: Mapping[str, Estimate]  # of the meters with mining
    load_source_wh: Mapping[str, float]
    mining_source_wh: Mapping[str, float]  # of the 50th percentile
    since_s: int | None  # first evidence: the earliest start of what is mined
    last_evidence_s: int | None  # the end of the last day on which mining was seen

    @property
    def days(self) -> int:
        """Number of days, those without data included."""
        return self.last_day + 1 - self.first_day

    @property
    def mining_wh(self) -> Estimate:
        """Energy of the mining: 10th, 50th and 90th percentile."""
        return added(list(self.meter_mining_wh.values()))

    @property
    def mining_w(self) -> Estimate:
        """Mean power of the mining over the measured time."""
        hours = 24 * self.days * self.coverage
        low, middle, high = (energy / hours if hours else 0.0 for energy in self.mining_wh)
        return low, middle, high

    @property
    def mining_share(self) -> Estimate:
        """Mining over load, 0 to 1."""
        low, middle, high = (
            min(1.0, max(0.0, energy / self.load_wh)) if self.load_wh > 0 else 0.0 for energy in self.mining_wh
        )
        return low, middle, high

    def mining_kg(self, factors: Mapping[str, EmissionFactor]) -> Estimate | None:
        """Give the emissions of the mining, kg CO2; None where a source that it drew from has no factor."""
        used = {source: energy for source, energy in self.mining_source_wh.items() if energy > 0}
        if any(source not in factors for source in used):
            return None
        total_wh = sum(used.values())
        if not total_wh:
            return 0.0, 0.0, 0.0
        kg_per_wh = sum(energy * factors[source].kg_per_kwh for source, energy in used.items()) / total_wh / 1000
        low, middle, high = (energy * kg_per_wh for energy in self.mining_wh)
        return low, middle, high

    def joined(self, later: "SiteEnergy") -> "SiteEnergy":
        """Give this and a later period as one; days between them count as not measured."""
        days = later.last_day + 1 - self.first_day
        starts = [since for since in (self.since_s, later.since_s) if since is not None]
        ends = [end for end in (self.last_evidence_s, later.last_evidence_s) if end is not None]
        mining = dict(self.meter_mining_wh)
        for meter, (low, middle, high) in later.meter_mining_wh.items():
            before = mining.get(meter, (0.0, 0.0, 0.0))
            mining[meter] = before[0] + low, before[1] + middle, before[2] + high
        return SiteEnergy(
            first_day=self.first_day,
            last_day=later.last_day,
            coverage=(self.coverage * self.days + later.coverage * later.days) / days,
            load_wh=self.load_wh + later.load_wh,
            meter_mining_wh=mining,
            load_source_wh=_summed(self.load_source_wh, later.load_source_wh),
            mining_source_wh=_summed(self.mining_source_wh, later.mining_source_wh),
            since_s=min(starts, default=None),
            last_evidence_s=max(ends, default=None),
        )


def _summed(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {key: one.get(key, 0.0) + other.get(key, 0.0) for key in dict.fromkeys((*one, *other))}


class SiteBook:
    """Adds a site's meters up, day by day; what its batteries hold is all that must survive a restart."""

    def __init__(self, site: Site, stored_wh: Mapping[str, float] | None = None) -> None:
        self._site = site
        self._supply = Supply(site)
        if stored_wh:
            self._supply.stored_wh = dict(stored_wh)

    @property
    def stored_wh(self) -> dict[str, float]:
        """What the batteries hold, by source."""
        return self._supply.stored_wh

    def day(self, day: Day) -> SiteEnergy:
        """Add the meters up over a day that is over."""
        drawn_w = self._site.drawn(day.hourly_w)
        load_w = np.maximum(0.0, np.nansum(drawn_w, axis=0))  # what feeds back and was not metered draws nothing
        known = np.isfinite(day.hourly_w)
        mining_w = np.array([judged.mining_w[1] for judged in day.judgements])[:, None] * known
        mix = self._supply.day(day.hourly_w)
        mined = {
            judged.meter: judged.mining_w
            for judged, measured in zip(day.judgements, known, strict=True)
            if judged.mining_w[2] > 0 and measured.any()
        }
        starts = [judged.since_s for judged in day.judgements if judged.meter in mined and judged.since_s is not None]
        hours = dict(zip(self._site.names, known.sum(axis=1).tolist(), strict=True))
        return SiteEnergy(
            first_day=day.number,
            last_day=day.number,
            coverage=float(np.isfinite(drawn_w).mean()) if len(drawn_w) else 0.0,
            load_wh=float(load_w.sum()),
            meter_mining_wh={meter: _times(watts, hours[meter]) for meter, watts in mined.items()},
            load_source_wh=_attributed(load_w, mix),
            mining_source_wh=_attributed(mining_w.sum(axis=0), mix),
            since_s=min(starts, default=None),
            last_evidence_s=day.end_s if mined else None,
        )


def _times(watts: Estimate, hours: int) -> Estimate:
    low, middle, high = (power * hours for power in watts)
    return low, middle, high


def _attributed(hourly_w: Floats, mix: Mapping[str, Floats]) -> dict[str, float]:
    """Divide hourly energies among the sources; those that gave nothing are left out."""
    energy_wh = {source: float((hourly_w * shares).sum()) for source, shares in mix.items()}
    return {source: energy for source, energy in energy_wh.items() if energy > 0}
