"""The table of what the 1-second samples find, from the simulator of ``bench/evaluate/seconds.py``.

``python -m bench.evaluate.seconds`` has longer runs, coarser polls, looser reactive power and real servers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.analyse.detect.evidence import Rules
from bench.evaluate.seconds import CLEAN, CLEAN_W, MACHINE_W, SHARE, SITES, SIZES, Meter, found_on
from bench.evaluate.table import table
from firmware_sim.loads import KINDS

_SEEDS = 10  # meters of each kind
_PERIOD_S = 1.0


@dataclass(frozen=True, slots=True)
class Week:
    """Ten simulated meters of one kind for a week; ``machines`` hide in each, or none."""

    site: str
    machines: int
    meters: tuple[Meter, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """How many of them were taken for mining."""

    site: str
    machines: int
    found: int
    meters: int


def weeks() -> Iterator[Week]:
    """Give the sites with farms of a tenth of their mean, then the loads without one."""
    for site, loads in SITES.items():
        for size in SIZES:
            hidden = [*loads(size * MACHINE_W / SHARE), KINDS["miner_farm"](machines=size)]  # type: ignore[call-arg]
            yield Week(site, size, tuple(Meter(hidden, seed, 0.0) for seed in range(_SEEDS)))
    for site, loads in CLEAN.items():
        clean = [Meter(loads(CLEAN_W[seed % len(CLEAN_W)]), 1000 + seed, 0.0) for seed in range(_SEEDS)]
        yield Week(site, 0, tuple(clean))


def judge(week: Week, rules: Rules) -> Told:
    """Look at the seconds of a week; the machines' rules are shipped beside ``rules``."""
    days, _ = found_on(week.meters, _PERIOD_S)
    return Told(week.site, week.machines, sum(day > 0 for day in days), len(days))


def report(told: Sequence[Told]) -> str:
    """Tell by site and number of machines how many were found within a week; without machines, falsely."""
    sizes = (0, *SIZES)
    cells = {(each.site, each.machines): f"{each.found} of {each.meters}" for each in told}
    rows = [[site, *(cells.get((site, size), "") for size in sizes)] for site in CLEAN]
    return table(["simulated site", "no farm", *(f"{size} machines" for size in SIZES)], rows)
