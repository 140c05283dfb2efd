"""Evaluate the judgement on real loads with simulated farms, and write ``docs/detection.md``.

    python -m bench.evaluate DATA                  everything, on the held-out half; writes the page
    python -m bench.evaluate                       the page again with the last figures, after its words changed
    python -m bench.evaluate DATA --short          a few buildings in under a minute; writes nothing
    python -m bench.evaluate DATA --hidden-only [--half train|held] [--rounds N] [--json OUT]
                                                   hidden farms only, and one line of JSON for each virtual
                                                   meter (see ``Outcome.row``): for whoever works on the detector

The judgement is the shipped one, replayed causally and blind by the daemon's own code. Nothing is
fitted here but the thresholds of the two baselines, on the training half.
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from agent.analyse.detect.evidence import shipped_rules
from bench.evaluate import (
    declared_hall,
    dedicated,
    goals,
    hidden,
    hidden_report,
    negatives,
    page,
    seconds_table,
    steel,
    trial,
)
from bench.evaluate.cases import CASES, HARDEST, PLAIN, Case, Stretch, stretches
from bench.evaluate.data import Half, Meter, buildings, missing
from bench.evaluate.hidden_report import HiddenResults

SEED = 4
_VARIANT_SHARE = 4  # every fourth meter gets each of the variants, every meter each plain case
_LEAST_METERS = 3  # of a site in a half, for a third of them to have a farm
_DEDICATED_ROUNDS = 3  # of eight feeders of each kind
_TRAINING_ROUNDS = 6  # of clean stretches, to set the baselines' thresholds
_SHORT_SITE = "Bear"  # the smallest

Task = TypeVar("Task")
Result = TypeVar("Result")


def main() -> None:
    """Evaluate, print, and write the page."""
    options = _options()
    if options.data is None:
        page.write()
        return
    warnings.simplefilter("ignore", RuntimeWarning)  # empty slices of gappy recordings
    print(f"python -m bench.evaluate, seed {SEED}, half: {options.half}")
    meters = buildings(options.data)
    if options.short:
        meters = [meter for meter in meters if meter.site == _SHORT_SITE]
    with ProcessPoolExecutor(options.jobs, initializer=_quiet) as pool:
        run = Runner(pool)
        results = _hidden(meters, options, run)
        figures = _hidden_figures(results)
        if not (options.short or options.hidden_only):
            figures |= _other_figures(options.data, meters, results, run)
    for name, text in figures.items():
        print(f"\n{name}\n\n{text}")
    if "goals" in figures:
        page.keep(figures)
        page.write()
        print(f"\nwrote {page.PAGE.relative_to(page.ROOT)}")


def _hidden(meters: list[Meter], options: argparse.Namespace, run: "Runner") -> HiddenResults:
    cases = PLAIN[2:] if options.short else CASES
    tasks = plan(meters, options.half, 1 if options.short else options.rounds, cases)
    outcomes = [each for some in run("hidden farms", trial.judge, tasks) for each in some]
    if options.json:
        options.json.write_text("".join(json.dumps(each.row()) + "\n" for each in outcomes))
    clean = [each for each in outcomes if each.case is None]
    rate = hidden.false_alarms(clean, hidden.flatwatt).value
    trained = [each for stretch in plan(meters, "train", _TRAINING_ROUNDS) for each in trial.unjudged(stretch)]
    return HiddenResults(outcomes, hidden.tuned([each for each in trained if each.case is None], rate))


def _hidden_figures(results: HiddenResults) -> dict[str, str]:
    return {
        "detection": hidden_report.detection_table(results),
        "baselines": hidden_report.baseline_table(results),
        "clean": hidden_report.clean_table(results, "site", lambda each: each.site),
        "use": hidden_report.clean_table(results, "use", lambda each: each.usage),
        "estimate": hidden_report.estimate_table(results),
        "history": hidden_report.history_table(results),
        "removal": hidden_report.removal(results),
        "seed": str(SEED),
        **hidden_report.counts(results),
    }


def _other_figures(data: Path, meters: list[Meter], results: HiddenResults, run: "Runner") -> dict[str, str]:
    others = [meter for meter in meters if (meter.site, meter.half) == ("Fox", "held")]
    halls = dedicated.halls(others, dedicated.server_factors(data), _DEDICATED_ROUNDS, SEED)
    feeders = [each for some in run("dedicated feeders", dedicated.judge, halls) for each in some]
    works = run("steel works", steel.judge, steel.works(data, SEED))
    alike = [each for some in run("look-alikes", negatives.judge, negatives.lookalikes(data, SEED)) for each in some]
    return {
        "dedicated": dedicated.report(feeders),
        "declared_hall": declared_hall.report(run("declared hall", declared_hall.judge, [data])[0]),
        "seconds": seconds_table.report(run("seconds", seconds_table.judge, seconds_table.weeks())),
        "steel": steel.report(works),
        "lookalikes": negatives.summary(alike),
        "lookalikes_by_name": negatives.report(alike),
        "goals": goals.report(results, feeders, alike),
    }


class Runner:
    """Runs one function over many tasks on all processes, and says how far it is."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def __call__(self, what: str, function: Callable[..., Result], tasks: Iterable[Task]) -> list[Result]:
        """Give the results in the order of the tasks."""
        waiting = list(tasks)
        results, began = [], time.monotonic()
        for done, result in enumerate(self._pool.map(partial(function, rules=shipped_rules()), waiting), 1):
            results.append(result)
            print(f"{what}: {done} of {len(waiting)}, {time.monotonic() - began:.0f} s", file=sys.stderr)
        return results


def plan(meters: list[Meter], half: Half, rounds: int | None, cases: Sequence[Case] = CASES) -> list[Stretch]:
    """Give the stretches to replay: each building of the half with each plain farm, and some with the variants."""
    tasks: list[tuple[int, Stretch]] = []
    for number, site in enumerate(dict.fromkeys(meter.site for meter in meters)):
        own = [meter for meter in meters if meter.site == site and meter.half == half]
        if len(own) < _LEAST_METERS:
            continue
        pairs = [(meter.building, case) for case in cases for meter in _share_of(own, case)]
        tasks += enumerate(stretches(own, pairs, (SEED, number)))
    return [stretch for turn, stretch in sorted(tasks, key=lambda task: task[0]) if rounds is None or turn < rounds]


def _share_of(meters: list[Meter], case: Case) -> list[Meter]:
    """Give the meters that get a farm of this case: all, or every fourth for a variant."""
    every = 1 if case in PLAIN or case is HARDEST else _VARIANT_SHARE
    return meters[CASES.index(case) % every :: every]


def _quiet() -> None:
    warnings.simplefilter("ignore", RuntimeWarning)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.evaluate", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("data", type=Path, nargs="?", help="the folder with the real recordings; none: only new words")
    parser.add_argument("--short", action="store_true", help="a few buildings, under a minute; writes no page")
    parser.add_argument("--hidden-only", action="store_true", help="hidden farms only; writes no page")
    parser.add_argument("--half", choices=("train", "held"), default="held", help="of the buildings (held)")
    parser.add_argument("--rounds", type=int, metavar="N", help="replay each site N times at most")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write each virtual meter's days as a line of JSON")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes (one per core)")
    options = parser.parse_args()
    if options.data is not None and (absent := missing(options.data)):
        parser.error(f"{options.data} lacks {', '.join(absent)}: give the folder with the real recordings")
    is_partial = options.half != "held" or options.rounds is not None
    if is_partial and not (options.short or options.hidden_only):
        parser.error("--half and --rounds go with --hidden-only: the page is of the whole held-out half")
    return options


if __name__ == "__main__":
    main()
