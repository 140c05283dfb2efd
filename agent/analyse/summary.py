"""Judgements and window features as messages: scalars only, rounded to what a meter can know.

``stream`` and ``seq`` are filled in by the spool, which alone knows them.
"""

import math

from agent.analyse.alarm import Change
from agent.analyse.analyst import Day, Findings
from agent.deliver import wire
from agent.records import Judgement


def significant(value: float, digits: int = 5) -> float | int:
    """Round to significant digits; a whole number loses its decimal point, which saves bytes on the wire.

    >>> significant(12345.678), significant(0.98765432), significant(7.0)
    (12346, 0.98765, 7)
    """
    if value == 0 or not math.isfinite(value):
        return 0
    rounded = round(value, digits - 1 - math.floor(math.log10(abs(value))))
    return int(rounded) if rounded == int(rounded) else rounded


def summaries(findings: Findings) -> list[wire.Summary]:
    """Give one summary per meter."""
    return [_summary(findings, row, judgement) for row, judgement in enumerate(findings.judgements)]


def _summary(findings: Findings, row: int, judgement: Judgement) -> wire.Summary:
    window = findings.window
    scalars = {name: _scalar(values[row], name) for name, values in findings.features.items() if name != "noise_floor"}
    return wire.Summary(
        v=wire.VERSION,
        kind="summary",
        stream="",
        seq=0,
        meter=judgement.meter,
        start_s=window.start_s,
        window_s=window.window_s,
        coverage=significant(float(window.coverage[row]), 3),
        quality=window.quality[row].value,
        verdict=judgement.verdict.value,
        score=round(judgement.score, 3),
        mining_w=_watts(judgement),
        since_s=judgement.since_s,
        **scalars,
    )


def _scalar(value: float, name: str) -> float | int | None:
    if not math.isfinite(value):
        return None
    return round(float(value)) if name.endswith("_wh") else significant(float(value))


def _watts(judgement: Judgement) -> tuple[float, float, float]:
    low, middle, high = judgement.mining_w
    return significant(low), significant(middle), significant(high)


def alarm(change: Change, day: Day, load_w: float) -> wire.Alarm:
    """Give the message of an alarm's change; ``load_w`` is the day's mean load of the meter."""
    judgement = change.judgement
    share = judgement.mining_w[1] / load_w if load_w > 0 else 0.0
    return wire.Alarm(
        v=wire.VERSION,
        kind="alarm",
        stream="",
        seq=0,
        meter=judgement.meter,
        alarm=change.alarm.id,
        state=change.state,
        time_s=day.end_s,
        raised_s=change.alarm.raised_s,
        verdict=judgement.verdict.value,
        score=round(judgement.score, 3),
        mining_w=_watts(judgement),
        mining_share=round(share, 4),
        since_s=judgement.since_s,
        reasons=[
            wire.Reason(reason.evidence, significant(reason.value), reason.weight, reason.text)
            for reason in judgement.reasons
        ],
    )
