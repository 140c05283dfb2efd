"""The verdict as an ordered list of rules: the first that has something to say decides.

Each rule takes one meter's day and gives a judgement or None. To read the product's mind, read
:data:`RULES` from top to bottom.
"""

from collections.abc import Callable

import numpy as np

from agent.analyse.declared import declared
from agent.analyse.detect import estimate, hidden
from agent.analyse.detect.evidence import probability
from agent.analyse.features.robust import mean, median
from agent.analyse.meter_day import Case, MeterDay
from agent.analyse.tree_rules import contradicted, explained_below, moved_load
from agent.records import Evidence, Judgement, Verdict

MIN_HISTORY_DAYS = hidden.MIN_BEFORE_DAYS + hidden.MIN_AFTER_DAYS
MIN_KNOWN_HOURS = 12  # of a day, or its mean may stand for another load than the day's
_MIN_EXPORT = 0.02  # of the highest hour: below, a meter's zero is not better than that
_MAX_REPEATED = 0.75  # of a week's hourly means: coarse registers of real buildings reach 0.52, a stuck one 0.87
_REFINED_DAYS = 28  # of a case; later the search leaves its onset behind and would drag it along


Rule = Callable[[MeterDay], Judgement | None]


def generation(meter: MeterDay) -> Judgement | None:
    """A feeder that generates is no load."""
    if meter.facts.role != "generation":
        return None
    return meter.judgement(Verdict.NORMAL, (Evidence("role", 0.0, 0.0, "this meter measures generation"),), score=0.0)


def exporting(meter: MeterDay) -> Judgement | None:
    """A load behind a meter through which the sun feeds back cannot be told from the season."""
    compared = meter.hourly_w[-(hidden.BEFORE_DAYS + hidden.AFTER_DAYS) :]
    lowest_w = float(np.nanmin(compared))
    if lowest_w >= -_MIN_EXPORT * float(np.nanmax(compared)) and meter.recent_w >= 0:
        return None
    text = 'power flows back through this meter at times: meter the generation too, with role = "generation"'
    return meter.judgement(Verdict.INCONCLUSIVE, (Evidence("export", lowest_w, 0.0, text),), score=0.0)


def too_little_data(meter: MeterDay) -> Judgement | None:
    """A day that was not measured supports no verdict, and no mining."""
    known = meter.known_hours
    if known >= MIN_KNOWN_HOURS:
        return None
    if meter.total_hours >= MIN_KNOWN_HOURS:
        text = "its sub-meters were not measured well, so its own part of the load is not known"
        return meter.judgement(Verdict.INCONCLUSIVE, (Evidence("coverage", known / 24, 0.0, text),), score=0.0)
    text = f"only {known} of the day's 24 hours were measured well"
    return meter.judgement(Verdict.FAULT, (Evidence("coverage", known / 24, 0.0, text),), score=0.0)


def stuck(meter: MeterDay) -> Judgement | None:
    """A register that repeats itself looks like a perfect miner and is none."""
    week = meter.hourly_w[-7:].ravel()
    pairs = np.isfinite(week[1:]) & np.isfinite(week[:-1]) & (week[1:] != 0)
    if pairs.sum() < MIN_KNOWN_HOURS:
        return None
    share = float((week[1:] == week[:-1])[pairs].mean())
    if share <= _MAX_REPEATED:
        return None
    text = f"{100 * share:.0f} % of the hourly means repeat the one before exactly: check the meter or its gateway"
    return meter.judgement(Verdict.FAULT, (Evidence("stuck_register", share, 0.0, text),), score=0.0)


def open_case(meter: MeterDay) -> Judgement | None:
    """A hidden load that was found stays one until the baseload has come down."""
    case = meter.memory.case
    if case is None:
        return None
    if not meter.stands(case.before_w, case.height_w):
        meter.memory.case = None
        meter.memory.hidden.clear()
        return None
    same = abs(meter.onset_day - case.onset_day) <= 2 and meter.height_w > 0
    if same and meter.day - case.onset_day < _REFINED_DAYS:
        meter.memory.case = case = _case(meter, case.log_odds)
    return _hidden_mining(meter, case)


def dedicated_farm(meter: MeterDay) -> Judgement | None:
    """A feeder that is a farm as a whole."""
    if not meter.is_farm or meter.recent_w < meter.rules.least_mining_w:
        return None
    since = _running_since(meter)
    days = meter.day + 1 - since
    at_least = "at least " if days == len(meter.hourly_w) else ""
    text = f"the feeder has run at half of this level or more for {at_least}{days} days"
    reasons = (*meter.explain_dedicated(), Evidence("running_days", float(days), 0.0, text))
    mining_w = estimate.dedicated_feeder(meter.load_w, meter.rules)
    return meter.judgement(Verdict.MINING, reasons, mining_w, since)


def exchanged_meter(meter: MeterDay) -> Judgement | None:
    """A load that rose when the meter or its transformer ratio was changed may be the old one, measured otherwise."""
    if not (meter.onset_exchanged and meter.has_risen and meter.hidden_odds >= meter.rules.hidden_suspect):
        return None
    text = (
        f"the baseload rose by {meter.height_w:.0f} W when the meter or its settings were changed: compare its ratios "
        "with the transformers' nameplates"
    )
    return meter.judgement(Verdict.INCONCLUSIVE, (Evidence("exchange", meter.height_w, 0.0, text),))


def new_hidden_load(meter: MeterDay) -> Judgement | None:
    """A step that was strong on each of the last days opens a case.

    Not where servers are the business, nor where the baseload only returns to where it was.
    """
    days = meter.rules.hidden_persistence_days
    strong = [odds >= meter.rules.hidden_mining for odds in meter.memory.hidden[-days:]]
    if len(strong) < days or not all(strong) or not meter.has_risen:
        return None
    if meter.has_servers or meter.has_stood_so_high:
        return None
    meter.memory.case = _case(meter, meter.hidden_odds)
    return _hidden_mining(meter, meter.memory.case)


def suspect(meter: MeterDay) -> Judgement | None:
    """Evidence that is not enough for an alarm."""
    if meter.recent_w < meter.rules.least_mining_w:
        return None
    if meter.hidden_odds >= meter.rules.hidden_suspect and meter.has_risen:
        return meter.judgement(Verdict.SUSPECT, (*meter.explain_hidden(), *_returned(meter)))
    if meter.dedicated_odds >= meter.rules.dedicated_suspect and not meter.has_servers:
        return meter.judgement(Verdict.SUSPECT, meter.explain_dedicated())
    return None


def flat(meter: MeterDay) -> Judgement | None:
    """Steady, and not attributable: servers, lighting and a farm look alike from here."""
    if meter.dedicated_odds < meter.rules.dedicated_flat:
        return None
    return meter.judgement(Verdict.FLAT, meter.explain_dedicated())


def short_history(meter: MeterDay) -> Judgement | None:
    """Without three weeks of history, or across its gaps, a hidden load cannot be told from the building."""
    known = int(np.isfinite(meter.base_w).sum())
    if known >= MIN_HISTORY_DAYS and np.isfinite(meter.height_w):
        return None
    text = f"usable days of history: {known}; a hidden load can be told from {MIN_HISTORY_DAYS} without long gaps on"
    return meter.judgement(Verdict.INCONCLUSIVE, (Evidence("history", float(known), 0.0, text),))


def normal(meter: MeterDay) -> Judgement:
    """Nothing speaks for mining that began while the meter was watched."""
    if meter.height_w > 0:
        return meter.judgement(Verdict.NORMAL, meter.explain_hidden())
    reason = Evidence("baseload_step", meter.height_w, 0.0, "the baseload has not risen in the last six weeks")
    return meter.judgement(Verdict.NORMAL, (reason,))


RULES: tuple[Rule, ...] = (
    generation,
    too_little_data,
    stuck,
    declared,
    explained_below,
    contradicted,
    exporting,
    open_case,
    dedicated_farm,
    exchanged_meter,
    moved_load,
    new_hidden_load,
    suspect,
    flat,
    short_history,
    normal,
)


def decide(meter: MeterDay) -> Judgement:
    """Apply the rules in order."""
    return next(judgement for rule in RULES if (judgement := rule(meter)) is not None)


def _returned(meter: MeterDay) -> tuple[Evidence, ...]:
    if not meter.has_stood_so_high:
        return ()
    text = f"the baseload stood at {meter.earlier_w:.0f} W in an earlier week: it may only have returned"
    return (Evidence("earlier_level", meter.earlier_w, 0.0, text),)


def _case(meter: MeterDay, least_odds: float) -> Case:
    half = estimate.half_width(meter.spread_w, meter.recent_w, meter.rules)
    odds = max(least_odds, meter.hidden_odds)
    return Case(meter.onset_day, meter.before_w, meter.height_w, half, odds, meter.explain_hidden())


def _hidden_mining(meter: MeterDay, case: Case) -> Judgement:
    mining_w = estimate.hidden_load(case.height_w, case.half_width_w, meter.load_w - estimate.rest(case.before_w))
    score = probability(case.log_odds - meter.rules.hidden_mining)
    return meter.judgement(Verdict.MINING, case.reasons, mining_w, case.onset_day, score)


def _running_since(meter: MeterDay) -> int:
    """Give the first day since which the feeder has run at half of its present level or more; gaps count as running."""
    daily = mean(meter.hourly_w, axis=-1)
    low = np.flatnonzero(daily < 0.5 * median(daily[-14:]))
    low = low[low < len(daily) - 14]
    first_known = int(np.flatnonzero(np.isfinite(daily))[0])
    start = int(low[-1]) + 1 if len(low) else first_known
    return meter.day + 1 - len(daily) + start
