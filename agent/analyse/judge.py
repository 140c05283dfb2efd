"""Judges all meters of a gateway: once a day from the history, and provisionally in each window between.

The tests run for all meters in one vectorised call each; the rules then decide meter by meter.
Nothing later than the day is used. Between two days the last judgement is carried on, limited by
what each window really measured: no fault and no outage creates mining kWh.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from agent.analyse.detect import causes, dedicated, estimate
from agent.analyse.detect.evidence import Rules, reasons
from agent.analyse.detect.hidden import LOOKED_AT_DAYS, Candidates, HiddenTest
from agent.analyse.features.robust import Floats, mean
from agent.analyse.history import History
from agent.analyse.machines import weigh as machines
from agent.analyse.meter_day import Memory, MeterDay, Rise
from agent.analyse.rules import MIN_KNOWN_HOURS, decide
from agent.analyse.site import Site
from agent.analyse.tree_watch import Days, TreeWatch
from agent.records import Evidence, Judgement, Notice, Quality, Verdict

_REMEMBERED_DAYS = 7  # of log-odds; more than any rule looks back
_WORTH_TELLING = -1.5  # of the way from mining to suspicion: reasons below it are read by nobody
_SAME_DAYS = 3  # an onset is found this near to its day
_HOURS_DAYS = 114  # of hours that rules and the dedicated test look at: a hundred days of past, and a fortnight


class Judge:
    """The judge of one gateway; ``memory``, ``last`` and the watch's state are its whole state."""

    def __init__(self, site: Site, rules: Rules) -> None:
        self._site = site
        self._rules = rules
        self._parents = site.parents()
        self._below = [[row for row, sub in enumerate(site.meters) if sub.parent == name] for name in site.names]
        self._hidden = HiddenTest(rules)
        self._causes = causes.Causes(rules)
        self.memory: dict[str, Memory] = {name: Memory() for name in site.names}
        self.last: dict[str, tuple[Judgement, float]] = {}  # with the day's mean load, W; 0 on an outage
        self.watch = TreeWatch(site, rules)
        self.notices: tuple[Notice, ...] = ()  # of the last day

    def day(self, history: History, day: int, signs: Mapping[str, Floats] | None = None) -> tuple[Judgement, ...]:
        """Judge the day with this number (since 1970-01-01), which is over.

        ``signs`` are what the seconds of the last week tell of single machines, where they were measured.
        """
        meters = self._evidence(history, day, signs)
        for meter in meters:
            if meter.known_hours >= MIN_KNOWN_HOURS:  # a day that was not measured neither confirms nor refutes
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

    def _evidence(self, history: History, day: int, signs: Mapping[str, Floats] | None) -> list[MeterDay]:
        total_w = history.hourly_w(day, _HOURS_DAYS)
        own_w = self._site.remainder(total_w)
        exchanged = self._site.with_children(history.exchanged(day, LOOKED_AT_DAYS))
        own = _Own(self._site, history, day, own_w)
        rises = self._rises(own, exchanged, day)
        self.notices = self.watch.look(Days(own.load_w, own.reactive_var, day))
        factor = history.daily("power_factor", day, _HOURS_DAYS)
        factor[[facts.id in self._parents for facts in self._site.meters]] = np.nan  # of the whole, not of its own part
        flat = dedicated.features(own_w, factor)
        dedicated_odds, dedicated_parts = dedicated.weigh(flat, self._rules)
        dedicated_odds = np.nan_to_num(dedicated_odds, nan=-np.inf)
        seen = machines.beside(machines.seen(signs, len(own_w)), self._below)
        day_w, day_hours = mean(total_w[:, -1]), np.isfinite(total_w[:, -1]).sum(axis=-1)
        meters = [
            MeterDay(
                facts=facts,
                day=day,
                rules=self._rules,
                has_servers=self._site.has_servers,
                is_parent=facts.id in self._parents,
                hourly_w=own_w[row],
                base_w=self._hidden.base_w[row],
                total_w=float(day_w[row]),
                total_hours=int(day_hours[row]),
                moved=partial(self.watch.moved_w, facts.id),
                dedicated_odds=float(dedicated_odds[row]),
                explain_dedicated=partial(reasons, row, flat, dedicated_parts, dedicated.TEXTS),
                machines=seen[row],
                memory=self.memory[facts.id],
            )
            for row, facts in enumerate(self._site.meters)
        ]
        for meter, rise in zip(meters, rises, strict=True):
            meter.follow(rise)
        return meters

    def _rises(self, own: "_Own", exchanged: NDArray[np.bool_], day: int) -> list[Rise | None]:
        """Give each meter's likeliest onset, None where nothing rose."""
        found = self._hidden.day(own.load_w, day)
        values, parts = self._causes.day(
            found, self._hidden.base_w, own.load_w, own.reactive_var, own.temperature_c, day
        )
        margin = found.margin + np.sum(list(parts.values()), axis=0)
        return [
            self._rise(row, found, float(margin[row]), (values, parts), exchanged[row], day)
            if np.isfinite(margin[row])
            else None
            for row in range(len(margin))
        ]

    def _rise(
        self,
        row: int,
        found: Candidates,
        margin: float,
        cause: tuple[Mapping[str, Floats], Mapping[str, Floats]],
        exchanged: NDArray[np.bool_],
        day: int,
    ) -> Rise:
        age = int(found.age[row])
        about = slice(max(0, len(exchanged) - age - _SAME_DAYS), len(exchanged) - age + _SAME_DAYS + 1)
        is_told = margin >= _WORTH_TELLING * -self._rules.hidden_suspect
        return Rise(
            onset_day=day + 1 - age,
            before_w=float(found.before_w[row]),
            height_w=float(found.height_w[row]),
            spread_w=float(found.spread_w[row]),
            margin=margin,
            exchanged=bool(exchanged[about].any()),
            reasons=(*found.reasons(row), *reasons(row, *cause, causes.TEXTS)) if is_told else (),
        )


class _Own:
    """What the meters measure on their own, up to a day; ``hours_w`` are the last days' at hand."""

    def __init__(self, site: Site, history: History, day: int, hours_w: Floats) -> None:
        self._site, self._history, self._day, self._hours_w = site, history, day, hours_w

    def load_w(self, days: int | None) -> Floats:
        """Give the last days' active power, or that of all days."""
        if days is not None:
            return self._hours_w[:, -days:]
        return self._site.remainder(self._history.hourly_w(self._day))

    def reactive_var(self, days: int | None) -> Floats:
        """Give the last days' reactive power."""
        return self._site.remainder(self._history.hourly("reactive_power_var", self._day, days))

    def temperature_c(self, days: int | None) -> Floats:
        """Give the last days' outdoor temperature."""
        return self._history.hourly("outdoor_temperature_c", self._day, days)


def _remember(odds: list[float], new: float) -> None:
    odds.append(min(max(new, -99.0), 99.0))  # JSON knows no infinity
    del odds[:-_REMEMBERED_DAYS]


def _without_evidence(meter: str, verdict: Verdict, reason: Evidence) -> Judgement:
    return Judgement(meter=meter, verdict=verdict, score=0.0, mining_w=(0.0, 0.0, 0.0), since_s=None, reasons=(reason,))
