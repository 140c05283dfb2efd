"""Evaluate the judgement on real loads with simulated farms, and write ``docs/detection.md``.

    python -m bench.evaluate DATA                  everything, on the held-out half; writes the page
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
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from agent.analyse.detect.evidence import shipped_rules
from bench.evaluate import hidden_report
from bench.evaluate.cases import CASES, HARDEST, PLAIN, Case, Stretch, stretches
from bench.evaluate.data import Half, Meter, buildings
from bench.evaluate.trial import judge

SEED = 4
_VARIANT_SHARE = 3  # every third meter gets each of the variants, every meter each plain case


def main() -> None:
    """Evaluate and report."""
    options = _options()
    warnings.simplefilter("ignore", RuntimeWarning)  # empty slices of gappy recordings
    os.environ["PYTHONWARNINGS"] = "ignore::RuntimeWarning"
    meters = buildings(options.data)
    print(f"seed {SEED}")
    with ProcessPoolExecutor(options.jobs) as pool:
        tasks = plan(meters, options.half, options.rounds)
        outcomes = [each for stretch in pool.map(partial(judge, rules=shipped_rules()), tasks) for each in stretch]
    if options.json:
        options.json.write_text("".join(json.dumps(each.row()) + "\n" for each in outcomes))
    results = hidden_report.HiddenResults(outcomes, ())
    print(hidden_report.detection_table(results))
    print(hidden_report.clean_table(results))
    print(hidden_report.estimate_table(results))
    print(hidden_report.history_table(results))


def plan(meters: list[Meter], half: Half, rounds: int | None) -> list[Stretch]:
    """Give the stretches to replay: each building of the half with each plain farm, and a third with the variants."""
    tasks: list[tuple[int, Stretch]] = []
    for number, site in enumerate(dict.fromkeys(meter.site for meter in meters)):
        own = [meter for meter in meters if meter.site == site and meter.half == half]
        pairs = [(meter.building, case) for case in CASES for meter in _share_of(own, case)]
        tasks += enumerate(stretches(own, pairs, (SEED, number)))
    return [stretch for turn, stretch in sorted(tasks, key=lambda task: task[0]) if rounds is None or turn < rounds]


def _share_of(meters: list[Meter], case: Case) -> list[Meter]:
    """Give the meters that get a farm of this case: all, or every third for a variant, another third for each."""
    every = 1 if case in PLAIN or case is HARDEST else _VARIANT_SHARE
    return meters[CASES.index(case) % every :: every]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.evaluate", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("data", type=Path, help="the folder with the real recordings")
    parser.add_argument("--short", action="store_true", help="a few buildings, under a minute; writes no page")
    parser.add_argument("--hidden-only", action="store_true", help="hidden farms only; writes no page")
    parser.add_argument("--half", choices=("train", "held"), default="held", help="of the buildings (held)")
    parser.add_argument("--rounds", type=int, metavar="N", help="replay each site N times at most")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write each virtual meter's days as a line of JSON")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes (one per core)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
