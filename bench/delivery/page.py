"""Fills ``docs/delivery.md``: the words stand in a template, every figure comes from the last whole run of its kind.

The figures are kept beside the template, one file for each measurement, so that words can change without a run.
"""

import json
import math
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = Path(__file__).with_name("delivery.template.md")
FIGURES = Path(__file__).with_name("figures")
PAGE = ROOT / "docs" / "delivery.md"
NAMES = ("kills", "broker", "outage", "volume", "soak", "restart")

Figures = dict[str, Any]


def keep(name: str, figures: Figures) -> None:
    """Keep the figures of a whole run, with when and where they were taken."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    taken = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit.strip(),
        "machine": f"{os.cpu_count()} cores of {platform.machine()}, Python {platform.python_version()}",
    }
    (FIGURES / f"{name}.json").write_text(json.dumps(taken | figures, indent=1, ensure_ascii=False) + "\n")


def kept() -> dict[str, Figures]:
    """Give the figures of the last whole runs, of those measurements that were made."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FIGURES.glob("*.json"))}


def fill(figures: dict[str, Figures]) -> str:
    """Give the page; a measurement that was not made says so."""
    sections = {name: _SECTIONS[name](figures[name]) if name in figures else "Not measured yet." for name in NAMES}
    return Template(TEMPLATE.read_text()).substitute(
        sections | {f"{name}_taken": _taken(figures.get(name)) for name in NAMES}
    )


def write() -> None:
    """Write the page with the figures that are kept."""
    PAGE.write_text(fill(kept()))


def _taken(figures: Figures | None) -> str:
    if figures is None:
        return ""
    promise = "The promise holds." if figures["holds"] else "**The promise does not hold in this run.**"
    return (
        f"{promise} Measured on {figures['date']} at commit {figures['commit']} with seed {figures['seed']}, on "
        f"{figures['machine']}."
    )


def _kills(figures: Figures) -> str:
    died, first = figures["kills"], figures["first_poll_s"]
    return f"""\
| | |
|---|---:|
| `kill -9` of agent, broker, collector | {died["agent"]:,}, {died["broker"]}, {died["collector"]} |
| of the agent, before its first poll | {first["killed"]:,} |
| minutes | {figures["minutes"]:.0f} |
| windows that an agent closed for sure (of 20 meters each) | {figures["windows"]:,} |
| summaries at the collector | {figures["summaries"]:,} |
| lost | {figures["lost"]} |
| duplicated | {figures["duplicated"]} |
| windows that nobody was there to close, and that a restart declares | {figures["declared"]:,} |
| windows that are absent and undeclared, that are there and cannot be, with another coverage than was measured \
| {figures["undeclared"]}, {figures["invented"]}, {figures["wrong_coverage"]} |
| checkpoints whose head and signature were checked; faults in the chain | {figures["checkpoints"]:,}; \
{figures["broken"]} |
| spools that were examined after a kill; records in them; faults \
| {figures["autopsies"]:,}; {figures["records_in_spools"]:,}; {len(figures["autopsy_faults"])} |
| start of the agent to its first request at a meter: median, 99th percentile, longest of {first["polled"]:,} \
| {first["p50"]:.2f} s, {_known_s(first["p99"])}, {first["longest"]:.2f} s |
| longest start that a kill cut short before its first request | {first["longest_killed"]:.2f} s |"""


def _known_s(seconds: float) -> str:
    """Give seconds, or that kills left too few starts to tell."""
    return f"{seconds:.2f} s" if math.isfinite(seconds) else "not known, for kills cut the slowest short"


def _broker(figures: Figures) -> str:
    lines = [
        "| case | messages | PUBACKs | plain paho: lost, twice | flatwatt: lost, twice |",
        "|---|---:|---|---:|---:|",
    ]
    for row in figures["rows"]:
        pubacks = ", ".join(f"{count} × {reason}" for reason, count in row["pubacks"].items())
        lines.append(
            f"| {row['case']} | {row['messages']:,} | {pubacks} | {row['plain_lost']:,}, {row['plain_duplicated']:,} "
            f"| {row['ours_lost']:,}, {row['ours_duplicated']:,} |"
        )
    return "\n".join(lines)


def _outage(figures: Figures) -> str:
    week, small = figures["week"], figures["small_spool"]
    return f"""\
| | |
|---|---:|
| without an uplink | {week["days"]:g} days |
| summaries of that time; records in all | {week["summaries"]:,}; {week["records"]:,} |
| lost, duplicated, faults in the chain | {week["lost"]}, {week["duplicated"]}, {week["broken"]} |
| drained in | {week["drained_s"]:.0f} s, {week["records_per_s"]:.0f} records a second |
| live windows meanwhile and after; from their end to the collector's database: median, longest \
| {week["live_windows"]}; {week["live_s"]["p50"]:.2f} s, {week["live_s"]["max"]:.2f} s |
| records sent for each that arrived | {week["sent"] / week["unique"]:.3f} |

With a spool of {small["spool_bytes"] / 2**20:.2g} MiB, too small for {small["days"]:g} days without an uplink: \
{small["dropped"]:,} records gave way to {small["gaps"]} signed gap records, {small["arrived"]:,} arrived, and \
{small["undeclared"]} numbers of the stream are neither there nor declared. The energy of each meter, from what \
arrived and from the totals in the gaps, is within {abs(small["worst_kwh_error"]):.1e} of what the simulator knows."""


def _volume(figures: Figures) -> str:
    windows, polls = figures["by_windows"], figures["by_the_second"]
    return f"""\
| | windows | polls | written | a window |
|---|---:|---:|---:|---:|
| {windows["hours"]:g} h, polled once a minute | {windows["windows"]:.0f} | {windows["polls"]:,.0f} \
| {windows["written_bytes"] / 1e6:.1f} MB | {windows["bytes_a_window"] / 1e3:.0f} kB |
| {polls["hours"]:g} h, polled once a second | {polls["windows"]:.0f} | {polls["polls"]:,.0f} \
| {polls["written_bytes"] / 1e6:.1f} MB | {polls["bytes_a_window"] / 1e3:.0f} kB |

Scaled to a day of 96 windows, with {figures["status_mb_a_day"]:.2f} MB for the status file, which is written by the \
hour: **{figures["mb_a_day"]:.1f} MB a day**."""


def _soak(figures: Figures) -> str:
    living, dying = figures["living"], figures["dying"]
    lines = [
        f"| | {living['hours']} h, nobody dies but the broker | {dying['hours']} h with kills |",
        "|---|---:|---:|",
        f"| faults | {sum(living['faults'].values())} | {sum(dying['faults'].values())} |",
        f"| lost, duplicated, undeclared, invented, faults in the chain | {_wrong(living)} | {_wrong(dying)} |",
        f"| alarms, findings of the collector | {living['alarms']}, {len(living['findings'])} "
        f"| {dying['alarms']}, {len(dying['findings'])} |",
        "",
        "| | memory, mean | slope | 95 % interval | descriptors, before and after |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, memory in living["memory"].items():
        low, high = (1000 * each for each in memory["interval_mb"])
        lines.append(
            f"| {name} | {memory['mean_mb']:.1f} MB | {1000 * memory['slope_mb']:+.1f} kB/h "
            f"| {low:+.1f} to {high:+.1f} kB/h | {memory['descriptors'][0]:.0f}, {memory['descriptors'][1]:.0f} |"
        )
    return "\n".join(lines)


def _wrong(day: Figures) -> str:
    return ", ".join(str(day[name]) for name in ("lost", "duplicated", "undeclared", "invented", "broken"))


def _restart(figures: Figures) -> str:
    empty, full, files = figures["empty_s"], figures["full_s"], figures["files"]
    return f"""\
| | median | longest of {len(full)} |
|---|---:|---:|
| nothing kept | {empty[len(empty) // 2]:.2f} s | {empty[-1]:.2f} s |
| history of {figures["days"]} days ({files["history.db"] / 1e6:.0f} MB) and a spool of as many without an uplink \
({files["spool.db"] / 1e6:.0f} MB) | {full[len(full) // 2]:.2f} s | {full[-1]:.2f} s |"""


_SECTIONS = {
    "kills": _kills,
    "broker": _broker,
    "outage": _outage,
    "volume": _volume,
    "soak": _soak,
    "restart": _restart,
}
