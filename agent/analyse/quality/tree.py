"""Do the meters of a tree agree? Sub-meters cannot see more than the meter that feeds them. Q18.

What a parent sees beyond its sub-meters is its own part of the load and no fault. The reverse is
impossible, so one of them is wrong, or flows around another: the parent is bypassed, has lost a
phase or too small a ratio, a sub-meter counts too much, or it is fed from elsewhere. Where generation
lies below a parent and power flows out through it, its own part may generate too: nothing is said.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from agent.analyse.features.robust import Floats
from agent.analyse.quality.case import Check, Seen, Telling
from agent.analyse.quality.view import LOW, View, verdict
from agent.config import MeterFacts
from agent.records import Quality

EXCESS = Check("excess_below", Quality.GOOD, 3, 3 * 3600, "its sub-meters measure no more than it does")

_CLASS = 0.02  # of each power: a class 1 meter behind class 1 transformers


class Tree:
    """Which meters lie right below which."""

    def __init__(self, meters: Sequence[MeterFacts]) -> None:
        names = [meter.id for meter in meters]
        self._meters = tuple(meters)
        self._below = np.array([[child.parent == name for child in meters] for name in names], dtype=float)
        self._has_parents = bool(self._below.any())
        self._may_export = np.array(exporters(meters))

    def take(self, view: View) -> list[Seen]:
        """Compare each parent with the sum of its sub-meters, over the window."""
        if not self._has_parents:
            return []
        power_w = np.where(view.good, view.power_w, np.nan)
        below_w = self._sum(power_w)
        largest_w = np.nan_to_num(view.largest_w)
        tolerance_w = _CLASS * (np.abs(power_w) + self._sum(np.abs(power_w))) + LOW * (largest_w + self._sum(largest_w))
        may_generate = self._may_export & (power_w < 0)
        known = self._below.any(axis=1) & np.isfinite(below_w) & np.isfinite(power_w) & ~may_generate
        return [Seen(EXCESS, verdict(below_w - power_w > tolerance_w, known), partial(self._tell, power_w, below_w))]

    def _sum(self, values: Floats) -> Floats:
        """Add up what lies right below each meter; unknown where a part is."""
        total: Floats = np.where(self._below > 0, values, 0.0).sum(axis=1)
        return total

    def _tell(self, power_w: Floats, below_w: Floats, row: int) -> Telling:
        excess_w = float(below_w[row] - power_w[row])
        reversed_ = [
            meter.id
            for meter, below, watts in zip(self._meters, self._below[row], power_w, strict=True)
            if below and meter.role == "generation" and meter.source != "battery" and 2 * watts >= excess_w
        ]  # turned round, one of them would explain it; a battery draws when it is charged
        advice = (
            f"{reversed_[0]} generates and reads positive: turn it round, what it generates is negative"
            if reversed_
            else "it is bypassed, lacks a phase or has too small a ratio, or one of them counts too much or is fed "
            "from elsewhere: compare their ratios, and follow the cables"
        )
        seen = (
            f"measures {power_w[row] / 1000:,.2f} kW and its sub-meters {below_w[row] / 1000:,.2f} kW, "
            f"{excess_w / 1000:,.2f} kW more"
        )
        return Telling(seen, advice, {"power_w": float(power_w[row]), "below_w": float(below_w[row])})


def exporters(meters: Sequence[MeterFacts]) -> list[bool]:
    """Tell of each meter whether power may flow back through it: it, or one below it, measures generation."""
    parents = {meter.id: meter.parent for meter in meters}
    found: set[str | None] = set()
    for meter in meters:
        above: str | None = meter.id if meter.role == "generation" else None
        while above is not None and above not in found:
            found.add(above)
            above = parents[above]
    return [meter.id in found for meter in meters]
