"""Write an evidence file: the records of a site and period, with all that proves them.

The file is a zip of plain text. It holds the exact bytes that the gateways signed, from a checkpoint
before the period to one after it, the public keys, what did not fit at the collector, and a list of
SHA-256 sums that the collector signs. `flatwatt verify FILE` checks it anywhere, and so do sha256sum
and openssl: docs/evidence.md shows how. The collector may run meanwhile.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from agent.errors import InputError
from agent.terminal import counted, say

HELP = "write the evidence of a site and period into one file"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--db", metavar="FILE", type=Path, default=Path("collector.db"), help="the database")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--gateway", metavar="ID", action="append", default=[], help="a gateway; may be repeated")
    who.add_argument("--site", metavar="NAME", help="all gateways of a site")
    parser.add_argument("--from", dest="begin", metavar="TIME", required=True, help="ISO 8601, UTC unless it says so")
    parser.add_argument("--to", dest="end", metavar="TIME", required=True, help="first moment that is not wanted")
    parser.add_argument("--key", metavar="FILE", type=Path, help="the collector's signing key (default: beside --db)")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="evidence file to write")


def run(args: argparse.Namespace) -> int:
    """Write the file."""
    from collector.ingest.receipts import Signer
    from collector.proof.export import export

    from_s, to_s = _time_s("--from", args.begin), _time_s("--to", args.end)
    if to_s <= from_s:
        raise InputError("--to: is not after --from")
    key_file = args.key or args.db.with_suffix(".key")
    for option, path in (("--db", args.db), ("--key", key_file)):
        if not path.is_file():
            raise InputError(f"{option}: {path}: there is no such file; name the one that `flatwatt collect` uses")
    signer = Signer.load(key_file)
    contents = export(
        args.db, args.output, gateways=args.gateway, site=args.site, from_s=from_s, to_s=to_s,
        collector_key=signer.public_key, sign=signer.signature,
    )  # fmt: skip
    records = sum(stream.last_seq - stream.first_seq + 1 for stream in contents.streams)
    of = ", ".join(one.gateway for one in contents.gateways)
    streams = counted(len(contents.streams), "stream", "streams")
    say(f"{args.output}: {of}; {streams}, {records:,} records; signed by the collector's key {signer.key_id}")
    say(f"next: flatwatt verify {args.output}")
    return 0


def _time_s(option: str, text: str) -> int:
    """Give a time in seconds since 1970.

    >>> _time_s("--from", "2026-01-01"), _time_s("--to", "2026-01-01T01:00+01:00")
    (1767225600, 1767225600)
    """
    try:
        time = datetime.fromisoformat(text)
        seconds = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InputError(f"{option}: {text!r} is no time; expected ISO 8601, for example 2026-01-31T12:00") from None
    if seconds < 0:
        raise InputError(f"{option}: {text} is before 1970")
    return int(seconds)
