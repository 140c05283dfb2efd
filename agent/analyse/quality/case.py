"""From what a check sees in each window to what is told of it: once when it is sure, once when it is over."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np

from agent.analyse.features.robust import Floats
from agent.analyse.quality.view import Flags
from agent.records import Notice, Quality, Window


@dataclass(frozen=True, slots=True)
class Check:
    """What a case of this kind needs to be raised, and what it does to the meter's windows."""

    name: str
    letter: Quality  # of the windows while it is raised; G lets them pass to the judgement
    windows: int  # in a row must show the fault before it is raised, and as many be free of it before it is over
    hold_s: float  # and the fault must have lasted so long
    over: str  # the text when it is over
    unbroken: bool = False  # a window of which nothing can be said ends a suspicion, too


@dataclass(frozen=True, slots=True)
class Telling:
    """What an electrician needs: what was seen, where and with which numbers; what it likely is and what to do."""

    seen: str
    advice: str
    data: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check saw in one window; ``tell`` is asked for a row only when its case is raised."""

    check: Check
    fault: Floats  # (meters,) 1 where it is seen, 0 where all is well, NaN where nothing can be said
    tell: Callable[[int], Telling]


class Case(msgspec.Struct):
    """A fault of one meter that is suspected or raised."""

    since_s: int
    seen: int = 0  # windows in a row
    well: int = 0
    raised: bool = False


class CaseBook:
    """All cases of a gateway: ``cases[check][meter]``."""

    def __init__(self, meters: Sequence[str]) -> None:
        self._meters = tuple(meters)
        self._row = {meter: row for row, meter in enumerate(self._meters)}
        self.cases: dict[str, dict[str, Case]] = {}

    def take(self, window: Window, seen: Seen) -> list[Notice]:
        """Take what a check saw, and give what is to be told of it."""
        cases = self.cases.setdefault(seen.check.name, {})
        faulty = np.flatnonzero(seen.fault == 1).tolist()
        if not (cases or faulty):
            return []
        if seen.check.unbroken:
            self._break_off(cases, np.isnan(seen.fault))
        worse = [self._worse(window, seen, row) for row in faulty]
        well = sorted(row for row in map(self._row.__getitem__, cases) if seen.fault[row] == 0)
        better = [self._better(window, seen.check, cases, self._meters[row]) for row in well]
        return [notice for notice in (*worse, *better) if notice is not None]

    def gated(self, checks: Sequence[Check]) -> Iterator[tuple[int, Quality]]:
        """Give the rows of the meters whose windows a raised case keeps from the judgement, and the letter for it."""
        for check in checks:
            if check.letter is not Quality.GOOD:
                for meter, case in self.cases.get(check.name, {}).items():
                    if case.raised:
                        yield self._row[meter], check.letter

    def _break_off(self, cases: dict[str, Case], unknown: Flags) -> None:
        for meter, case in list(cases.items()):
            if not case.raised and unknown[self._row[meter]]:
                del cases[meter]

    def _worse(self, window: Window, seen: Seen, row: int) -> Notice | None:
        check, meter = seen.check, self._meters[row]
        case = self.cases[check.name].setdefault(meter, Case(window.start_s))
        case.seen, case.well = case.seen + 1, 0
        if case.raised or case.seen < max(check.windows, math.ceil(check.hold_s / window.window_s)):
            return None
        case.raised = True
        telling = seen.tell(row)
        text = f"{meter}: {telling.seen} since {moment(case.since_s)}: {telling.advice}"
        data = {"check": check.name, "state": "raised", "quality": check.letter.value, "since_s": case.since_s}
        return Notice(meter=meter, event="quality", text=text, data=data | dict(telling.data))

    def _better(self, window: Window, check: Check, cases: dict[str, Case], meter: str) -> Notice | None:
        case = cases[meter]
        case.seen, case.well = 0, case.well + 1
        if case.raised and case.well < check.windows:
            return None
        del cases[meter]
        if not case.raised:
            return None
        text = f"{meter}: {check.over} since {moment(window.end_s - case.well * window.window_s)}"
        data = {"check": check.name, "state": "cleared", "quality": check.letter.value, "since_s": case.since_s}
        return Notice(meter=meter, event="quality", text=text, data=data)


def moment(time_s: float) -> str:
    """Give a time as people write it.

    >>> moment(1_769_040_900)
    '2026-01-22 00:15 UTC'
    """
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def joined(values: Sequence[float], unit: str, digits: int = 1) -> str:
    """Give several numbers and their unit as a person lists them.

    >>> joined([41.02, 39.0], "A")
    '41.0 and 39.0 A'
    """
    texts = [f"{value:,.{digits}f}" for value in values]
    return f"{' and '.join(texts)} {unit}"
