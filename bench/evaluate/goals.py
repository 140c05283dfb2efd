"""The goals that were set before the work, beside what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.evaluate import hidden, metrics
from bench.evaluate.cases import HARDEST, PLAIN
from bench.evaluate.dedicated import Feeder
from bench.evaluate.hidden_report import HiddenResults
from bench.evaluate.metrics import Figure
from bench.evaluate.negatives import Negative
from bench.evaluate.table import table

GUARDED = ("the same, hall declared", "stuck register", "frozen register (simulated)", "parking garage")


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal: the figure must lie from ``low`` to ``high``."""

    name: str
    text: str
    low: float
    high: float
    measured: Figure
    digits: int = 2

    def row(self) -> list[str]:
        """Give the line of the table."""
        met = "yes" if self.low <= self.measured.value <= self.high else "**no**"
        return [self.name, self.text, self.measured.text(self.digits), met]


def report(results: HiddenResults, feeders: Sequence[Feeder], negatives: Sequence[Negative]) -> str:
    """Tell for each goal what was measured and whether that meets it."""
    goals = [*_recall(results), *_ranking(results), *_feeders(feeders), *_estimate(results)]
    alarms = [float(each.alarms) for each in negatives if each.group in GUARDED]
    names = [each.name for each in negatives if each.group in GUARDED]
    total = metrics.proportion(alarms, [1 / len(alarms)] * len(alarms), names)
    goals.append(Goal("mining alarms on declared data halls, stuck meters and garages", "0", 0, 0, total, 0))
    return table(["goal", "set", "measured", "met"], [goal.row() for goal in goals])


def _recall(results: HiddenResults) -> list[Goal]:
    rate = hidden.false_alarms(results.clean, hidden.flatwatt)
    goals = [Goal("false alarms per clean meter-year", "≤ 0.10", 0.0, 0.10, rate)]
    wanted = [(case.name, least) for case, least in zip(PLAIN[1:], (0.40, 0.80, 0.95, 0.99), strict=True)]
    for name, least in (*wanted, (HARDEST.name, 0.85)):
        found = hidden.found(results.farms(name), results.clean, hidden.flatwatt, hidden.score)
        goals.append(Goal(f"a farm of {name} found within 28 days", f"{least:.2f}", least, 1.0, found.within_28))
    return goals


def _ranking(results: HiddenResults) -> list[Goal]:
    goals = []
    for case, least in zip(PLAIN[1:4], (0.72, 0.90, 0.97), strict=True):
        found = hidden.found(results.farms(case.name), results.clean, hidden.flatwatt, hidden.score)
        goals.append(Goal(f"AUC of the year's highest score, {case.name}", f"{least:.2f}", least, 1.0, found.auc))
    return goals


def _feeders(feeders: Sequence[Feeder]) -> list[Goal]:
    goals = []
    for kind, days, least in (("clean", 7, 0.99), ("rough, curtailed", 14, 0.95)):
        for with_factor in (False, True):
            some = [each for each in feeders if each.kind == kind and each.with_factor is with_factor]
            figure = metrics.mean([each.within(days) for each in some], [each.name for each in some])
            knowing = "with a power factor" if with_factor else "load only"
            goals.append(
                Goal(f"dedicated feeder, {kind}, within {days} days, {knowing}", f"{least}", least, 1.0, figure)
            )
    return goals


def _estimate(results: HiddenResults) -> list[Goal]:
    all_found = hidden.estimated([each for each in results.outcomes if each.case])
    claimed = hidden.share_claimed(results.clean)
    return [
        Goal("share error once found, points of the total, hourly", "3.0", 0.0, 3.0, all_found.error, 1),
        Goal("share claimed on clean meters, points", "0.2", 0.0, 0.2, claimed),
        Goal("coverage of the 80 % band", "0.75–0.87", 0.75, 0.87, all_found.coverage),
    ]
