"""One meter on one day, with the evidence on it, and what is kept of a meter from day to day."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np

from agent.analyse.detect.estimate import Estimate
from agent.analyse.detect.evidence import Rules, probability
from agent.analyse.features.robust import Floats, mean, median
from agent.analyse.history import DAY_S
from agent.config import MeterFacts
from agent.records import Evidence, Judgement, Verdict

NOTHING: Estimate = (0.0, 0.0, 0.0)
_CLOSED_BELOW = 0.4  # of the step's height: the farm is off when the baseload has come down this far
REACHED = 0.8  # of the step's height: what came so near before came by itself
_DEDICATED_DAYS = 3  # flatness looks back two weeks, so three days in a row suffice


class Case(msgspec.Struct):
    """A hidden load that was found and has not gone. Days are numbers since 1970-01-01, powers W."""

    onset_day: int
    before_w: float
    height_w: float
    half_width_w: float
    log_odds: float
    reasons: tuple[Evidence, ...]


class Memory(msgspec.Struct):
    """What is kept of one meter from day to day: the last days' log-odds and the open case."""

    hidden: list[float] = []
    dedicated: list[float] = []
    case: Case | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterDay:
    """One meter on one day, and the evidence. Powers are of its own load: what no sub-meter sees."""

    facts: MeterFacts
    day: int
    rules: Rules
    has_servers: bool
    is_parent: bool
    hourly_w: Floats  # (days, 24), the last row is the day that is judged
    base_w: Floats  # (days,)
    total_w: float  # mean of the day, sub-meters included
    total_hours: int  # of the day that were measured well, whatever is known of the sub-meters
    hidden_odds: float  # -inf where there is nothing to weigh
    onset_day: int
    height_w: float
    before_w: float
    spread_w: float
    onset_exchanged: bool  # about then, this meter or one below it became another, or its settings did
    moved_w: float  # that a sub-meter lost then, and this meter's own load gained
    earlier_w: float  # the highest week of the baseload in the hundred days that ended a week before the onset
    dedicated_odds: float
    explain_hidden: Callable[[], tuple[Evidence, ...]]
    explain_dedicated: Callable[[], tuple[Evidence, ...]]
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
    def known_hours(self) -> int:
        """Hours of the day in which the meter's own load is known."""
        return int(np.isfinite(self.hourly_w[-1]).sum())

    @property
    def is_farm(self) -> bool:
        """Whether the flatness and the power factor of the last days together say: a farm as a whole."""
        strong = [odds >= self.rules.dedicated_mining for odds in self.memory.dedicated[-_DEDICATED_DAYS:]]
        return len(strong) == _DEDICATED_DAYS and all(strong) and not self.has_servers

    @property
    def has_risen(self) -> bool:
        """Whether the baseload rose by a machine at least, and has not come down again."""
        return self.height_w >= self.rules.least_mining_w and self.stands(self.before_w, self.height_w)

    @property
    def has_stood_so_high(self) -> bool:
        """Whether the baseload had reached the step's height before: then it returns, as a term does after a break."""
        return self.earlier_w >= self.before_w + REACHED * self.height_w

    def stands(self, before_w: float, height_w: float) -> bool:
        """Whether the baseload of the last days still holds a step; unknown days do not end it."""
        return not median(self.base_w[-5:]) < before_w + _CLOSED_BELOW * height_w

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
        margin = max(self.hidden_odds - self.rules.hidden_mining, flatness - self.rules.dedicated_mining)
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
