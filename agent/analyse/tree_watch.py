"""What only the tree of meters shows, day by day: loads that moved around a meter, farms spread over several.

Both are told as notices, once each. Neither is a verdict on a meter: who moved a cable or brought
machines is for people to find out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from agent.analyse import splitting
from agent.analyse.detect import hidden
from agent.analyse.detect.evidence import Rules
from agent.analyse.features.rhythm import baseload
from agent.analyse.features.robust import Floats, median
from agent.analyse.history import History
from agent.analyse.meter_day import REACHED
from agent.analyse.moved import Moved, moved
from agent.analyse.site import Site
from agent.analyse.splitting import Rise, Sum
from agent.records import Notice

_SILENT_DAYS = 60  # after a finding: the search for onsets looks back six weeks and would find it again
_LOOKED_AT_DAYS = 240  # what the test for hidden loads looks at: six weeks, and half a year of what came before
_STANDS = 0.4  # of the rise must still be there in the last days
_SAME_DAYS = 3  # a median of seven days turns over on the fourth, or where weekends blur it, two later


class MovedLoad(msgspec.Struct):
    """A load that was seen to move; days are numbers since 1970-01-01."""

    onset_day: int
    watts: float


class WatchState(msgspec.Struct):
    """What must survive a restart: last days' log-odds of each sum, what was told until when, what moved."""

    odds: dict[str, list[float]] = {}
    silent_until: dict[str, int] = {}
    moved: dict[str, MovedLoad] = {}  # by the parent that shows it now


@dataclass(frozen=True, slots=True)
class Days:
    """The meters' own loads, (meters, days, 24), and what belongs to their days."""

    own_w: Floats
    own_var: Callable[[], Floats]  # reactive power, NaN where unknown; asked for when there is a finding
    weekend: NDArray[np.bool_]
    first_day: int

    @property
    def today(self) -> int:
        """Number of the last day."""
        return self.first_day + len(self.weekend) - 1


Find = Callable[[Floats, NDArray[np.bool_]], tuple[Floats, hidden.Step]]


def hidden_test(rules: Rules) -> Find:
    """Give the test for hidden loads as log-odds and step of each row, (rows, days, 24) in."""

    def find(hourly_w: Floats, weekend: NDArray[np.bool_]) -> tuple[Floats, hidden.Step]:
        values, step = hidden.features(hourly_w, weekend)
        odds, _ = rules.hidden.weigh(values)
        return np.where(np.isfinite(values["lift_share"]), odds, -np.inf), step

    return find


class TreeWatch:
    """Watches one site's tree; ``state`` is its whole state."""

    def __init__(self, site: Site, rules: Rules, find: Find | None = None) -> None:
        self._site, self._rules = site, rules
        self._find = find or hidden_test(rules)
        self._sums = splitting.sums(site)
        self.state = WatchState()

    def day(self, history: History, day: int) -> tuple[Notice, ...]:
        """Look at the day with this number, which is over, and give what is to be told."""
        if len(self._site.meters) == 1:
            return ()
        own_w = self._site.remainder(history.hourly_w(day, _LOOKED_AT_DAYS))
        numbers = history.day_numbers(day, _LOOKED_AT_DAYS)
        return self.look(
            Days(
                own_w,
                lambda: self._site.remainder(history.hourly("reactive_power_var", day, _LOOKED_AT_DAYS)),
                (numbers + 3) % 7 >= 5,  # day 0 was a Thursday
                int(numbers[0]),
            )
        )

    def look(self, days: Days) -> tuple[Notice, ...]:
        """Look at the last of these days."""
        return (*self._moves(days), *self._splits(days))

    def moved_w(self, parent: str, onset_day: int) -> float:
        """Give how much of a rise of a parent's own load, about that day, had fallen at a sub-meter; 0 where none."""
        load = self.state.moved.get(parent)
        return load.watts if load is not None and abs(load.onset_day - onset_day) <= _SAME_DAYS else 0.0

    def _moves(self, days: Days) -> Iterator[Notice]:
        for found in moved(self._site, days.own_w, self._rules.least_mining_w):
            child, parent = self._site.names[found.child], self._site.names[found.parent]
            if self._is_news(f"bypass {child}", days.today):
                self.state.moved[parent] = MovedLoad(days.first_day + found.onset, found.watts)
                yield _bypass(child, parent, found)

    def _splits(self, days: Days) -> Iterator[Notice]:
        if not self._sums:
            return
        summed_w = splitting.added(self._sums, days.own_w)
        odds, step = self._find(summed_w, days.weekend)
        base_w = baseload(summed_w)
        for row, one in enumerate(self._sums):
            past = self.state.odds.setdefault(one.name, [])
            past.append(float(np.clip(odds[row], -99.0, 99.0)))
            del past[: -self._rules.hidden_persistence_days]
            onset, height_w = int(step.onset[row]), float(step.height_w[row])
            lasting = len(past) == self._rules.hidden_persistence_days and min(past) >= self._rules.hidden_suspect
            enough = height_w >= 2 * self._rules.least_mining_w
            is_new = step.earlier_w[row] < step.before_w[row] + REACHED * height_w  # not a term after its break
            stands = float(median(base_w[row, -5:])) >= step.before_w[row] + _STANDS * height_w
            if lasting and enough and is_new and stands:
                rise = _rise(one, days, onset)
                if rise.is_spread and self._is_news("splitting", days.today):
                    yield _splitting(one, rise, self._site)

    def _is_news(self, what: str, today: int) -> bool:
        """Tell whether this was not told within the last weeks, and note that it is told now."""
        if today < self.state.silent_until.get(what, 0):
            return False
        self.state.silent_until[what] = today + _SILENT_DAYS
        return True


def _rise(one: Sum, days: Days, onset: int) -> Rise:
    rows = list(one.rows)
    lifts_w = np.array([hidden.lift(days.own_w[row], days.weekend, onset) for row in rows])
    lift_var = hidden.lift(days.own_var()[rows].sum(axis=0), days.weekend, onset)
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
