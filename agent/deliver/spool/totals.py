"""What is left of summaries that are dropped: per meter, the energy and the last reading of its registers."""

from collections.abc import Iterable

import msgspec

from agent.deliver import wire


def of_summary(summary: wire.Summary) -> wire.MeterTotal:
    """Give one window as a total, reckoned as the collector does: mining only of good windows."""
    hours = summary.window_s / 3600
    return wire.MeterTotal(
        meter=summary.meter,
        start_s=summary.start_s,
        end_s=summary.start_s + summary.window_s,
        coverage=summary.coverage,
        load_wh=(summary.active_power_w or 0.0) * summary.coverage * hours,
        mining_wh=summary.mining_w[1] * hours if summary.quality == "G" else 0.0,
        active_energy_import_wh=summary.active_energy_import_wh,
        active_energy_export_wh=summary.active_energy_export_wh,
    )


def added(totals: Iterable[wire.MeterTotal]) -> list[wire.MeterTotal]:
    """Add up totals meter by meter, in the order in which meters come first.

    >>> one = wire.MeterTotal(meter="m", start_s=0, end_s=900, coverage=1.0, load_wh=250.0, mining_wh=0.0)
    >>> two = msgspec.structs.replace(one, start_s=1800, end_s=2700, load_wh=150.0, active_energy_import_wh=9e6)
    >>> (sum_,) = added([one, two])
    >>> sum_.load_wh, round(sum_.coverage, 3), sum_.active_energy_import_wh
    (400.0, 0.667, 9000000.0)
    """
    sums: dict[str, wire.MeterTotal] = {}
    for total in totals:
        known = sums.get(total.meter)
        sums[total.meter] = total if known is None else _sum(known, total)
    return [_rounded(total) for total in sums.values()]


def _sum(one: wire.MeterTotal, other: wire.MeterTotal) -> wire.MeterTotal:
    earlier, later = sorted((one, other), key=lambda total: total.end_s)
    start_s, end_s = min(one.start_s, other.start_s), later.end_s
    measured_s = sum(total.coverage * (total.end_s - total.start_s) for total in (one, other))
    return wire.MeterTotal(
        meter=one.meter,
        start_s=start_s,
        end_s=end_s,
        coverage=min(1.0, measured_s / max(1, end_s - start_s)),
        load_wh=one.load_wh + other.load_wh,
        mining_wh=one.mining_wh + other.mining_wh,
        active_energy_import_wh=_last(earlier.active_energy_import_wh, later.active_energy_import_wh),
        active_energy_export_wh=_last(earlier.active_energy_export_wh, later.active_energy_export_wh),
    )


def _last(earlier: float | None, later: float | None) -> float | None:
    return earlier if later is None else later


def _rounded(total: wire.MeterTotal) -> wire.MeterTotal:
    """Round to what a meter can know."""
    return msgspec.structs.replace(
        total, coverage=round(total.coverage, 4), load_wh=round(total.load_wh, 1), mining_wh=round(total.mining_wh, 1)
    )
