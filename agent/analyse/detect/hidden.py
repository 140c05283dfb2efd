"""Did a farm start behind this meter? Each day is asked, 7, 14 and 25 days after it, whether one began then.

The same evidence is weighed again as the days accumulate (:mod:`agent.analyse.detect.onset`), each
time with the curves of its age, and the log-odds so far are averaged: a holiday that looks like an
onset after a week no longer does after three. What is asked of one day never changes afterwards, so
its answer is kept; and nothing later than the day is used.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.analyse.detect.evidence import Rules, reasons
from agent.analyse.detect.onset import BEFORE_DAYS, TEXTS, Look, Step, Usual, evidence, usual
from agent.analyse.detect.sketch import FORTNIGHT_DAYS, Sketch
from agent.analyse.features.robust import Floats
from agent.records import Evidence

AGES = (7, 14, 25)  # days since the onset: a week of all hours, two, and as many as leave a farm found within four
LOOKED_AT_DAYS = BEFORE_DAYS + AGES[-1]
MIN_BEFORE_DAYS = 14  # known hours of two weekends
MIN_HISTORY_DAYS = MIN_BEFORE_DAYS + AGES[0]
_KNOWN = 0.7  # of the fortnight before and of the days since: five of a week
_STEADIEST = 1  # of the AGES: a fortnight either side errs least, later the season has moved on


LoadOf = Callable[[int | None], Floats]  # the last so many days of those held, or all: (meters, days, 24), W


@dataclass(frozen=True, slots=True)
class Answer:
    """What one day, asked at one age, has answered; arrays (meters,)."""

    log_odds: Floats  # -inf where there is no rise, NaN where too little is known
    values: Mapping[str, Floats]
    parts: Mapping[str, Floats]
    step: Step


@dataclass(frozen=True, slots=True)
class Candidates:
    """The likeliest onset that today's questions found; arrays (meters,).

    ``margin`` is the log-odds above those from which it is a farm's, -inf where there is nothing;
    ``age`` the days that have passed since, today's included.
    """

    margin: Floats
    age: NDArray[np.intp]
    height_w: Floats
    before_w: Floats
    spread_w: Floats
    answers: tuple[tuple[Answer, ...], ...]  # of the onset of each of the AGES, at all ages so far

    def reasons(self, row: int) -> tuple[Evidence, ...]:
        """Give one meter's evidence in words: values of the last look, weights averaged over all looks."""
        looks = self.answers[AGES.index(int(self.age[row]))]
        answers = [answer for answer in looks if not np.isnan(answer.log_odds[row])]
        nothing = np.zeros(len(self.age))  # a curve that the fit left out at one age
        parts = {name: np.mean([answer.parts.get(name, nothing) for answer in answers], axis=0) for name in TEXTS}
        return reasons(row, answers[-1].values, parts, TEXTS)


class HiddenTest:
    """The test of some meters' loads, day by day. All that it keeps follows from the history."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._sketch = Sketch(0)
        self._sketched_day: int | None = None
        self._kept: dict[tuple[int, int], Answer] = {}  # by number of the onset's day, and age
        self._usual: dict[int, Usual] = {}  # what was before it, by number of the onset's day

    @property
    def base_w(self) -> Floats:
        """Baseload of all days held, (meters, days)."""
        return self._sketch.base_w

    def day(self, load_w: LoadOf, day: int) -> Candidates:
        """Ask about the onsets that are 7, 14 and 25 days old at the end of ``day``."""
        if self._sketched_day == day - 1:
            self._sketch.add(load_w(1)[:, -1])
        else:  # the first, or the clock has leapt
            self._sketch = Sketch.of(load_w(None))
            self._kept.clear()
            self._usual.clear()
        self._sketched_day = day
        self._kept = {key: answer for key, answer in self._kept.items() if key[0] > day - AGES[-1]}
        self._usual = {onset_day: before for onset_day, before in self._usual.items() if onset_day > day - AGES[-1]}
        recent_w = load_w(LOOKED_AT_DAYS)
        answers = tuple(
            tuple(self._answer(recent_w, day, day + 1 - age, look_age) for look_age in AGES[: index + 1])
            for index, age in enumerate(AGES)
        )
        return _likeliest(answers, self._rules)

    def _answer(self, recent_w: Floats, today: int, onset_day: int, age: int) -> Answer:
        key = (onset_day, age)
        if key not in self._kept:
            self._kept[key] = self._ask(recent_w, today + 1 - onset_day, onset_day, age)
        return self._kept[key]

    def _ask(self, recent_w: Floats, ago: int, onset_day: int, age: int) -> Answer:
        look = _look(recent_w, self._sketch, ago, onset_day, age)
        if look is None:
            nothing = np.full(len(recent_w), np.nan)
            return Answer(nothing, {}, {}, Step(nothing, nothing, nothing, nothing))
        if onset_day not in self._usual:
            self._usual[onset_day] = usual(look)
        values, step = evidence(look, self._usual[onset_day])
        log_odds, parts = self._rules.hidden[AGES.index(age)].weigh(values)
        known = np.isfinite(self._sketch.base_w)
        before, after = known[:, look.onset - FORTNIGHT_DAYS : look.onset], known[:, look.onset : look.onset + age]
        enough = (before.mean(axis=1) >= _KNOWN) & (after.mean(axis=1) >= _KNOWN)
        rising = np.where(step.height_w > 0, log_odds, -np.inf)
        return Answer(np.where(enough, rising, np.nan), values, parts, step)


def _look(recent_w: Floats, sketch: Sketch, ago: int, onset_day: int, age: int) -> Look | None:
    """Cut out what is looked at of an onset so many days ago; None where the history does not reach."""
    onset = recent_w.shape[1] - ago
    before = min(BEFORE_DAYS, onset)
    if before < MIN_BEFORE_DAYS:
        return None
    weekend = (np.arange(onset_day - before, onset_day + age) + 3) % 7 >= 5  # day 0 was a Thursday
    return Look(
        recent_w[:, onset - before : onset], recent_w[:, onset : onset + age], weekend, sketch, sketch.days - ago
    )


def _so_far(looks: Sequence[Answer]) -> Floats:
    """Give the mean log-odds of the looks that knew enough; -inf where the last did not: an outage refutes nothing."""
    odds: Floats = np.array([look.log_odds for look in looks])
    known = ~np.isnan(odds)
    total = np.where(known, odds, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known[-1], total, -np.inf)


def _likeliest(answers: tuple[tuple[Answer, ...], ...], rules: Rules) -> Candidates:
    """Choose each meter's onset with the largest margin."""
    margins: Floats = np.array(
        [_so_far(of_onset) - least for of_onset, least in zip(answers, rules.hidden_mining, strict=True)]
    )
    best = margins.argmax(axis=0)
    steps = [of_onset[min(index, _STEADIEST)].step for index, of_onset in enumerate(answers)]

    def chosen(of_each: Sequence[Floats]) -> Floats:
        result: Floats = np.array(of_each)[best, np.arange(len(best))]
        return result

    return Candidates(
        margin=chosen(list(margins)),
        age=np.array(AGES)[best],
        height_w=chosen([step.height_w for step in steps]),
        before_w=chosen([step.before_w for step in steps]),
        spread_w=chosen([step.spread_w for step in steps]),
        answers=answers,
    )


def candidates(hourly_w: Floats, last_day: int, rules: Rules) -> Candidates:
    """Ask recorded days, (meters, days, 24) in W, of which the last has the number ``last_day``."""
    return HiddenTest(rules).day(lambda days: hourly_w if days is None else hourly_w[:, -days:], last_day)
