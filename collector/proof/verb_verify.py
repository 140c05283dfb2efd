"""Check evidence offline: an evidence file, a gateway's spool or a collector's database.

Follows each stream record by record: numbers, hash chain, the signature of each checkpoint, declared
gaps, changes of key. Names the first record of each stream that was altered, left out, reordered,
duplicated or forked. Needs no collector and no network; memory does not grow with the file.

The keys of an evidence file come with it: whoever can write a file can put other keys in. Compare
them with what their owners told you, or name the gateway's key with --key.

Exit code 0: everything fits; 1: something does not; 2: the file is none that can be checked.
"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.errors import EvidenceError
from agent.terminal import progress, say, say_json

HELP = "check evidence offline, and name the first record that does not fit"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", metavar="FILE", type=Path, help="evidence file, spool.db or collector.db")
    parser.add_argument(
        "--key", metavar="FILE", type=Path, action="append", default=[],
        help="a gateway's key or certificate (PEM), trusted instead of those in the file; may be repeated",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="write one JSON object")


def run(args: argparse.Namespace) -> int:
    """Check one file."""
    from agent.deliver.identity.keys import public_key_of
    from collector.proof.source import opened
    from collector.proof.verdict import Verdict
    from collector.proof.walk import follow

    keys = [public_key_of(path) for path in args.key]
    try:
        with opened(args.file, keys) as source:
            verdict = Verdict(source, [follow(segment, _shown) for segment in source.segments])
    except EvidenceError as error:
        if args.json:
            say_json({"ok": False, "faults": [str(error)], "streams": []})
        else:
            say(f"NOT VERIFIED: {error}")
        return 1
    if args.json:
        say_json(verdict.as_object())
    else:
        for line in verdict.lines():
            say(line)
    return 0 if verdict.ok else 1


def _shown(lines: "Iterable[tuple[bytes, bytes | None]]") -> "Iterator[tuple[bytes, bytes | None]]":
    return progress(lines, None, "records")
