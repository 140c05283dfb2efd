"""Measure how well farms that are spread over several meters are found, and loads that are led past a meter.

    python -m bench.tree_watch DATA_FOLDER

Groups of four real buildings of one site, scaled to the same mean, stand for the meters of a tree;
the farms and the moves are simulated. Every group is watched for a year without anything, then with
each of them from a random day on. The seed is printed.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from agent.analyse.detect.evidence import shipped_rules
from agent.analyse.features.robust import Floats
from agent.analyse.site import Site, without_facts
from agent.analyse.tree_watch import Days, TreeWatch
from agent.config import MeterFacts
from bench.evaluate.data import Meter, buildings

SEED = 5
MEAN_W = 20_000.0
GROUPS = 6  # of a site
YEAR = (365, 730)  # days of a record that are watched; the year before is history
SHARES = (0.05, 0.10, 0.15, 0.25, 0.40)
MOVED = (0.2, 0.3, 0.5, 1.0)
FLAT = without_facts(("a", "b", "c", "d"))


def tree() -> Site:
    """Give a main meter's own load and three sub-meters."""
    facts = {meter.id: meter for meter in FLAT.meters}
    return Site("other", (facts["a"], *(_below(facts[name]) for name in ("b", "c", "d"))))


def _below(meter: MeterFacts) -> MeterFacts:
    return MeterFacts(**{name: getattr(meter, name) for name in meter.__slots__} | {"parent": "a"})


def groups(meters: list[Meter], chance: np.random.Generator) -> Iterator[tuple[int, Floats]]:
    """Give the first day of each group and its loads, (4, days, 24)."""
    sites: dict[tuple[str, int], list[Meter]] = {}
    for meter in meters:
        if len(meter.hourly_w) >= YEAR[1]:
            sites.setdefault((meter.site, meter.first_day), []).append(meter)
    for (_, first_day), members in sites.items():
        order = chance.permutation(len(members))
        for number in range(min(GROUPS, len(members) // 4)):
            loads = np.stack([members[row].hourly_w[: YEAR[1]] for row in order[4 * number : 4 * number + 4]])
            yield first_day, loads * (MEAN_W / np.nanmean(loads, axis=(1, 2), keepdims=True))


def notices(site: Site, first_day: int, loads_w: Floats, first: int, last: int) -> list[tuple[int, str]]:
    """Give what is told on the days from ``first`` to before ``last``, indices of days."""
    watch, unknown = TreeWatch(site, shipped_rules()), np.full(loads_w.shape, np.nan)
    told = []
    for day in range(first, last):
        seen = slice(max(0, day - 399), day + 1)
        days = Days(partial(_last, loads_w[:, seen]), partial(_last, unknown[:, seen]), first_day + day)
        told += [(day, notice.event) for notice in watch.look(days)]
    return told


def _last(hourly_w: Floats, days: int | None) -> Floats:
    return hourly_w if days is None else hourly_w[:, -days:]


@dataclass(frozen=True)
class Case:
    """Something that begins on a day, and the event that should tell it within so many days."""

    name: str
    event: str
    site: Site
    loads_w: Floats
    days: int


def cases(loads_w: Floats, onset: int, chance: np.random.Generator) -> Iterator[Case]:
    """Give farms on all four meters, and loads that leave a sub-meter for its parent's own part."""
    for share in SHARES:
        farms = loads_w.copy()
        farms[:, onset:] += share * MEAN_W * (1 + 0.01 * chance.standard_normal(loads_w[:, onset:].shape))
        yield Case(f"splitting, {share:.0%} of each of four", "splitting", FLAT, farms, 28)
    for share in MOVED:
        moved = loads_w.copy()
        moved[0, onset:] += share * loads_w[1, onset:]
        moved[1, onset:] -= share * loads_w[1, onset:]
        yield Case(f"bypass, {share:.0%} of a sub-meter", "bypass", tree(), moved, 14)


def main(data: Path) -> None:
    """Print recalls and notices without cause."""
    chance = np.random.default_rng(SEED)
    found: dict[str, list[bool]] = {}
    without_cause: list[str] = []
    for first_day, loads_w in groups(buildings(data), chance):
        without_cause += [event for _, event in notices(tree(), first_day, loads_w, *YEAR)]
        onset = int(chance.integers(YEAR[0] + 15, YEAR[1] - 50))
        for case in cases(loads_w, onset, chance):
            told = notices(case.site, first_day, case.loads_w, onset - 10, onset + case.days)
            hit = any(event == case.event and day >= onset for day, event in told)
            found.setdefault(case.name, []).append(hit)
    years = len(next(iter(found.values())))
    print(f"seed {SEED}, {years} groups, a year each")
    for name, hits in found.items():
        print(f"{name}: found {np.mean(hits):.2f}")
    for event in ("splitting", "bypass"):
        print(f"{event} without cause: {without_cause.count(event) / years:.2f} a year")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
