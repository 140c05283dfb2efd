"""What the demo shows: the live table, the lines of a run without a terminal, and the closing comparison."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType, RenderResult
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_BARS = "▁▂▃▄▅▆▇█"
_CURVE = 30  # characters
_COLOURS = {
    "mining": "bold red",
    "suspect": "yellow",
    "fault": "magenta",
    "declared": "cyan",
    "normal": "green",
    "inconclusive": "dim",
}
_ALARMS = 6  # lines

Json = dict[str, Any]


def sparkline(curve: list[float | None]) -> str:
    """Draw a curve from zero to its maximum; a gap is a blank.

    >>> sparkline([0.0, 5.0, None, 10.0])
    '▁▅ █'
    """
    known = [abs(value) for value in curve if value is not None]
    top = max(known, default=0.0) or 1.0
    return "".join(
        " " if value is None else _BARS[min(len(_BARS) - 1, int(abs(value) / top * len(_BARS)))]
        for value in curve[-_CURVE:]
    )


class _Newest:
    """A sparkline of which a narrow terminal shows the end."""

    def __init__(self, curve: list[float | None]) -> None:
        self._line = sparkline(curve)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, max(1, len(self._line)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self._line[-options.max_width :])


def day(time_s: float | None) -> str:
    """Give the date, or nothing.

    >>> day(0.0)
    '1970-01-01'
    """
    return "" if time_s is None else datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d")


def kilowatts(watts: float | None) -> str:
    """Give kW with one decimal; nothing for what is not known."""
    return "" if watts is None else f"{watts / 1000:.1f}"


def percent(share: float) -> str:
    """Give a share; nothing for none."""
    return f"{share:.0%}" if share else ""


def live(fleet: Json, now_s: float, done: float, page: str) -> RenderableType:
    """Draw the fleet as it stands at a simulated time; ``done`` runs from 0 to 1."""
    title = f"{_clock(now_s)}   {page}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("meter", "newest load", "kW", "verdict", "mining kW", "share", "since"):
        justify: JustifyMethod = "right" if column in ("kW", "mining kW", "share") else "left"
        table.add_column(column, justify=justify, no_wrap=column in ("meter", "verdict", "since"))
    for meter in (meter for site in fleet.get("sites", ()) for meter in site["meters"]):
        table.add_row(
            meter["name"],
            _Newest(meter["curve"]),
            kilowatts(meter["active_power_w"]),
            Text(meter["verdict"], style=_COLOURS.get(meter["verdict"], "")),
            kilowatts(meter["mining_w"][1]) if meter["mining_w"][1] else "",
            percent(meter["mining_share"]),
            day(meter["since_s"]),
        )
    alarms = [Text(alarm_line(alarm), style="red") for alarm in fleet.get("alarms", ())[:_ALARMS]]
    bar = Table.grid(padding=1)
    bar.add_row(ProgressBar(total=1.0, completed=done, width=60), f"{done:.0%}")
    return Group(table, bar, *alarms)


def _clock(now_s: float) -> str:
    return datetime.fromtimestamp(now_s, UTC).strftime("%a %Y-%m-%d %H:%M UTC")


def alarm_line(alarm: Json) -> str:
    """Give one alarm as a line, with its first reason."""
    reason = alarm["reasons"][0]["text"] if alarm["reasons"] else ""
    what = f"{alarm['meter']}: {alarm['verdict']}, {kilowatts(alarm['mining_w'][1])} kW since {day(alarm['since_s'])}"
    return f"{day(alarm['raised_s'])} alarm {alarm['state']}: {what} ({reason})"


def plain(fleet: Json, now_s: float, done: float, seen: set[str]) -> Iterator[str]:
    """Give the lines for a run without a terminal: progress, and each alarm once; ``seen`` remembers them."""
    mining = [meter["name"] for site in fleet.get("sites", ()) for meter in site["meters"] if mines(meter)]
    yield f"{done:4.0%}  {_clock(now_s)}  mining: {', '.join(mining) or 'none seen'}"
    for alarm in fleet.get("alarms", ()):
        if alarm["alarm"] not in seen:
            seen.add(alarm["alarm"])
            yield f"      {alarm_line(alarm)}"


def mines(meter: Json) -> bool:
    """Tell whether a meter's verdict is mining."""
    return bool(meter["verdict"] == "mining")


def closing(rows: list[Json]) -> Table:
    """Draw what was found, and under each finding what was truly so in the simulation."""
    title = "Mining as it was found, and under it as it truly was in the simulation"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)  # fits into 80 columns
    for column in ("meter", "verdict", "kW", "share", "MWh", "since", "agrees"):
        is_number = column in ("kW", "share", "MWh")
        table.add_column(column, justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        found, true = row["found"], row["truth"]
        verdict = Text(found["verdict"], style=_COLOURS.get(found["verdict"], ""))
        agrees = Text("yes", style="green") if row["agrees"] else Text("NO", style="bold red")
        table.add_row(row["name"], verdict, *_amounts(found), agrees)
        if found["mining_w"] or true["mining_w"]:
            table.add_row("  in truth", "", *_amounts(true), style="dim")
    return table


def _amounts(side: Json) -> tuple[str, str, str, str]:
    if not side["mining_w"]:
        return "", "", "", ""
    return kilowatts(side["mining_w"]), percent(side["share"]), kilowatts(side["mining_kwh"]), day(side["since_s"])
