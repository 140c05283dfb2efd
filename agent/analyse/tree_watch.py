"""What only the tree of meters shows, day by day: loads that moved around a meter, farms spread over several.

Both are told as notices, once each. Neither is a verdict on a meter: who moved a cable or brought
machines is for people to find out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np

from agent.analyse import splitting
from agent.analyse.detect.evidence import Rules
from agent.analyse.detect.hidden import HiddenTest, LoadOf
from agent.analyse.detect.onset import BEFORE_DAYS, lift
from agent.analyse.features.robust import Floats, median
from agent.analyse.moved import WEEK_DAYS, Moved, moved
from agent.analyse.site import Site
from agent.analyse.splitting import Rise, Sum
from agent.records import Notice

_SILENT_DAYS = 60  # after a finding: what rose is asked about for weeks
_SURE_DAYS = 14  # the second look at an onset: a holiday that looked like one no longer does
_SAME_DAYS = 3  # a median of seven days turns over on the fourth, or where weekends blur it, two later


class MovedLoad(msgspec.Struct):
    """A load that was seen to move; days are numbers since 1970-01-01."""

    onset_day: int
    watts: float


class WatchState(msgspec.Struct):
    """What must survive a restart: until when what was told is not told again, and what moved."""

    silent_until: dict[str, int] = {}
    moved: dict[str, MovedLoad] = {}  # by the parent that shows it now


@dataclass(frozen=True, slots=True)
class Days:
    """The meters' own loads until the day that is over; each gives the last so many days held, or all."""

    own_w: LoadOf  # (meters, days, 24)
    own_var: LoadOf  # reactive power, NaN where unknown; asked for when there is a finding
    today: int  # number of the last day


class TreeWatch:
    """Watches one site's tree; ``state`` is all that does not follow from the history."""

    def __init__(self, site: Site, rules: Rules) -> None:
        self._site, self._rules = site, rules
        self._tests = [(one, HiddenTest(rules)) for one in splitting.sums(site)]  # apart: sums are no siblings
        self.state = WatchState()

    def look(self, days: Days) -> tuple[Notice, ...]:
        """Look at the day that is over, and give what is to be told."""
        if len(self._site.meters) == 1:
            return ()
        return (*self._moves(days), *self._splits(days))

    def moved_w(self, parent: str, onset_day: int) -> float:
        """Give how much of a rise of a parent's own load, about that day, had fallen at a sub-meter; 0 where none."""
        load = self.state.moved.get(parent)
        return load.watts if load is not None and abs(load.onset_day - onset_day) <= _SAME_DAYS else 0.0

    def _moves(self, days: Days) -> Iterator[Notice]:
        for found in moved(self._site, days.own_w(2 * WEEK_DAYS), self._rules.least_mining_w):
            child, parent = self._site.names[found.child], self._site.names[found.parent]
            if self._is_news(f"bypass {child}", days.today):
                self.state.moved[parent] = MovedLoad(days.today + 1 - found.days_ago, found.watts)
                yield _bypass(child, parent, found)

    def _splits(self, days: Days) -> Iterator[Notice]:
        for one, test in self._tests:
            found = test.day(partial(_summed, one, days.own_w), days.today)
            enough = found.height_w[0] >= 2 * self._rules.least_mining_w
            if enough and found.age[0] >= _SURE_DAYS and found.margin[0] >= self._rules.hidden_suspect:
                rise = _rise(one, days, int(found.age[0]))
                if rise.is_spread and self._is_news("splitting", days.today):
                    yield _splitting(one, rise, self._site)

    def _is_news(self, what: str, today: int) -> bool:
        """Tell whether this was not told within the last weeks, and note that it is told now."""
        if today < self.state.silent_until.get(what, 0):
            return False
        self.state.silent_until[what] = today + _SILENT_DAYS
        return True


def _summed(one: Sum, own_w: LoadOf, days: int | None) -> Floats:
    """Give the sum of some meters' own loads, (1, days, 24); unknown where one is."""
    load_w = own_w(days)
    summed: Floats = np.zeros((1, *load_w.shape[1:]))
    for row in one.rows:  # a copy of all their hours would take longer
        summed += load_w[row]
    return summed


def _rise(one: Sum, days: Days, age: int) -> Rise:
    looked_at = BEFORE_DAYS + age
    own_w, own_var = days.own_w(looked_at)[list(one.rows)], days.own_var(looked_at)[list(one.rows)]
    held = own_w.shape[1]
    weekend = (np.arange(days.today + 1 - held, days.today + 1) + 3) % 7 >= 5  # day 0 was a Thursday
    lifts_w = np.array([lift(member, weekend, held - age) for member in own_w])
    lift_var = lift(own_var.sum(axis=0), weekend, held - age)
    factor = splitting.step_power_factor(float(median(lifts_w.sum(axis=0))), float(median(lift_var)))
    return Rise(lifts_w, factor)


def _bypass(child: str, parent: str, found: Moved) -> Notice:
    kilowatts = found.watts / 1000
    text = (
        f"{child}: {kilowatts:.1f} kW left this meter this week, and {parent}, which feeds it, sees as much more "
        "beside it: the load was connected elsewhere, or is led past the meter: follow its cables"
    )
    return Notice(meter=child, event="bypass", text=text, data={"watts": found.watts, "parent": parent})


def _splitting(one: Sum, rise: Rise, site: Site) -> Notice:
    text = f"{splitting.sentence(one, rise, site)}: one farm spread over them would look so: ask what was installed"
    parts = {site.names[row]: float(part) for row, part in zip(one.rows, rise.parts_w, strict=True)}
    return Notice(meter=one.name, event="splitting", text=text, data={"watts": float(rise.parts_w.sum()), **parts})
