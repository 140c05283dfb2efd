"""One meter over time, thinned to what a chart can show."""

from dataclasses import dataclass

from collector import fleet
from collector.state import AlarmState, Meter
from collector.store.reader import Reader, Row, verdict_of_rank

POINTS = 2000  # more than a chart has pixels

Numbers = list[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A meter on a regular grid of ``step_s``; a step without a window is None in every column.

    A step that holds several windows shows the mean power, the extremes, the mean estimate and the
    most serious verdict of them. ``alarm`` is the last message, which explains the present verdict;
    ``first_s`` and ``last_s`` bound what is stored.
    """

    gateway: str
    meter: str
    site: str
    state: Meter
    first_s: int
    last_s: int
    window_s: int
    step_s: int
    start_s: list[int]
    active_power_w: Numbers
    active_power_min_w: Numbers
    active_power_max_w: Numbers
    mining_p10_w: Numbers
    mining_p50_w: Numbers
    mining_p90_w: Numbers
    coverage: Numbers
    verdict: list[str | None]
    alarm: AlarmState | None


def meter(reader: Reader, gateway: str, name: str, from_s: int | None, to_s: int | None) -> Series | None:
    """Give a meter over ``[from_s, to_s)``, all that is stored where they are None; None for an unknown meter."""
    newest = reader.latest(gateway, name)
    first_s = reader.first_s(gateway, name, 0)
    found = fleet.one_meter(reader, gateway, name)
    if newest is None or first_s is None or found is None:
        return None
    site, state = found
    window_s, last_s = newest["window_s"], newest["start_s"] + newest["window_s"]
    begin = first_s if from_s is None else min(max(first_s, from_s - from_s % window_s), last_s)
    end = last_s if to_s is None else max(begin, min(last_s, to_s))
    step_s = window_s * max(1, -(-(end - begin) // (POINTS * window_s)))
    rows = {row["bucket_s"]: row for row in reader.series(gateway, name, begin, end, step_s)}
    grid = list(range(begin, end, step_s))
    return Series(
        gateway=gateway,
        meter=name,
        site=site,
        state=state,
        first_s=first_s,
        last_s=last_s,
        window_s=window_s,
        step_s=step_s,
        start_s=grid,
        active_power_w=_column(rows, grid, "active_power_w"),
        active_power_min_w=_column(rows, grid, "active_power_min_w"),
        active_power_max_w=_column(rows, grid, "active_power_max_w"),
        mining_p10_w=_column(rows, grid, "mining_p10_w"),
        mining_p50_w=_column(rows, grid, "mining_p50_w"),
        mining_p90_w=_column(rows, grid, "mining_p90_w"),
        coverage=_column(rows, grid, "coverage"),
        verdict=[verdict_of_rank(rows[start_s]["rank"]) if start_s in rows else None for start_s in grid],
        alarm=next((fleet.alarm_state(row) for row in reader.alarm_history(gateway, name, 1)), None),
    )


def _column(rows: dict[int, Row], grid: list[int], name: str) -> Numbers:
    return [rows[start_s][name] if start_s in rows else None for start_s in grid]
