"""Runs one case in this process and prints what became of it as JSON: python -m tests.faults.one M1 --seed 7."""

import argparse
import json
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.faults.bed import Bed
from tests.faults.case import NotPossibleError
from tests.faults.catalogue import CASES


def tried(number: str, seed: int, folder: Path) -> dict[str, object]:
    """Inject one fault; give verdict (passed, failed, not possible), what was measured or why, and the seconds."""
    bed = Bed(folder, seed)
    began_s = time.monotonic()
    try:
        verdict, text = "passed", CASES[number].inject(bed)
    except NotPossibleError as error:
        verdict, text = "not possible", str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the case failed and says why
        traceback.print_exc()
        verdict, text = "failed", f"{type(error).__name__}: {error}"
    finally:
        bed.close()
    seconds, excused = time.monotonic() - began_s, sorted(bed.excused)
    return {"case": number, "seed": seed, "verdict": verdict, "text": text, "seconds": seconds, "excused": excused}


def main() -> int:
    """Run the case that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--keep", type=Path, help="folder for logs and databases, which stays")
    args = parser.parse_args()
    folder = args.keep or Path(tempfile.mkdtemp(prefix=f"fault-{args.number}-"))
    folder.mkdir(parents=True, exist_ok=True)
    became = tried(args.number, args.seed, folder)
    print(json.dumps(became))
    if args.keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if became["verdict"] != "failed" else 1


if __name__ == "__main__":
    sys.exit(main())
