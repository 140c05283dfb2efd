"""Judges all meters of a gateway: once a day from the history, and provisionally in each window between.

The two tests run for all meters in one vectorised call; the rules then decide meter by meter.
Nothing later than the day is used. Between two days the last judgement is carried on, limited by
what each window really measured: no fault and no outage creates mining kWh.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from agent.analyse.detect import dedicated, estimate, hidden
from agent.analyse.detect.evidence import Rules, reasons
from agent.analyse.features.rhythm import baseload
from agent.analyse.features.robust import Floats, mean
from agent.analyse.history import History
from agent.analyse.meter_day import Memory, MeterDay
from agent.analyse.rules import MIN_KNOWN_HOURS, decide
from agent.analyse.site import Site
from agent.analyse.tree_watch import TreeWatch
from agent.records import Evidence, Judgement, Notice, Quality, Verdict

_REMEMBERED_DAYS = 7  # more than any rule looks back


class Judge:
    """The judge of one gateway; ``memory``, ``last`` and the watch's state are its whole state."""

    def __init__(self, site: Site, rules: Rules) -> None:
        self._site = site
        self._rules = rules
        self._parents = site.parents()
        self.watch = TreeWatch(site, rules)
        self.notices: tuple[Notice, ...] = ()  # of the last day
        self.memory: dict[str, Memory] = {name: Memory() for name in site.names}
        self.last: dict[str, tuple[Judgement, float]] = {}  # with the day's mean load, W; 0 on an outage

    def day(self, history: History, day: int) -> tuple[Judgement, ...]:
        """Judge the day with this number (since 1970-01-01), which is over."""
        self.notices = self.watch.day(history, day)
        meters = self._evidence(history, day)
        for meter in meters:
            if meter.known_hours >= MIN_KNOWN_HOURS:  # a day that was not measured neither confirms nor refutes
                _remember(meter.memory.hidden, meter.hidden_odds)
                _remember(meter.memory.dedicated, meter.dedicated_odds)
        judgements = tuple(map(decide, meters))
        self.last = {
            meter.facts.id: (judged, meter.load_w if np.isfinite(meter.load_w) else 0.0)  # JSON knows no NaN
            for meter, judged in zip(meters, judgements, strict=True)
        }
        return judgements

    def window(self, power_w: Floats, quality: Sequence[Quality]) -> tuple[Judgement, ...]:
        """Carry the last day's judgements into a window of mean power ``power_w`` (meters,)."""
        good = np.array([letter is Quality.GOOD for letter in quality])
        own_w = self._site.remainder(np.where(good, power_w, np.nan))
        return tuple(
            self._provisional(name, float(own_w[row]), quality[row]) for row, name in enumerate(self._site.names)
        )

    def _provisional(self, meter: str, own_w: float, quality: Quality) -> Judgement:
        if quality is Quality.PARTIAL:
            text = "only a part of this window was measured"
            return _without_evidence(meter, Verdict.INCONCLUSIVE, Evidence("data_quality", 0.0, 0.0, text))
        if quality is not Quality.GOOD:
            text = f"the window's quality is {quality.value}: nothing is concluded from it"
            return _without_evidence(meter, Verdict.FAULT, Evidence("data_quality", 0.0, 0.0, text))
        if meter not in self.last:
            text = "the first day is not over"
            return _without_evidence(meter, Verdict.INCONCLUSIVE, Evidence("history", 0.0, 0.0, text))
        judgement, day_w = self.last[meter]
        case = self.memory[meter].case
        return estimate.within(judgement, own_w, day_w, estimate.rest(case.before_w) if case else 0.0)

    def _evidence(self, history: History, day: int) -> list[MeterDay]:
        total_w = history.hourly_w(day)
        own_w = self._site.remainder(total_w)
        weekend = (history.day_numbers(day) + 3) % 7 >= 5  # day 0 was a Thursday
        base_w = baseload(own_w)
        found, step = hidden.features(own_w, weekend)
        hidden_odds, hidden_parts = self._rules.hidden.weigh(found)
        factor = history.daily("power_factor", day)
        factor[[facts.id in self._parents for facts in self._site.meters]] = np.nan  # of the whole, not of its own part
        flat = dedicated.features(own_w, factor)
        dedicated_odds, dedicated_parts = dedicated.weigh(flat, self._rules)
        has_step = np.isfinite(found["lift_share"])
        first_day = history.first_day
        exchanged = self._site.with_children(history.exchanged(day))
        return [
            MeterDay(
                facts=facts,
                day=day,
                rules=self._rules,
                has_servers=self._site.has_servers,
                is_parent=facts.id in self._parents,
                hourly_w=own_w[row],
                base_w=base_w[row],
                total_w=float(mean(total_w[row, -1])),
                total_hours=int(np.isfinite(total_w[row, -1]).sum()),
                hidden_odds=float(hidden_odds[row]) if has_step[row] else -np.inf,
                onset_day=first_day + int(step.onset[row]),
                height_w=float(step.height_w[row]),
                before_w=float(step.before_w[row]),
                spread_w=float(step.spread_w[row]),
                onset_exchanged=bool(exchanged[row, max(0, int(step.onset[row]) - 1) : int(step.onset[row]) + 2].any()),
                moved_w=self.watch.moved_w(facts.id, first_day + int(step.onset[row])),
                earlier_w=float(step.earlier_w[row]),
                dedicated_odds=float(np.nan_to_num(dedicated_odds[row], nan=-np.inf)),
                explain_hidden=partial(reasons, row, found, hidden_parts, hidden.TEXTS),
                explain_dedicated=partial(reasons, row, flat, dedicated_parts, dedicated.TEXTS),
                memory=self.memory[facts.id],
            )
            for row, facts in enumerate(self._site.meters)
        ]


def _remember(odds: list[float], new: float) -> None:
    odds.append(float(np.clip(new, -99.0, 99.0)))  # JSON knows no infinity
    del odds[:-_REMEMBERED_DAYS]


def _without_evidence(meter: str, verdict: Verdict, reason: Evidence) -> Judgement:
    return Judgement(meter=meter, verdict=verdict, score=0.0, mining_w=(0.0, 0.0, 0.0), since_s=None, reasons=(reason,))
