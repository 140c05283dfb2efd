"""One meter on one day, with the evidence on it, and what is kept of a meter from day to day."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np

from agent.analyse.detect.estimate import Estimate
from agent.analyse.detect.evidence import Rules, probability
from agent.analyse.features.robust import Floats, mean, median
from agent.analyse.history import DAY_S
from agent.analyse.machines.weigh import Seen
from agent.config import MeterFacts
from agent.records import Evidence, Judgement, Verdict

NOTHING: Estimate = (0.0, 0.0, 0.0)
_CLOSED_BELOW = 0.4  # of the step's height: the farm is off when the baseload has come down this far
_LEAD_DAYS = 35  # after its onset a step that is no case was answered at all ages, and ten days more
_DEDICATED_DAYS = 3  # in a row; the shape looks back two weeks, or to the start, so few suffice
_LEVEL_DAYS = 5  # as long as the shape of a new feeder needs at least


class Rise(msgspec.Struct):
    """A step in the baseload that may be a hidden load. Days are numbers since 1970-01-01, powers W."""

    onset_day: int
    before_w: float
    height_w: float
    spread_w: float
    margin: float  # log-odds above those from which it is a farm's
    exchanged: bool  # about then, this meter or one below it became another, or its settings did
    reasons: tuple[Evidence, ...]  # empty where the margin is not worth it


class Case(msgspec.Struct):
    """A hidden load that was found and has not gone."""

    onset_day: int
    newest_day: int  # onset of the last batch; that of the case where it did not grow
    before_w: float
    first_w: float  # of the first batch: while that stands, the case does
    height_w: float  # of all batches
    half_width_w: float
    margin: float
    reasons: tuple[Evidence, ...]
    closed_day: int | None = None  # the day on which it was found to be gone


class Memory(msgspec.Struct):
    """What is kept of one meter from day to day."""

    lead: Rise | None = None  # the likeliest onset of the last weeks that still stands
    case: Case | None = None
    closed: Case | None = None  # the case that went last
    dedicated: list[float] = []  # the last days' log-odds
    machines_since: int | None = None  # the day since which the seconds show machines


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterDay:
    """One meter on one day, and the evidence. Powers are of its own load: what no sub-meter sees."""

    facts: MeterFacts
    day: int
    rules: Rules
    has_servers: bool
    is_parent: bool
    hourly_w: Floats  # (days, 24) of the last months, the last row is the day that is judged
    base_w: Floats  # (days,)
    total_w: float  # mean of the day, sub-meters included
    total_hours: int  # of the day that were measured well, whatever is known of the sub-meters
    moved: Callable[[int], float]  # W that a sub-meter lost about a day, and this meter's own load gained
    dedicated_odds: float
    explain_dedicated: Callable[[], tuple[Evidence, ...]]
    machines: Seen
    memory: Memory

    @property
    def load_w(self) -> float:
        """Mean of the day."""
        return float(mean(self.hourly_w[-1]))

    @property
    def recent_w(self) -> float:
        """Mean of the last two weeks."""
        return float(mean(self.hourly_w[-14:].ravel()))

    @property
    def level_w(self) -> float:
        """Median of the last five days: what a load that runs day and night draws, however new it is."""
        return float(median(self.hourly_w[-_LEVEL_DAYS:].ravel()))

    @property
    def known_hours(self) -> int:
        """Hours of the day in which the meter's own load is known."""
        return int(np.isfinite(self.hourly_w[-1]).sum())

    @property
    def is_farm(self) -> bool:
        """Whether shape and power factor said on three days in a row: a farm as a whole, and nothing said no since."""
        if self.has_servers:
            return False
        in_a_row = 0
        found = False
        for odds in self.memory.dedicated:
            in_a_row = in_a_row + 1 if odds >= self.rules.dedicated_mining else 0
            found = odds >= self.rules.dedicated_suspect and (found or in_a_row >= _DEDICATED_DAYS)
        return found

    @property
    def lead(self) -> Rise | None:
        """The likeliest onset that still stands, if it is a small miner's at least."""
        lead = self.memory.lead
        return lead if lead is not None and lead.height_w >= self.rules.least_rise_w else None

    @property
    def hidden_margin(self) -> float:
        """Log-odds above those of a hidden farm, what the seconds tell of machines added; -inf where nothing rose."""
        return -np.inf if self.lead is None else self.lead.margin + self.machines.gain

    def stands(self, before_w: float, height_w: float, share: float = _CLOSED_BELOW) -> bool:
        """Whether the baseload of the last days still holds that share of a step; unknown days do not end it."""
        return not median(self.base_w[-5:]) < before_w + share * height_w

    def follow(self, rise: Rise | None) -> None:
        """Keep today's likeliest onset, or an earlier and likelier one that still stands.

        Beside an open case only today's counts: the case's own onset must not hide the next batch.
        """
        lead = self.memory.lead if self.memory.case is None else None
        is_old = lead is not None and self.day - lead.onset_day > _LEAD_DAYS
        if lead is not None and (is_old or not self.stands(lead.before_w, lead.height_w)):
            lead = None
        if rise is not None and (lead is None or rise.margin >= lead.margin):
            lead = rise
        self.memory.lead = lead

    def judgement(
        self,
        verdict: Verdict,
        reasons: tuple[Evidence, ...],
        mining_w: Estimate = NOTHING,
        since_day: int | None = None,
        score: float | None = None,
    ) -> Judgement:
        """Give a judgement of this meter; the score is 0.5 or more exactly where the verdict is mining.

        Flatness does not count where servers are the business.
        """
        flatness = -np.inf if self.has_servers else self.dedicated_odds
        margin = max(self.hidden_margin, flatness - self.rules.dedicated_mining)
        free = probability(margin) if score is None else score
        bound = max(0.5, free) if verdict is Verdict.MINING else min(0.4999, free)
        return Judgement(
            meter=self.facts.id,
            verdict=verdict,
            score=round(bound, 4),
            mining_w=mining_w,
            since_s=None if since_day is None else since_day * DAY_S,
            reasons=reasons,
        )
