"""What is told of the clock: events with the numbers that date records anew."""

from agent.deliver.wire import VERSION, Event
from agent.records import ClockReading


def _event(name: str, reading: ClockReading, text: str, data: dict[str, float | int | str | None]) -> Event:
    return Event(
        v=VERSION,
        kind="event",
        stream="",
        seq=0,
        meter=None,
        event=name,
        time_s=max(0, int(reading.utc_s)),
        text=text,
        data={**data, "boot_id": reading.boot_id, "boot_s": round(reading.boot_s, 3)},
    )


def stepped(reading: ClockReading, step_s: float) -> Event:
    """Say that the clock was set: what it would say now, and what it says."""
    way = "forward" if step_s > 0 else "back"
    text = f"the clock was set {way} by {abs(step_s):,.1f} s; the window that was open is told as a part"
    before_s = round(reading.utc_s - step_s, 3)
    return _event(
        "clock_step",
        reading,
        text,
        {"before_s": before_s, "after_s": round(reading.utc_s, 3), "step_s": round(step_s, 3)},
    )


def anchored(reading: ClockReading) -> Event:
    """Say that a time server has set the clock: from here on UTC and boot time are known together."""
    text = f"the clock is synchronised, to {reading.error_s:.3f} s at most, {reading.boot_s:,.0f} s after the boot"
    data = {"utc_s": round(reading.utc_s, 3), "uncertainty_s": round(reading.error_s, 3)}
    return _event("clock_anchor", reading, text, {**data})


def corrected(reading: ClockReading, from_seq: int, through_seq: int, offset_s: float) -> Event:
    """Say of records by how much their time was wrong: true = told + ``offset_s``."""
    way = "later" if offset_s > 0 else "earlier"
    text = f"records {from_seq} to {through_seq} were made {abs(offset_s):,.1f} s {way} than they say"
    data = {"from_seq": from_seq, "through_seq": through_seq, "offset_s": round(offset_s, 3)}
    return _event("clock_correction", reading, text, {**data})


def doubted(reading: ClockReading, error_s: float, word: str) -> Event:
    """Say that the collector's time and ours disagree, by how much at least, or that they agree again."""
    data = {"off_s": round(error_s, 3), "utc_s": round(reading.utc_s, 3)}
    if not word:
        text = "the collector's time and this clock agree again"
        return _event("clock_doubt", reading, text, {"state": "cleared", **data})
    way = "behind" if error_s > 0 else "ahead of"
    text = f"this clock is at least {abs(error_s):,.0f} s {way} the collector's: check the time servers of both"
    return _event("clock_doubt", reading, text, {"state": "distrusted" if word == "distrust" else "raised", **data})


def paused(reading: ClockReading, pause_s: float) -> Event:
    """Say that nothing was measured for a while: the machine slept, or the process was kept from running."""
    text = f"nothing was measured for {pause_s:,.0f} s: the machine slept, or had no time for this process"
    return _event("pause", reading, text, {"from_s": round(reading.utc_s - pause_s, 3), "pause_s": round(pause_s, 3)})
