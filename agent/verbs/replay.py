"""Judge recorded data with the daemon's own code, day by day, nothing later used.

FILE is CSV, gzipped or not: a header, then `time` (ISO 8601, UTC unless it says otherwise),
`meter`, `active_power_w` (the mean over the step that starts at `time`) and any other quantity
of the vocabulary; one constant step from 1 s to 1 h; an empty cell is a gap.
"""

import argparse
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.analyse.course import Course
    from agent.analyse.recording import Recording
    from agent.analyse.site import Site
    from agent.analyse.site_ledger import SiteLedger

HELP = "judge recorded load (CSV) as the daemon would have"
_LONGEST_NAME = 50  # letters of up to four bytes: file systems take 255 bytes


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the recording")
    parser.add_argument("--site", type=Path, help="facts of the site: kind, meter tree, declared loads (site.toml)")
    parser.add_argument("--json", action="store_true", help="write one JSON object a line, one per meter and day")
    parser.add_argument("--totals", action="store_true", help="add the site's days (with --json) and its whole period")
    parser.add_argument("--features", action="store_true", help="with --json: add every feature (docs/features.md)")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw a picture of each meter into this folder")


def run(args: argparse.Namespace) -> int:
    """Replay, and write each day or, for people, each change of verdict."""
    from agent.analyse.recording_file import read_recording
    from agent.errors import InputError
    from agent.terminal import progress, say, say_compact

    _check(args)
    recording = read_recording(args.file, lambda chunks: progress(chunks, None, "reading"))
    site = _site(args.site, recording.meters)
    ledger = _ledger(args.site, site) if args.totals else None
    course = _course(recording) if args.plot is not None else None
    rows = _rows(recording, site, ledger, course, with_features=args.features)
    said = False
    for row in rows if args.json else _changes(rows):
        if args.json:
            say_compact(row)
        else:
            say(_sentence(row))
        said = True
    if not said:
        raise InputError(f"{args.file}: no day is complete; at least one whole UTC day is needed")
    lines = ledger.lines() if ledger is not None else []
    drawn = _drawn(course, recording.meters, args.plot) if course is not None else []
    for line in (*lines, *drawn):
        if not args.json:
            say(line)
    return 0


def _check(args: argparse.Namespace) -> None:
    """See that what is asked for can be given, before hours of data are read."""
    from importlib.util import find_spec

    from agent.errors import InputError

    if args.features and not args.json:
        raise InputError("--features: features are written as JSON only; add --json")
    if args.plot is None:
        return
    if not find_spec("matplotlib"):
        raise InputError('--plot: matplotlib is not installed, which draws the pictures; pip install "flatwatt[plot]"')
    try:
        args.plot.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--plot: {args.plot}: cannot be a folder ({error.strerror}); name another") from None


def _rows(
    recording: "Recording", site: "Site", ledger: "SiteLedger | None", course: "Course | None", *, with_features: bool
) -> Iterator[dict[str, Any]]:
    """Give the objects of each day: its meters', and, where its account is kept, the site's; its total at the end."""
    from agent.analyse.detect.evidence import shipped_rules
    from agent.analyse.replay import described, replay, report, report_described
    from agent.terminal import progress

    judged = (
        described(recording, site, shipped_rules())
        if with_features
        else ((day, None) for day in replay(recording, site, shipped_rules()))
    )
    for day, features in progress(judged, recording.window_count * recording.window_s // 86_400, "days judged"):
        yield from report(day) if features is None else report_described(day, features)
        yield from [ledger.take(day)] if ledger is not None else []
        if course is not None:
            course.take(day)
    if ledger is not None:
        yield from ledger.total()


def _course(recording: "Recording") -> "Course":
    from agent.analyse.course import Course

    end_s = recording.start_s + recording.window_count * recording.window_s
    return Course(recording.meters, recording.start_s, end_s)


def _drawn(course: "Course", meters: tuple[str, ...], folder: Path) -> Iterator[str]:
    """Draw one meter after the other and name the pictures."""
    from agent.analyse.picture import draw
    from agent.errors import FlatwattError
    from agent.terminal import progress

    for meter, name in zip(progress(meters, len(meters), "pictures drawn"), _file_names(meters), strict=True):
        try:
            draw(course.of(meter), folder / f"{name}.png")
        except OSError as error:
            raise FlatwattError(f"--plot: {folder}: cannot be written into ({error.strerror}); name another") from None
        yield f"drawn: {folder / name}.png"


def _file_names(meters: tuple[str, ...]) -> Iterator[str]:
    """Give names that a file may bear, with a number where two of them would be the same."""
    taken: set[str] = set()
    for meter in meters:
        plain = re.sub(r"[^\w-]+", "_", meter)[:_LONGEST_NAME]
        numbered = (f"{plain}-{number}" for number in count(1))
        name = plain if plain not in taken else next(each for each in numbered if each not in taken)
        taken.add(name)
        yield name


def _ledger(path: Path | None, site: "Site") -> "SiteLedger":
    from agent.analyse.detect.evidence import shipped_rules
    from agent.analyse.site_ledger import SiteLedger
    from agent.config import load_site
    from agent.emission_factors import factors

    if path is None:
        return SiteLedger(None, site, factors(None, ()), shipped_rules())
    config, _ = load_site(path)
    return SiteLedger(config.name, site, factors(config.grid, config.emission_factor), shipped_rules())


def _site(path: Path | None, meters: tuple[str, ...]) -> "Site":
    """Take the site's facts and bring the meters into the recording's order."""
    from agent.analyse.site import Site, without_facts
    from agent.config import load_site
    from agent.errors import InputError

    if path is None:
        return without_facts(meters)
    config, facts = load_site(path)
    known = {meter.id: meter for meter in facts}
    missing = [meter for meter in meters if meter not in known]
    absent = [meter for meter in known if meter not in meters]
    if missing or absent:
        wrong = [f"lacks [[meter]] for {', '.join(missing)}"] if missing else []
        wrong += [f"names {', '.join(absent)}, which the recording does not have"] if absent else []
        raise InputError(f"{path}: {'; '.join(wrong)}")
    return Site(config.kind, tuple(known[meter] for meter in meters))


def _changes(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Keep the first row of each meter and those where its verdict changes."""
    last: dict[str, str] = {}
    for row in rows:
        if "meter" in row and last.get(row["meter"]) != row["verdict"]:
            last[row["meter"]] = row["verdict"]
            yield row


def _sentence(row: dict[str, Any]) -> str:
    line = f"{row['day']}  {row['meter']:<24}  {row['verdict']:<12}"
    if row["mining_w"][2] > 0:
        low, middle, high = (watts / 1000 for watts in row["mining_w"])
        share = 100 * row["mining_share"]
        line += f"  {middle:.1f} kW ({low:.1f} to {high:.1f}), {share:.0f} % of the load, since {row['since']}"
    reasons = "; ".join(reason["text"] for reason in row["reasons"][:2])
    return f"{line}  {reasons}".rstrip()
