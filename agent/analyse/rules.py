"""The verdict as an ordered list of rules: the first that has something to say decides.

Each rule takes one meter's day and gives a judgement or None. To read the product's mind, read
:data:`RULES` from top to bottom.
"""

import math
from collections.abc import Callable

import msgspec
import numpy as np

from agent.analyse.declared import declared
from agent.analyse.detect import estimate, hidden
from agent.analyse.detect.evidence import probability
from agent.analyse.features.robust import mean, median
from agent.analyse.machines.weigh import shipped_machine_rules as machine_rules
from agent.analyse.meter_day import Case, MeterDay, Rise
from agent.analyse.tree_rules import contradicted, explained_below, moved_load
from agent.records import Evidence, Judgement, Verdict

MIN_KNOWN_HOURS = 12  # of a day, or its mean may stand for another load than the day's
_MIN_EXPORT = 0.02  # of the highest hour: below, a meter's zero is not better than that
_MAX_REPEATED = 0.75  # of a week's hourly means: coarse registers of real buildings reach 0.52, a stuck one 0.87
_EXPORT_DAYS = 70  # looked back for it: what the test for hidden loads compares, and some weeks
_KNOWN = 0.7  # of the least history, as of what the test compares
_YEAR_DAYS = 365  # of which the known days are told; the history holds more
_AWAY_DAYS = 28  # for outages, repairs and holidays; longer, and the season may have lifted a building as far
_BACK_ABOVE = 0.7  # of the first batch's height: well above what closes a case
_LIKELIER = 1.0  # log-odds: who has brought machines may well bring more
_SAME_DAYS = 3  # between onsets: a farm that begins at noon is seen on either day, a weekend blurs it


Rule = Callable[[MeterDay], Judgement | None]


def generation(meter: MeterDay) -> Judgement | None:
    """A feeder that generates is no load."""
    if meter.facts.role != "generation":
        return None
    return meter.judgement(Verdict.NORMAL, (Evidence("role", 0.0, 0.0, "this meter measures generation"),), score=0.0)


def exporting(meter: MeterDay) -> Judgement | None:
    """A load behind a meter through which the sun feeds back cannot be told from the season."""
    compared = meter.hourly_w[-_EXPORT_DAYS:]
    lowest_w = float(np.fmin.reduce(compared, axis=None))
    if lowest_w >= -_MIN_EXPORT * float(np.fmax.reduce(compared, axis=None)) and meter.recent_w >= 0:
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
    repeated = week[1:] == week[:-1]
    if np.count_nonzero(repeated) < _MAX_REPEATED * MIN_KNOWN_HOURS:
        return None
    pairs = np.isfinite(week[1:]) & np.isfinite(week[:-1]) & (week[1:] != 0)
    if pairs.sum() < MIN_KNOWN_HOURS:
        return None
    share = float(repeated[pairs].mean())
    if share <= _MAX_REPEATED:
        return None
    text = f"{100 * share:.0f} % of the hourly means repeat the one before exactly: check the meter or its gateway"
    return meter.judgement(Verdict.FAULT, (Evidence("stuck_register", share, 0.0, text),), score=0.0)


def open_case(meter: MeterDay) -> Judgement | None:
    """A hidden load that was found stays one until the baseload has come down."""
    case = meter.memory.case
    if case is None:
        return None
    if not meter.stands(case.before_w, case.first_w):
        meter.memory.closed = msgspec.structs.replace(case, closed_day=meter.day)
        meter.memory.case = None
        return None
    if meter.lead is not None:
        meter.memory.case = case = _followed(meter, case, meter.lead)
    return _hidden_mining(meter, case)


def returned_load(meter: MeterDay) -> Judgement | None:
    """A hidden load that is back within weeks is the one that was found: to the test it only returns where it was."""
    case = meter.memory.closed
    if case is None or case.closed_day is None:
        return None
    if meter.day - case.closed_day > _AWAY_DAYS:
        meter.memory.closed = None
    if meter.memory.closed is None or not meter.stands(case.before_w, case.first_w, _BACK_ABOVE):
        return None
    meter.memory.case, meter.memory.closed = msgspec.structs.replace(case, closed_day=None), None
    return _hidden_mining(meter, case)


def dedicated_farm(meter: MeterDay) -> Judgement | None:
    """A feeder that is a farm as a whole."""
    if not meter.is_farm or meter.level_w < meter.rules.least_mining_w:
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
    lead = meter.lead
    if lead is None or not lead.exchanged or meter.hidden_margin < meter.rules.hidden_suspect:
        return None
    text = (
        f"the baseload rose by {lead.height_w:.0f} W when the meter or its settings were changed: compare its ratios "
        "with the transformers' nameplates"
    )
    return meter.judgement(Verdict.INCONCLUSIVE, (Evidence("exchange", lead.height_w, 0.0, text),))


def new_hidden_load(meter: MeterDay) -> Judgement | None:
    """A step of a farm's kind opens a case; not where servers are the business."""
    if meter.lead is None or meter.hidden_margin < 0 or meter.has_servers:
        return None
    meter.memory.case = case = _case(meter, meter.lead)
    return _hidden_mining(meter, case)


def machines_seen(meter: MeterDay) -> Judgement | None:
    """Single machines that reboot are mining, whenever they came; their power is known within a factor of three."""
    seen, least = meter.machines, machine_rules()
    was_seen = meter.memory.machines_since is not None
    if meter.has_servers or seen.log_odds < (least.suspect if was_seen else least.mining):
        meter.memory.machines_since = None
        return None
    if meter.memory.machines_since is None:
        meter.memory.machines_since = meter.day + 1 - seen.known_days
    mining_w = estimate.counted_machines(seen.power_w, float(median(meter.base_w[-14:])))
    score = probability(seen.log_odds - least.mining)
    return meter.judgement(Verdict.MINING, seen.explain(), mining_w, meter.memory.machines_since, score)


def suspect(meter: MeterDay) -> Judgement | None:
    """Evidence that is not enough for an alarm."""
    if meter.lead is not None and meter.hidden_margin >= meter.rules.hidden_suspect:
        return meter.judgement(Verdict.SUSPECT, (*meter.lead.reasons, *meter.machines.explain()))
    is_large = meter.recent_w >= meter.rules.least_mining_w
    if is_large and meter.dedicated_odds >= meter.rules.dedicated_suspect and not meter.has_servers:
        return meter.judgement(Verdict.SUSPECT, meter.explain_dedicated())
    if meter.machines.log_odds >= machine_rules().suspect:
        return meter.judgement(Verdict.SUSPECT, meter.machines.explain())
    return None


def flat(meter: MeterDay) -> Judgement | None:
    """Steady, and not attributable: servers, lighting and a farm look alike from here."""
    if meter.dedicated_odds < meter.rules.dedicated_flat:
        return None
    return meter.judgement(Verdict.FLAT, meter.explain_dedicated())


def short_history(meter: MeterDay) -> Judgement | None:
    """Without three weeks of history, or across its gaps, a hidden load cannot be told from the building."""
    known = np.isfinite(meter.base_w[-_YEAR_DAYS:])
    asked = known[-hidden.MIN_HISTORY_DAYS :]
    if len(asked) == hidden.MIN_HISTORY_DAYS and asked.mean() >= _KNOWN:
        return None
    days, least = int(known.sum()), hidden.MIN_HISTORY_DAYS
    text = f"usable days of history: {days}; a hidden load can be told from {least} without long gaps on"
    return meter.judgement(Verdict.INCONCLUSIVE, (Evidence("history", float(days), 0.0, text),))


def normal(meter: MeterDay) -> Judgement:
    """Nothing speaks for mining that began while the meter was watched."""
    lead = meter.lead
    if lead is None:
        text = "the baseload has not risen in the last weeks"
        return meter.judgement(Verdict.NORMAL, (Evidence("baseload_step", 0.0, 0.0, text),))
    text = f"the baseload's likeliest rise of the last weeks, by {lead.height_w:.0f} W, is not of a farm's kind"
    return meter.judgement(Verdict.NORMAL, (Evidence("baseload_step", lead.height_w, round(lead.margin, 2), text),))


RULES: tuple[Rule, ...] = (
    generation,
    too_little_data,
    stuck,
    declared,
    explained_below,
    contradicted,
    exporting,
    open_case,
    returned_load,
    dedicated_farm,
    exchanged_meter,
    moved_load,
    new_hidden_load,
    machines_seen,
    suspect,
    flat,
    short_history,
    normal,
)


def decide(meter: MeterDay) -> Judgement:
    """Apply the rules in order."""
    return next(judgement for rule in RULES if (judgement := rule(meter)) is not None)


def _case(meter: MeterDay, rise: Rise) -> Case:
    half = estimate.half_width(rise.spread_w, meter.recent_w, meter.rules)
    reasons = (*rise.reasons, *(meter.machines.explain() if meter.machines.gain > 0 else ()))
    return Case(
        onset_day=rise.onset_day,
        newest_day=rise.onset_day,
        before_w=rise.before_w,
        first_w=rise.height_w,
        height_w=rise.height_w,
        half_width_w=half,
        margin=meter.hidden_margin,
        reasons=reasons,
    )


def _followed(meter: MeterDay, case: Case, rise: Rise) -> Case:
    """Take up what the days have added: the same onset seen better, or another batch of machines."""
    if case.newest_day == case.onset_day and abs(rise.onset_day - case.onset_day) <= _SAME_DAYS:
        return _case(meter, rise) if meter.hidden_margin >= case.margin else case
    if rise.onset_day <= case.newest_day + _SAME_DAYS or meter.hidden_margin < -_LIKELIER:
        return case
    higher_w = rise.before_w + rise.height_w - case.before_w - case.height_w
    grown_w = min(rise.height_w, higher_w)  # a farm that rested in part and is back has not grown
    if grown_w < meter.rules.least_rise_w:
        return case
    height_w = case.height_w + grown_w
    half_w = math.hypot(case.half_width_w, estimate.half_width(rise.spread_w, meter.recent_w, meter.rules))
    text = f"a further {grown_w:.0f} W came in the same way"
    batch = Evidence("batch", grown_w, round(rise.margin, 2), text)
    return msgspec.structs.replace(
        case, newest_day=rise.onset_day, height_w=height_w, half_width_w=half_w, reasons=(*case.reasons[:4], batch)
    )


def _hidden_mining(meter: MeterDay, case: Case) -> Judgement:
    mining_w = estimate.hidden_load(case.height_w, case.half_width_w, meter.load_w - estimate.rest(case.before_w))
    return meter.judgement(Verdict.MINING, case.reasons, mining_w, case.onset_day, probability(case.margin))


def _running_since(meter: MeterDay) -> int:
    """Give the day since which the feeder has run; two days in a row under half of its level end a use of it."""
    low = mean(meter.hourly_w, axis=-1) < 0.5 * meter.level_w  # a gap counts as running, and so does a day's outage
    idle = np.flatnonzero(low[1:] & low[:-1])
    first_known = int(np.flatnonzero(np.isfinite(meter.hourly_w).any(axis=-1))[0])
    start = int(idle[-1]) + 2 if len(idle) else first_known
    return meter.day + 1 - len(low) + start
