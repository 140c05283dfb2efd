"""Feed wrong inputs, a million by default: ``python -m tests.fuzz [--inputs N] [--seed N] [--only TARGET]``.

Exit code 1 where one escaped, invented data, or made the memory grow; the seed and the number of the input
are printed, and ``--seed`` feeds the same ones again.
"""

import argparse
import logging
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz.targets import TARGETS, Target

WARM = 0.2  # of the inputs: after these, caches are full and memory may not grow any more
GROWTH_KB = 8 * 1024  # what an allocator's arenas and SQLite's page cache move by themselves


def resident_kb() -> int:
    """Give the memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


@dataclass(frozen=True)
class Fed:
    """What became of the inputs to one target."""

    target: Target
    grown_kb: int
    took_s: float


def fuzz(name: str, inputs: int, seed: int) -> Fed:
    """Feed one target. Raises what escaped, with the input's number, and where the memory grew."""
    make, _ = TARGETS[name]
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        target = make(Path(folder))
        warm_kb = 0
        for number in range(inputs):
            if number == int(inputs * WARM):
                warm_kb = resident_kb()
            try:
                target.feed(Random(f"{seed} {name} {number}"))
            except Exception as error:
                error.add_note(f"fuzz: target {name}, seed {seed}, input {number}")
                raise
        grown_kb = resident_kb() - warm_kb
        target.close()
    if grown_kb > GROWTH_KB:
        raise AssertionError(f"{name}: the memory grew by {grown_kb} kB over {inputs} inputs, seed {seed}")
    return Fed(target, grown_kb, time.monotonic() - began_s)


def main() -> int:
    """Feed all targets."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=TARGETS)
    args = parser.parse_args()
    logging.disable()  # what is refused is logged, and that would be a million lines
    print(f"seed {args.seed}")
    for name, (_, share) in TARGETS.items():
        if args.only in (None, name):
            inputs = args.inputs if args.only else max(1, round(args.inputs * share))
            fed = fuzz(name, inputs, args.seed)
            counts = f"{fed.target.accepted:7} right  {sum(fed.target.refused.values()):8} refused"
            print(f"{name:10} {inputs:8} inputs  {counts}  {fed.grown_kb:+6} kB  {fed.took_s:4.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
