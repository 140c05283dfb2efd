"""The fault campaign: real processes, one fault each, and afterwards everything is held against the truth.

    python -m tests.faults                        all cases, two at a time; writes docs/reliability.md
    python -m tests.faults --only M1,B3 --seed 7  some, with the seed that another run printed
    python -m tests.faults --short                those of `make test`

Each case is a facility of its own in a process of its own. Exit code 1 where one fails.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults.case import CASES, listed
from tests.faults.catalogue import SHORT
from tests.faults.process import ROOT
from tests.faults.report import write

AT_A_TIME = 2  # cores; a case has four processes that mostly wait for each other
LONGEST_S = 420.0  # what a case may take before it counts as hung

Result = dict[str, Any]


def run(number: str, seed: int, keep: Path | None) -> Result:
    """Run one case in a process group of its own, and print what became of it."""
    folder = keep / number if keep else Path(tempfile.mkdtemp(prefix=f"fault-{number}-"))
    words = [sys.executable, "-m", "tests.faults.one", number, "--seed", str(seed), "--keep", str(folder)]
    began_s = time.monotonic()
    process = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=LONGEST_S)
        result: Result = json.loads(out.splitlines()[-1])
    except subprocess.TimeoutExpired:
        err = ""
        result = {"case": number, "seed": seed, "verdict": "failed", "text": f"no end within {LONGEST_S:.0f} s"}
    except (IndexError, ValueError):
        result = {"case": number, "seed": seed, "verdict": "failed", "text": "no result: " + err[-300:]}
    finally:
        _end_group(process)
        _unmount(folder)
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    result["seconds"] = round(time.monotonic() - began_s, 1)
    text = " ".join(str(result["text"]).split())
    print(f"{number:<4} seed={seed} {result['verdict']:<12} {result['seconds']:6.1f} s  {text[:160]}", flush=True)
    if result["verdict"] == "failed" and err:
        print("     " + "\n     ".join(err.splitlines()[-12:]), flush=True)
    return result


def _end_group(process: "subprocess.Popen[str]") -> None:
    """End whatever a case left behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def _unmount(folder: Path) -> None:
    """Take away the disks of a case that did not come to its end; who served them is dead."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if (place := line.split()[1]).startswith(f"{folder.resolve()}/"):
            subprocess.run(["umount", "-l", place], check=False, capture_output=True)


def chosen(args: argparse.Namespace) -> list[str]:
    """Give the cases that the command line names, in the order of the list."""
    wanted = set(args.only.split(",")) if args.only else set(SHORT) if args.short else set(CASES)
    if unknown := wanted - set(CASES):
        raise SystemExit(f"--only: there is no case {', '.join(sorted(unknown))}")
    return [number for number in listed() if number in wanted]


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="M1,B3", help="these cases")
    parser.add_argument("--short", action="store_true", help="the cases of make test")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6, help="of the chances that cases take")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there, too")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="keep logs and databases")
    args = parser.parse_args()
    numbers = chosen(args)
    print(f"{len(numbers)} cases, seed {args.seed}", flush=True)
    began_s = time.monotonic()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        results = list(pool.map(lambda number: run(number, args.seed, args.keep), numbers))
    minutes = (time.monotonic() - began_s) / 60
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    if not args.only and not args.short:
        write(results, date=datetime.now(UTC).date().isoformat(), minutes=minutes, seed=args.seed)
    failed = [result["case"] for result in results if result["verdict"] == "failed"]
    print(f"{len(results)} cases in {minutes:.1f} minutes; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
