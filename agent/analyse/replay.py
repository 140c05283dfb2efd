"""Judges recorded data with the daemon's own code: the same windows, checks and analyst, day by day."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from agent.analyse.analyst import Analyst, Day
from agent.analyse.describer import Describer
from agent.analyse.detect.evidence import Rules
from agent.analyse.features.robust import Floats
from agent.analyse.quality.inspector import Inspector
from agent.analyse.recording import Recording
from agent.analyse.site import Site
from agent.records import Judgement


def replay(recording: Recording, site: Site, rules: Rules) -> Iterator[Day]:
    """Give each day of the recording that is over; the last one only if it is complete."""
    inspector, analyst = Inspector(site.meters), Analyst("replay", site, rules)
    for window in recording.windows():
        yield from analyst.take(inspector.take(window).window).days


def described(recording: Recording, site: Site, rules: Rules) -> Iterator[tuple[Day, dict[str, Floats]]]:
    """Give each day as :func:`replay` does, with every feature of every meter."""
    inspector, analyst, describer = Inspector(site.meters), Analyst("replay", site, rules), Describer(site)
    for window in recording.windows():
        findings = analyst.take(inspector.take(window).window)
        analyst.catch_up()
        describer.add(findings.window, findings.features)
        yield from ((day, describer.day(day.number)) for day in findings.days)


def report(day: Day) -> list[dict[str, Any]]:
    """Give the day's judgements as JSON objects, one per meter, in the order of the meters."""
    return [_row(day, row, judgement) for row, judgement in enumerate(day.judgements)]


def report_described(day: Day, features: Mapping[str, Floats]) -> list[dict[str, Any]]:
    """Give the same objects, each with its features: numbers of six digits, None where unknown."""
    return [
        {**fields, "features": {name: _number(values[row]) for name, values in features.items()}}
        for row, fields in enumerate(report(day))
    ]


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _row(day: Day, row: int, judgement: Judgement) -> dict[str, Any]:
    hourly_w = day.hourly_w[row]
    known = np.isfinite(hourly_w)
    load_kwh = float(hourly_w[known].sum()) / 1000
    mining_kwh = judgement.mining_w[1] * int(known.sum()) / 1000
    return {
        "meter": judgement.meter,
        "day": datetime.fromtimestamp(day.end_s - 1, UTC).date().isoformat(),
        "coverage": round(float(known.mean()), 3),
        "verdict": judgement.verdict.value,
        "score": judgement.score,
        "mining_w": [round(watts, 1) for watts in judgement.mining_w],
        "mining_kwh": round(mining_kwh, 3),
        "load_kwh": round(load_kwh, 3),
        "mining_share": round(mining_kwh / load_kwh, 4) if load_kwh > 0 else 0.0,
        "since": None
        if judgement.since_s is None
        else datetime.fromtimestamp(judgement.since_s, UTC).date().isoformat(),
        "reasons": [
            {"evidence": r.evidence, "value": r.value, "weight": r.weight, "text": r.text} for r in judgement.reasons
        ],
    }
