"""One farm, spread over several meters, too little on each to be seen: the test runs on their sums.

The meters' own loads are added up, below each parent and over the site, and the test for hidden
loads looks at each sum as if it were a meter: independent noise averages out, the farm's parts add
up. A term or a heating season also starts everywhere on the same days, so a sum must show more than
a step: it rises by the same at all hours of the week, several meters carry it in parts of their own,
no meter most of it, and where reactive power is known, what came has the power factor of computers.
Even then it is told as an observation, never as mining.
"""

from dataclasses import dataclass

import numpy as np

from agent.analyse.features.robust import Floats, median, quantile
from agent.analyse.site import Site

_LEAST_MEMBERS = 3  # that carry half of an equal part; where there are only two, both
_LEAST_EVEN = 0.5  # lowest tenth of the week's hours over their median: a term lifts days more than nights
_LARGEST_PART = 0.7  # of the rise on one meter: more is a farm behind that meter, which is judged there
_MOTORS = 0.90  # power factor below which what came is no power supply


@dataclass(frozen=True, slots=True)
class Sum:
    """Meters whose own loads are judged together."""

    name: str  # of the parent, or "" for all of the site
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rise:
    """What a common onset did to each hour of the week: (members, 48) of workday and weekend, W."""

    lifts_w: Floats
    power_factor: float  # of the step of the sum; NaN where unknown

    @property
    def parts_w(self) -> Floats:
        """What each member carries: the median of its hours."""
        return median(self.lifts_w)

    @property
    def is_spread(self) -> bool:
        """Whether several members carry it, evenly over the week."""
        pooled_w, parts_w = self.lifts_w.sum(axis=0), np.maximum(0.0, np.nan_to_num(self.parts_w))
        middle_w, carried_w = float(median(pooled_w)), float(parts_w.sum())
        if not middle_w > 0 or not carried_w > 0:
            return False
        even = float(quantile(pooled_w, 0.1)) >= _LEAST_EVEN * middle_w
        carriers = int((parts_w >= 0.5 * middle_w / len(parts_w)).sum())
        many = carriers >= min(_LEAST_MEMBERS, len(parts_w)) and float(parts_w.max()) <= _LARGEST_PART * carried_w
        return even and many and not self.power_factor < _MOTORS


def sums(site: Site) -> tuple[Sum, ...]:
    """Give the sets of meters that are judged together: the sub-meters of each parent, and all of the site.

    Declared loads and generation are left out. Where both sets are the same, it stands once.
    """
    loads = [row for row, meter in enumerate(site.meters) if meter.role == "load" and meter.declared is None]
    below: dict[str, list[int]] = {"": loads}
    for row in loads:
        parent = site.meters[row].parent
        if parent is not None:
            below.setdefault(parent, []).append(row)
    found = {tuple(rows): name for name, rows in below.items() if len(rows) > 1}
    return tuple(Sum(name, rows) for rows, name in found.items())


def step_power_factor(lift_w: float, lift_var: float) -> float:
    """Give the power factor of what came with a step, from the rises of active and reactive power.

    >>> round(step_power_factor(3000.0, 600.0), 3)
    0.981
    """
    apparent_va = float(np.hypot(lift_w, lift_var))
    return abs(lift_w) / apparent_va if apparent_va > 0 else float("nan")


def sentence(one: Sum, rise: Rise, site: Site) -> str:
    """Give what is told of a sum, for people."""
    parts_w = sorted(zip(rise.parts_w.tolist(), one.rows, strict=True), reverse=True)
    listed = ", ".join(f"{site.names[row]} {part / 1000:.1f} kW" for part, row in parts_w if part > 0)
    where = f"the meters below {one.name}" if one.name else "the site's meters"
    return f"{where} rose together by {float(rise.parts_w.sum()) / 1000:.1f} kW, day and night alike ({listed})"
