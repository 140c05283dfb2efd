"""Keeps a site's account over a replay: its days, its total, and how sure the total is."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from agent.analyse import site_report
from agent.analyse.analyst import Day
from agent.analyse.detect.evidence import Rules
from agent.analyse.features.robust import Floats
from agent.analyse.site import Site
from agent.analyse.site_day import SiteBook, SiteEnergy
from agent.analyse.unseen import unseen_w
from agent.emission_factors import EmissionFactor
from agent.records import Verdict

_RECENT_DAYS = 400  # as many as the history holds
_CLEAN = (Verdict.NORMAL, Verdict.FLAT)  # of which it makes sense to ask what was not seen


class SiteLedger:
    """The account of one site; ``name`` is None where nobody gave it one."""

    def __init__(self, name: str | None, site: Site, factors: Mapping[str, EmissionFactor], rules: Rules) -> None:
        self._name, self._site, self._factors, self._rules = name, site, factors, rules
        self._book = SiteBook(site)
        self._hourly_w: deque[Floats] = deque(maxlen=_RECENT_DAYS)  # each (meters, 24)
        self._last: Day | None = None
        self._total: SiteEnergy | None = None

    def take(self, day: Day) -> dict[str, Any]:
        """Enter a day, and give it as a JSON object."""
        energy = self._book.day(day)
        self._hourly_w.append(day.hourly_w)
        self._last = day
        self._total = energy if self._total is None else self._total.joined(energy)
        return site_report.report(self._name, energy, self._factors)

    def total(self) -> Iterator[dict[str, Any]]:
        """Give the whole period as a JSON object; nothing before the first day."""
        if self._total is not None:
            unseen = {meter: None if np.isnan(watts) else round(watts) for meter, watts in self._unseen().items()}
            yield site_report.report(self._name, self._total, self._factors) | {"unseen_w": unseen}

    def lines(self) -> Iterator[str]:
        """Give the whole period for people."""
        if self._total is None:
            return
        yield from site_report.lines(self._total, self._factors)
        for meter, watts in self._unseen().items():
            if np.isnan(watts):
                yield f"  {meter}: no mining seen, and none could have been: too short a record, or too restless a load"
            else:
                yield (
                    f"  {meter}: no mining seen; a load of {watts / 1000:.1f} kW that began in the last weeks would "
                    "have been; one that is older than the record would not"
                )

    def _unseen(self) -> dict[str, float]:
        """Give the least load that would have been found, W, behind each meter that is clean on the last day."""
        if self._last is None:
            return {}
        own_w = self._site.remainder(np.stack(self._hourly_w, axis=1))
        return {
            judged.meter: unseen_w(own_w[row], self._last.number, self._rules)
            for row, judged in enumerate(self._last.judgements)
            if judged.verdict in _CLEAN and self._site.meters[row].role == "load"
        }
