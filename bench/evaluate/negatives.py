"""Loads that look like a farm and are none, each by name: what was said of them.

Real ones are replayed as they were measured. A frozen register is a real building's meter that repeats one
value from a random hour on; that fault is simulated. Base stations are not in the data folder.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet

from agent.analyse.detect.evidence import Rules
from agent.analyse.site import Site, without_facts
from bench.evaluate import data
from bench.evaluate.data import Floats, Meter
from bench.evaluate.table import table
from bench.evaluate.trial import Trace, replay

SERVER_DAYS = 10
_RACK_W = 5000.0  # servers are taken by the rack, for single ones stay below the least load that is judged
_FROZEN = 20
_MIN_LOG_S = 600


@dataclass(frozen=True, slots=True)
class Negative:
    """One look-alike and what was said of it."""

    group: str
    name: str
    half: str  # of the split, or "-" where it is in neither
    load_w: Floats  # (days,)
    trace: Trace
    start: int = 0  # the day from which it counts

    @property
    def alarms(self) -> int:
        """How often an alarm was raised that says mining; a change of a declared load says something else."""
        raised = self.trace.told("raised")
        return int((self.trace.verdict[raised[raised >= self.start]] == "mining").sum())

    @property
    def share(self) -> float:
        """The share of its energy that is said to be mining, in points."""
        total = np.nansum(self.load_w[self.start :])
        return float(100 * self.trace.mining_w[self.start :, 1].sum() / total) if total > 0 else 0.0

    def days(self, verdict: str) -> int:
        """Days with this verdict."""
        return int((self.trace.verdict[self.start :] == verdict).sum())


@dataclass(frozen=True, slots=True)
class Lookalikes:
    """Meters that are replayed together."""

    group: str
    names: tuple[str, ...]
    halves: tuple[str, ...]
    first_day: int
    power_w: Floats  # (meters, days, steps a day)
    site: Site
    others: dict[str, Floats]
    starts: tuple[int, ...] = ()  # of what counts, where that is not the first day


def judge(lookalikes: Lookalikes, rules: Rules) -> list[Negative]:
    """Replay look-alikes."""
    each = lookalikes
    traces = replay(each.names, each.first_day, each.power_w, each.site, rules, each.others)
    load_w = np.nanmean(each.power_w, axis=2)
    starts = each.starts or (0,) * len(each.names)
    rows = zip(each.names, each.halves, load_w, traces, starts, strict=True)
    return [Negative(each.group, *row) for row in rows]


def lookalikes(folder: Path, seed: int) -> Iterator[Lookalikes]:
    """Give all of them; the servers, which are long at one second, one by one."""
    meters = data.buildings(folder)
    garages = [meter for meter in meters if meter.usage == "Parking"]
    for site, group in groupby(garages, lambda meter: meter.site):
        yield _of_meters("parking garage", list(group), site)
    yield _of_meters("stuck register", [data.stuck(folder)], "Mouse")
    yield from _frozen([meter for meter in meters if meter.half == "held"], np.random.default_rng((seed, 2)))
    yield from _data_centres(folder)
    first_day, power_w = data.steel_works(folder)
    name = ("steel works, 15 min",)
    yield Lookalikes("steel works", name, ("-",), first_day, power_w[None], without_facts(name), {})
    yield from servers(folder)


def report(negatives: Sequence[Negative]) -> str:
    """Tell what was said of each."""
    rows = []
    for each in negatives:
        verdicts = [str(each.days(verdict)) for verdict in ("mining", "suspect", "flat", "fault", "declared")]
        years = f"{np.isfinite(each.load_w[each.start :]).sum() / 365.25:.2f}"
        rows.append([f"{each.group}: {each.name}", each.half, years, str(each.alarms), *verdicts, f"{each.share:.2f}"])
    head = ["load", "half", "years", "mining alarms", "days mining", "suspect", "flat", "fault", "declared", "share"]
    return table(head, rows)


def summary(negatives: Sequence[Negative]) -> str:
    """Tell how many of each group raised an alarm."""
    rows = []
    for group in dict.fromkeys(each.group for each in negatives):
        some = [each for each in negatives if each.group == group]
        rows.append(
            [group, str(len(some)), str(sum(each.alarms > 0 for each in some)), str(sum(e.alarms for e in some))]
        )
    return table(["look-alike", "meters", "with an alarm", "alarms"], rows)


def _of_meters(group: str, meters: list[Meter], site: str, facts: Site | None = None) -> Lookalikes:
    names = tuple(meter.building for meter in meters)
    power_w = np.stack([meter.hourly_w for meter in meters])
    halves = tuple(meter.half for meter in meters)
    return Lookalikes(group, names, halves, meters[0].first_day, power_w, facts or without_facts(names), {})


def _frozen(meters: list[Meter], rng: np.random.Generator) -> Iterator[Lookalikes]:
    """Freeze the registers of some meters, each from a random hour of the second year on; only what follows counts."""
    chosen = [meters[index] for index in rng.permutation(len(meters))[:_FROZEN]]
    for site, group in groupby(sorted(chosen, key=lambda meter: meter.site), lambda meter: meter.site):
        pairs = [_freeze(meter, rng) for meter in group]
        frozen = _of_meters("frozen register (simulated)", [meter for meter, _ in pairs], site)
        yield replace(frozen, starts=tuple(start for _, start in pairs))


def _freeze(meter: Meter, rng: np.random.Generator) -> tuple[Meter, int]:
    """Give a meter that repeats one hour for ever, and the day on which that begins."""
    series = meter.hourly_w.ravel().copy()
    known = np.flatnonzero(np.isfinite(series[365 * 24 : -60 * 24])) + 365 * 24
    start = int(rng.choice(known))
    series[start:] = series[start]
    return replace(meter, hourly_w=series.reshape(-1, 24)), start // 24


def _data_centres(folder: Path) -> Iterator[Lookalikes]:
    """Give the office with its data centre, undeclared, then as a data centre's site, then declared."""
    ends = ("RSF_total_data_center", "RSF_total_lighting", "RSF_total_plug_loads", "RSF_total_building")
    meters = [meter for meter in data.office(folder) if meter.building in ends]
    facts = without_facts(tuple(meter.building for meter in meters))
    hall = next(meter for meter in meters if meter.building == ends[0])
    declared = tuple(
        replace(meter, declared="data_hall", declared_w=float(np.nanmax(hall.hourly_w)))
        if meter.id == ends[0]
        else meter
        for meter in facts.meters
    )
    for group, site in (
        ("office and its data centre, undeclared", facts),
        ("the same, site declared as a data centre", Site("data_centre", facts.meters)),
        ("the same, hall declared", Site("other", declared)),
    ):
        yield replace(_of_meters(group, meters, "RSF", site), halves=("-",) * len(meters))


def servers(folder: Path) -> Iterator[Lookalikes]:
    """Give racks of the servers of MLPerf at one second; their logs, of an hour or so, are repeated to ten days."""
    logs = parquet.read_table(folder / "mlperf_wallpower_1s.parquet", columns=["run", "W", "V", "A", "PF"])
    systems = np.array(["/".join(run.split("/")[:2]) for run in logs["run"].to_pylist()])
    for system in np.unique(systems):
        part = {name: logs[name].to_numpy().astype(float)[systems == system] for name in ("W", "PF")}
        if len(part["W"]) >= _MIN_LOG_S:
            yield _rack(str(system), part["W"], part["PF"])


def _rack(system: str, watts: Floats, factor: Floats) -> Lookalikes:
    """Add shifted copies of a server's log up to a rack; the power factor is weighted by apparent power."""
    count = max(1, round(_RACK_W / float(np.nanmedian(watts))))
    apparent = watts / np.where(factor > 0, factor, np.nan)
    shifts = [len(watts) * copy // count for copy in range(count)]
    rack_w, rack_va = (sum(np.roll(series, shift) for shift in shifts) for series in (watts, apparent))
    index = np.arange(SERVER_DAYS * 86400) % len(watts)
    shape = (1, SERVER_DAYS, 86400)
    name = (f"{count} x {system}, 1 s",)
    load_w, load_va = np.asarray(rack_w)[index].reshape(shape), np.asarray(rack_va)[index].reshape(shape)
    others = {"power_factor": np.clip(load_w / load_va, 0.0, 1.0)}
    return Lookalikes("rack of servers, undeclared", name, ("-",), 18871, load_w, without_facts(name), others)
