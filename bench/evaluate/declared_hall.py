"""Farms brought into a declared data hall: the change that nobody declared is told, and nothing else is.

The hall is the data centre of NREL's office, the only real one in the data folder. It is replayed in
copies, one for each farm, all declared as data halls; a declared load is judged by itself.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from agent.analyse.detect.evidence import Rules
from agent.analyse.site import Site, without_facts
from bench.evaluate.cases import PLAIN
from bench.evaluate.data import Floats, Meter, office
from bench.evaluate.farms import CLEAN, MACHINE_W, farm
from bench.evaluate.table import table
from bench.evaluate.trial import replay

HALL = "RSF_total_data_center"
_SHARES = (0.0, *(case.share for case in PLAIN[1:]))
_ONSETS = (120, 180, 240)
_SOON = 28
_LIMIT = 1.1  # of the hall's highest hour, where a power was declared: a round number above what is there


@dataclass(frozen=True, slots=True)
class Copy:
    """The hall with a farm of ``share`` from day ``onset`` on, and the days on which an alarm was raised."""

    share: float
    onset: int
    has_limit: bool
    raised: tuple[int, ...]


def judge(folder: Path, rules: Rules) -> list[Copy]:
    """Replay the hall with and without farms, with and without a declared power."""
    hall = next(meter for meter in office(folder) if meter.building == HALL)
    rng = np.random.default_rng(5)
    copies = [Copy(share, onset, limit, ()) for limit in (False, True) for share in _SHARES for onset in _ONSETS]
    names = tuple(f"hall {number}" for number in range(len(copies)))
    limit_w = _LIMIT * float(np.nanmax(hall.hourly_w))
    facts = zip(without_facts(names).meters, copies, strict=True)
    declared = (replace(f, declared="data_hall", declared_w=limit_w if copy.has_limit else None) for f, copy in facts)
    power_w = np.stack([hall.hourly_w + _farm(hall, copy, rng) for copy in copies])
    traces = replay(names, hall.first_day, power_w, Site("data_centre", tuple(declared)), rules)
    raised = (tuple(map(int, trace.told("raised"))) for trace in traces)
    return [replace(copy, raised=days) for copy, days in zip(copies, raised, strict=True)]


def _farm(hall: Meter, copy: Copy, rng: np.random.Generator) -> Floats:
    watts = copy.share * float(np.nanmean(hall.hourly_w[: copy.onset]))
    added = np.zeros(hall.hourly_w.shape)
    added[copy.onset :] = watts * farm(rng, CLEAN, hall.weekend[copy.onset :], machines=max(1.0, watts / MACHINE_W))
    return added


def report(copies: list[Copy]) -> str:
    """Tell how many changes were told in time."""
    rows = []
    for has_limit, what in ((False, "no power declared"), (True, "its highest hour and a tenth declared")):
        some = [copy for copy in copies if copy.has_limit is has_limit]
        rows.append([what, *(_told([copy for copy in some if copy.share == share]) for share in _SHARES)])
    return table(["declared hall", "no farm", *(case.name for case in PLAIN[1:])], rows)


def _told(copies: list[Copy]) -> str:
    """Count those told within four weeks of the farm; without a farm, those told at any time."""
    hits = [any(not copy.share or 0 <= day - copy.onset < _SOON for day in copy.raised) for copy in copies]
    return f"{sum(hits)} of {len(hits)}"
