"""Measure what delivery keeps of its promises, and write ``docs/delivery.md``.

python -m bench.delivery kills|broker|outage|volume|soak|restart    one measurement
python -m bench.delivery                                            all, one after the other, in two hours
python -m bench.delivery page                                       the page again, after its words changed
python -m bench.delivery kills --short                              a minute or less each; writes nothing
"""

import argparse
import json
import random
import sys

from bench.delivery import broker, kills, outage, page, restart, soak, volume

MEASUREMENTS = {
    "kills": kills.measure,
    "broker": broker.measure,
    "outage": outage.measure,
    "volume": volume.measure,
    "soak": soak.measure,
    "restart": restart.measure,
}


def main() -> int:
    """Measure, print, and write figures and page; the exit code says whether the promise is kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.delivery", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("what", nargs="?", default="all", choices=(*MEASUREMENTS, "all", "page"))
    parser.add_argument("--short", action="store_true", help="a minute or less; writes nothing")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the moments of faults")
    options = parser.parse_args()
    if options.what == "page":
        page.write()
        return 0
    held = True
    for name in MEASUREMENTS if options.what == "all" else [options.what]:
        print(f"python -m bench.delivery {name}{' --short' * options.short} --seed {options.seed}", flush=True)
        figures = MEASUREMENTS[name](options.seed, short=options.short)
        print(json.dumps(figures, indent=1), flush=True)
        held = held and bool(figures["holds"])
        if not options.short:
            page.keep(name, figures)
            page.write()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
