"""The second wing in one class: takes windows, gives what they mean. The daemon and ``replay`` both use it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from agent.analyse.alarm import Alarm, AlarmBook, Change
from agent.analyse.detect.evidence import Rules
from agent.analyse.features.robust import Floats
from agent.analyse.history import DAY_S, History
from agent.analyse.judge import Judge
from agent.analyse.machines.machines import Machines
from agent.analyse.meter_day import Memory
from agent.analyse.site import Site
from agent.analyse.tree_watch import WatchState
from agent.analyse.window import window_features
from agent.records import Judgement, Notice, Window

logger = logging.getLogger(__name__)

_MONTH_DAYS = 31  # no outage of a gateway that somebody looks after lasts longer


@dataclass(frozen=True, slots=True)
class Day:
    """A day that is over. ``judgements`` and ``hourly_w`` (meters, 24) are in the order of the site's meters.

    ``notices`` are what only the tree of meters shows; that of the whole site has no meter.
    """

    number: int
    hourly_w: Floats
    judgements: tuple[Judgement, ...]
    changes: tuple[Change, ...]
    notices: tuple[Notice, ...] = ()

    @property
    def end_s(self) -> int:
        """The first second after the day."""
        return (self.number + 1) * DAY_S


@dataclass(frozen=True, slots=True)
class Findings:
    """What one window led to."""

    window: Window
    features: Mapping[str, Floats]
    days: tuple[Day, ...]


class _State(msgspec.Struct):
    judged_day: int
    memory: dict[str, Memory]
    last: dict[str, tuple[Judgement, float]]
    alarms: dict[str, Alarm]
    watch: WatchState = msgspec.field(default_factory=WatchState)


@dataclass(slots=True)
class _Again:
    """A judge that learns the past anew, day by day between two polls, and then takes the other's place."""

    judge: Judge
    next_day: int
    through_day: int


class Analyst:
    """Window by window: features, history, judgement, alarms.

    ``history_file`` None keeps the history in memory only. ``state`` and ``machines`` are what
    :attr:`state` and :attr:`machines` gave before a restart; without the first the judgement is
    rebuilt from the history, and the alarms of that, whose ids are the old ones, come with the first
    window; without the second the week's evidence of the seconds gathers anew.
    ``on_damage`` is told where the history was damaged. Raises :class:`FlatwattError` where an operator must act.
    """

    def __init__(
        self,
        gateway: str,
        site: Site,
        rules: Rules,
        history_file: Path | None = None,
        state: bytes = b"",
        machines: bytes = b"",
        on_damage: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._history = History(history_file, site.names, on_damage)
        self._site, self._rules = site, rules
        self._judge = Judge(site, rules)
        self._machines = Machines(site.names, machines)
        self._alarms = AlarmBook(gateway)
        self._judged_day = -1
        self._again: _Again | None = None
        self._untold: list[Day] = []
        self._leapt_day: int | None = None  # the first day after a leap that is not believed yet
        kept = _decode(state) if state else None
        if kept is not None:
            self._restore(kept)
        else:
            self._history.read_all()
            rebuilt = self._days_through(self._history.first_day + self._history.days - 2)  # the last day is not over
            self._untold = [day for day in rebuilt if day.changes]

    def take(self, window: Window) -> Findings:
        """Take the next window of all meters."""
        features = window_features(window)
        self._machines.take(window)
        days = self._remember(window, features) if self._is_credible(window.start_s // DAY_S) else []
        untold, self._untold = self._untold, []
        return Findings(window, features, (*untold, *days))

    def carry(self, window: Window) -> Findings:
        """Take a window of a time that was judged already: nothing is concluded from it."""
        return Findings(window, window_features(window), ())

    @property
    def is_behind(self) -> bool:
        """Whether days wait to be judged again; until then the last judgement is carried on."""
        return self._again is not None or self._history.is_reading

    def judge_again(self) -> None:
        """Judge one more of the days that are judged again, from the history alone; nothing is told of it.

        Where the history must first be read from disk, read a part of that.
        """
        again = self._again
        if self._history.is_reading or again is None:
            self._history.read_on()
            return
        again.next_day = max(again.next_day, self._history.first_day)
        if again.next_day <= again.through_day:
            again.judge.day(self._history, again.next_day)
            again.next_day += 1
        if again.next_day > again.through_day:
            self._judge, self._judged_day, self._again = again.judge, again.through_day, None

    def catch_up(self) -> None:
        """Judge all days that wait."""
        while self.is_behind:
            self.judge_again()

    def provisional(self, findings: Findings) -> tuple[Judgement, ...]:
        """Judge the window taken last, meter by meter: the last day's judgements, carried into it."""
        return self._judge.window(findings.features["active_power_w"], findings.window.quality)

    @property
    def state(self) -> bytes:
        """What must survive a restart, besides the history file: it changes once a day."""
        judge = self._judge
        return msgspec.msgpack.encode(
            _State(self._judged_day, judge.memory, judge.last, self._alarms.open, judge.watch.state)
        )

    @property
    def machines(self) -> bytes:
        """What the seconds told: large, changes with each window, and worth an hour's loss."""
        return self._machines.state

    def close(self) -> None:
        """Close the history."""
        self._history.close()

    def _is_credible(self, day: int) -> bool:
        """Tell whether a window of this day is remembered: a leap of over a month must first last into its second day.

        A clock may be years ahead, or start in 1970, until it finds its time server; such windows
        carry the last judgement on and leave history and judgement alone.
        """
        last_day = self._history.first_day + self._history.days - 1
        if not self._history.days or abs(day - last_day) <= _MONTH_DAYS:
            self._leapt_day = None
            return True
        if self._leapt_day is None or not 0 <= day - self._leapt_day <= _MONTH_DAYS:
            self._leapt_day = day
            logger.warning("the clock leapt more than %d days; nothing is concluded before the next day", _MONTH_DAYS)
        return day > self._leapt_day

    def _remember(self, window: Window, features: Mapping[str, Floats]) -> list[Day]:
        """Take the window into the history and give the days that are over.

        A window of a judged day means that the clock was ahead, and one of a month later that it was
        behind, or that we were away: the judge forgets what came of that, and judges again what the history
        has. Of the time since, the last month's days are judged one by one.
        """
        yesterday = window.start_s // DAY_S - 1
        self._history.add(window, features)
        known_day = self._judged_day if self._again is None else self._again.through_day
        if not yesterday - _MONTH_DAYS <= known_day <= yesterday:
            self._begin_again(yesterday if known_day > yesterday else yesterday - _MONTH_DAYS)
        return [] if self.is_behind else self._days_through(window.end_s // DAY_S - 1)

    def _begin_again(self, through_day: int) -> None:
        """Have the days of the history up to this one judged again; at once where there are none."""
        again = _Again(Judge(self._site, self._rules), self._history.first_day, through_day)
        if again.next_day <= through_day:
            self._again = again
        else:
            self._judge, self._judged_day, self._again = again.judge, through_day, None

    def _days_through(self, day: int) -> list[Day]:
        first = max(self._judged_day + 1, self._history.first_day)
        return [self._day(number) for number in range(first, day + 1)]

    def _day(self, number: int) -> Day:
        judgements = self._judge.day(self._history, number, self._machines.signs(number))
        self._judged_day = number
        changes = self._alarms.day(judgements, (number + 1) * DAY_S)
        hourly_w = np.array(self._history.hourly_w(number, 1)[:, -1])
        return Day(number, hourly_w, judgements, tuple(changes), self._judge.notices)

    def _restore(self, state: _State) -> None:
        """Take up the state of meters that are still there; new meters begin anew."""
        known = self._judge.memory
        self._judged_day = state.judged_day
        self._judge.memory = {meter: state.memory.get(meter, fresh) for meter, fresh in known.items()}
        self._judge.last = {meter: last for meter, last in state.last.items() if meter in known}
        self._judge.watch.state = state.watch
        self._alarms.open = {meter: alarm for meter, alarm in state.alarms.items() if meter in known}


def _decode(state: bytes) -> _State | None:
    """Read a state; None where it is none, perhaps another version's: a gateway must go on measuring."""
    try:
        return msgspec.msgpack.decode(state, type=_State)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        logger.warning("the judgement's state cannot be read (%s); it is rebuilt from the history", error)
        return None
