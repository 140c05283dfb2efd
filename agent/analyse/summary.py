"""Judgements and window features as messages: scalars only, rounded to what a meter can know.

``stream`` and ``seq`` are filled in by the spool, which alone knows them.
"""

import math
from collections.abc import Sequence
from typing import Any

from agent.analyse.alarm import Change
from agent.analyse.analyst import Day, Findings
from agent.analyse.features.robust import mean
from agent.deliver import wire
from agent.records import Judgement, Verdict

_KEPT_HERE = ("noise_floor", "reactive_power_var", "outdoor_temperature_c")  # what the judgement alone needs
_DIGITS, _DECIMALS = 5, 3  # finer than a class 1 meter, and a summary stays below 400 bytes


def significant(value: float) -> float | int:
    """Round to five digits and three decimals; a whole number loses its decimal point, which saves bytes.

    >>> significant(12345.678), significant(0.98765432), significant(7.0), significant(0.0001)
    (12346, 0.988, 7, 0)
    """
    if value == 0 or not math.isfinite(value):
        return 0
    rounded = round(value, min(_DECIMALS, _DIGITS - 1 - math.floor(math.log10(abs(value)))))
    return int(rounded) if rounded == int(rounded) else rounded


def summaries(findings: Findings, judgements: Sequence[Judgement], part: int = 0) -> list[wire.Summary]:
    """Give one summary per meter. ``part`` numbers a window that a step of the clock has parted.

    What the number takes, a part leaves out again: since when there is mining, which the next window says.
    """
    return [_summary(findings, row, judgement, part) for row, judgement in enumerate(judgements)]


def _summary(findings: Findings, row: int, judgement: Judgement, part: int) -> wire.Summary:
    window = findings.window
    scalars: dict[str, Any] = {
        name: _scalar(values[row], name) for name, values in findings.features.items() if name not in _KEPT_HERE
    }
    return wire.Summary(
        v=wire.VERSION,
        kind="summary",
        stream="",
        seq=0,
        meter=judgement.meter,
        start_s=window.start_s,
        window_s=window.window_s,
        part=part,
        coverage=significant(float(window.coverage[row])),
        quality=window.quality[row].value,
        verdict=judgement.verdict.value,
        score=round(judgement.score, 3),
        mining_w=_watts(judgement),
        since_s=None if part else judgement.since_s,
        **scalars,
    )


def _scalar(value: float, name: str) -> float | int | None:
    if not math.isfinite(value):
        return None
    return round(float(value)) if name.endswith("_wh") else significant(float(value))


def _watts(judgement: Judgement) -> tuple[float, float, float]:
    low, middle, high = judgement.mining_w
    return significant(low), significant(middle), significant(high)


def alarms(findings: Findings) -> list[wire.Alarm]:
    """Give the alarms that the days which ended with this window raised, updated or cleared."""
    return [_alarm(change, day) for day in findings.days for change in day.changes]


def _alarm(change: Change, day: Day) -> wire.Alarm:
    judgement = change.judgement
    row = [judged.meter for judged in day.judgements].index(judgement.meter)
    load_w = float(mean(day.hourly_w[row]))
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


def sentence(alarm: wire.Alarm) -> str:
    """Give an alarm as one line for people."""
    if alarm.state == "cleared":
        return f"alarm {alarm.alarm} cleared: {alarm.meter} is {alarm.verdict} again"
    if alarm.verdict != Verdict.MINING:
        return f"alarm {alarm.alarm} {alarm.state}: {alarm.meter}: {alarm.reasons[0].text}"
    low, middle, high = (watts / 1000 for watts in alarm.mining_w)
    share = f"{100 * alarm.mining_share:.0f} % of the meter's load"
    return f"alarm {alarm.alarm} {alarm.state}: {alarm.meter} mines {middle:.1f} kW ({low:.1f} to {high:.1f}), {share}"
