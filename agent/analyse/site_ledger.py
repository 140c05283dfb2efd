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
from agent.analyse.tree_watch import hidden_test
from agent.analyse.unseen import LOOKED_AT_DAYS, unseen_w
from agent.emission_factors import EmissionFactor
from agent.records import Verdict

_CLEAN = (Verdict.NORMAL, Verdict.FLAT)  # of which it makes sense to ask what was not seen


class SiteLedger:
    """The account of one site; ``name`` is None where nobody gave it one."""

    def __init__(self, name: str | None, site: Site, factors: Mapping[str, EmissionFactor], rules: Rules) -> None:
        self._name, self._site, self._factors, self._rules = name, site, factors, rules
        self._book = SiteBook(site)
        self._recent: deque[Day] = deque(maxlen=LOOKED_AT_DAYS)
        self._total: SiteEnergy | None = None

    def take(self, day: Day) -> dict[str, Any]:
        """Enter a day, and give it as a JSON object."""
        energy = self._book.day(day)
        self._recent.append(day)
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
        own_w = self._site.remainder(np.stack([day.hourly_w for day in self._recent], axis=1))
        weekend = (np.array([day.number for day in self._recent]) + 3) % 7 >= 5  # day 0 was a Thursday
        return {
            judged.meter: self._meter(own_w[row], weekend)
            for row, judged in enumerate(self._recent[-1].judgements)
            if judged.verdict in _CLEAN and self._site.meters[row].role == "load"
        }

    def _meter(self, own_w: Floats, weekend: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
        find = hidden_test(self._rules)
        rules = self._rules
        return unseen_w(
            own_w, weekend, lambda rows, days: find(rows, days)[0], rules.hidden_mining, rules.least_mining_w
        )
