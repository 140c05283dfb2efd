"""Replays a stretch through the daemon's own code and keeps, day by day, what was said of each meter."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.analyse.analyst import Day
from agent.analyse.detect.evidence import Rules
from agent.analyse.recording import Recording
from agent.analyse.replay import replay as daemon
from agent.analyse.site import Site, without_facts
from bench.evaluate import baselines
from bench.evaluate.cases import Case, Stretch, Virtual
from bench.evaluate.data import Floats

DAY_S = 86400
STATES = ("", "raised", "updated", "cleared")


@dataclass(frozen=True, slots=True)
class Trace:
    """What the detector said of one meter; arrays (days,). Powers in W; ``since`` indexes days, -1 is unknown."""

    score: Floats
    verdict: NDArray[np.str_]
    mining_w: Floats  # (days, 3): p10, p50, p90
    since: NDArray[np.int64]
    alarm: NDArray[np.str_]  # of STATES

    def told(self, state: str) -> NDArray[np.intp]:
        """Give the days on which the alarm came into this state."""
        return np.flatnonzero(self.alarm == state)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A virtual meter and what three detectors made of it. Daily arrays (days,); ``onset`` and ``year`` index days."""

    building: str
    site: str
    usage: str
    first_day: int
    year: int
    case: Case | None
    onset: int
    known: NDArray[np.bool_]
    load_w: Floats
    farm_w: Floats
    trace: Trace
    flatness: Floats
    step: Floats

    def row(self) -> dict[str, Any]:
        """Give all of it as one JSON object; lists are by day from ``first_day``, a day since 1970-01-01."""
        return {
            "building": self.building,
            "site": self.site,
            "usage": self.usage,
            "first_day": self.first_day,
            "year": self.year,
            "case": self.case.name if self.case else None,
            "share": self.case.share if self.case else 0.0,
            "onset": self.onset,
            "load_w": _numbers(self.load_w),
            "farm_w": _numbers(self.farm_w),
            "score": _numbers(self.trace.score, 4),
            "verdict": self.trace.verdict.tolist(),
            "mining_w": [_numbers(day) for day in self.trace.mining_w],
            "since": self.trace.since.tolist(),
            "alarm": {int(day): str(self.trace.alarm[day]) for day in np.flatnonzero(self.trace.alarm != "")},
        }


def judge(stretch: Stretch, rules: Rules) -> list[Outcome]:
    """Replay the meters of a stretch together, with no fact but their names."""
    names = tuple(virtual.building for virtual in stretch.virtuals)
    power_w = np.stack([virtual.hourly_w for virtual in stretch.virtuals])
    traces = replay(names, stretch.first_day, power_w, without_facts(names), rules)
    return [_outcome(stretch, virtual, trace) for virtual, trace in zip(stretch.virtuals, traces, strict=True)]


def unjudged(stretch: Stretch) -> list[Outcome]:
    """Give a stretch as the baselines see it, without a replay."""
    return [_outcome(stretch, virtual, _blank(len(virtual.farm_w))) for virtual in stretch.virtuals]


def replay(
    names: tuple[str, ...],
    first_day: int,
    power_w: Floats,
    site: Site,
    rules: Rules,
    others: Mapping[str, Floats] = MappingProxyType({}),
) -> list[Trace]:
    """Replay loads, and ``others`` of the vocabulary's quantities, of shape (meters, days, steps a day)."""
    meters, days, steps = power_w.shape
    values = {name: series.reshape(meters, -1) for name, series in {"active_power_w": power_w, **others}.items()}
    recording = Recording(names, first_day * DAY_S, DAY_S // steps, values)
    traces = [_blank(days) for _ in names]
    for day in daemon(recording, site, rules):
        _note(traces, names, day, first_day)
    return traces


def _blank(days: int) -> Trace:
    return Trace(
        score=np.zeros(days),
        verdict=np.full(days, "", dtype="U12"),
        mining_w=np.zeros((days, 3)),
        since=np.full(days, -1),
        alarm=np.full(days, "", dtype="U8"),
    )


def _note(traces: list[Trace], names: tuple[str, ...], day: Day, first_day: int) -> None:
    at = day.number - first_day
    for trace, judgement in zip(traces, day.judgements, strict=True):
        trace.score[at] = judgement.score
        trace.verdict[at] = judgement.verdict.value
        trace.mining_w[at] = judgement.mining_w
        trace.since[at] = -1 if judgement.since_s is None else judgement.since_s // DAY_S - first_day
    for change in day.changes:
        traces[names.index(change.judgement.meter)].alarm[at] = change.state


def _outcome(stretch: Stretch, virtual: Virtual, trace: Trace) -> Outcome:
    hours = np.isfinite(virtual.hourly_w).sum(axis=1)
    total_w = np.nansum(virtual.hourly_w, axis=1)
    return Outcome(
        building=virtual.building,
        site=stretch.site,
        usage=virtual.usage,
        first_day=stretch.first_day,
        year=stretch.year,
        case=virtual.case,
        onset=virtual.onset,
        known=hours >= 12,
        load_w=np.where(hours > 0, total_w / np.maximum(hours, 1), np.nan),
        farm_w=virtual.farm_w,
        trace=trace,
        flatness=baselines.flatness(virtual.hourly_w),
        step=baselines.step(virtual.hourly_w),
    )


def _numbers(values: Floats, digits: int = 1) -> list[float | None]:
    """Give floats for JSON, which knows no NaN."""
    return [round(float(value), digits) if np.isfinite(value) else None for value in values]
