"""The tables on hidden farms: flatwatt beside two simple detectors, and how good the estimate is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from agent.analyse.detect.evidence import shipped_rules
from bench.evaluate import hidden, metrics
from bench.evaluate.cases import CASES, HARDEST, PLAIN, REMOVED
from bench.evaluate.hidden import Baseline
from bench.evaluate.table import table
from bench.evaluate.trial import Outcome

LONG_DAYS = 365  # of history: the same season a year ago is known


@dataclass(frozen=True, slots=True)
class HiddenResults:
    """The outcomes of the held-out half, and the baselines tuned on the other."""

    outcomes: Sequence[Outcome]
    baselines: Sequence[Baseline]

    @property
    def clean(self) -> list[Outcome]:
        """Give the meters without a farm."""
        return [each for each in self.outcomes if each.case is None]

    def farms(self, case: str) -> list[Outcome]:
        """Give the meters with a farm of this case."""
        return [each for each in self.outcomes if each.case is not None and each.case.name == case]


def detection_table(results: HiddenResults) -> str:
    """How often and how soon each kind of farm is found."""
    rows = []
    for case in CASES:
        farms = results.farms(case.name)
        if farms:
            found = hidden.found(farms, results.clean, hidden.flatwatt, hidden.score)
            figures = (found.within_7, found.within_28, found.within_year, found.auc)
            rows.append([case.name, str(len(farms)), *(f.text() for f in figures), found.days.text(0)])
    head = ["a farm of", "farms", "within 7 days", "within 28 days", "within the year", "AUC", "median days"]
    return table(head, rows)


def baseline_table(results: HiddenResults) -> str:
    """The same cases with the two simple detectors."""
    rows = []
    for case in (*PLAIN, HARDEST):
        farms = results.farms(case.name)
        if not farms:
            continue
        cells = [case.name]
        for detector, scores in _detectors(results):
            found = hidden.found(farms, results.clean, detector, scores)
            cells += [found.within_28.text(), found.auc.text()]
        rows.append(cells)
    names = ["flatwatt", *(baseline.name for baseline in results.baselines)]
    alarms = ["false alarms a year"]
    for detector, _ in _detectors(results):
        alarms += [hidden.false_alarms(results.clean, detector).text(), ""]
    head = ["a farm of", *(f"{name}, {what}" for name in names for what in ("28 days", "AUC"))]
    return table(head, [*rows, alarms])


def estimate_table(results: HiddenResults) -> str:
    """How far the estimate is off once a farm is found."""
    rows = []
    groups = [(case.name, results.farms(case.name)) for case in CASES if case is not REMOVED]
    for name, farms in [*groups, ("all", [each for each in results.outcomes if each.case])]:
        if farms:
            e = hidden.estimated(farms)
            spread = [e.error.text(1), e.bias.text(1), e.coverage.text(), e.onset_days.text(1), e.onset_near.text()]
            rows.append([name, str(e.error.count), *spread])
    return table(
        ["a farm of", "found", "error", "bias", "in the band", "onset error, days", "onset within 3 days"], rows
    )


def clean_table(results: HiddenResults, what: str, group_of: Callable[[Outcome], str]) -> str:
    """What is said of meters without a farm, by site or by use: for whom it is wrong."""
    groups = [("all", results.clean)]
    groups += [(name, list(some)) for name, some in groupby(sorted(results.clean, key=group_of), group_of)]
    rows = []
    for name, clean in groups:
        alarms, share = hidden.false_alarms(clean, hidden.flatwatt), hidden.share_claimed(clean)
        meters = len({each.building for each in clean})
        rows.append([name, str(meters), f"{hidden.clean_years(clean):.0f}", alarms.text(), share.text()])
    return table([what, "meters", "meter-years", "false alarms a year", "share claimed, points"], rows)


def history_table(results: HiddenResults) -> str:
    """How much a long history helps."""
    rows = []
    for name, is_long in (("under a year", False), ("a year and more", True)):
        farms = [each for case in PLAIN for each in results.farms(case.name) if (each.onset >= LONG_DAYS) == is_long]
        cells = [name]
        for case in PLAIN[1:]:
            some = [each for each in farms if each.case is case or (each.case and each.case.name == case.name)]
            after = [hidden.found_after(each, hidden.flatwatt) <= 28 for each in some]
            cells.append(metrics.mean([float(a) for a in after], [each.building for each in some]).text())
        rows.append(cells)
    return table(["history before the farm", *(case.name for case in PLAIN[1:])], rows)


def removal(results: HiddenResults) -> str:
    """How soon an alarm ends when the farm is gone."""
    days = np.array([hidden.closed_after(each) for each in results.farms(REMOVED.name)])
    found = days[~np.isnan(days)]
    if not len(found):
        return "none was found"
    return f"{int((found <= 14).sum())} of {len(found)} alarms ended within two weeks"


def counts(results: HiddenResults) -> dict[str, str]:
    """Give how much data the figures rest on."""
    homes = {each.building for each in results.outcomes}
    cambridge = {home for home in homes if home.startswith("UCam")}
    farms = [each for each in results.outcomes if each.case]
    return {
        "held_buildings": str(len(homes)),
        "held_genome": str(len(homes - cambridge)),
        "held_cambridge": str(len(cambridge)),
        "farm_count": str(len(farms)),
        "small_share": f"{100 * np.mean([_small(each) for each in farms if each.case in PLAIN]):.0f} %",
    }


def _small(farm: Outcome) -> bool:
    """Tell whether a farm draws less than the least rise that the rules name: they say nothing of such."""
    return float(np.max(farm.farm_w)) < shipped_rules().least_rise_w


def _detectors(results: HiddenResults) -> list[tuple[hidden.Detector, hidden.Scores]]:
    return [(hidden.flatwatt, hidden.score), *((each, each.scores) for each in results.baselines)]
