"""Faults of the clock, by a script in fast motion: meters live in the true time, the agent in what is left of it."""

from datetime import UTC, datetime

from tests.faults.bed import HOUR_S, Bed
from tests.faults.case import fault
from tests.faults.story import START_S, Story


def moment(hours: float) -> str:
    """Give the true time so many hours after the start, as a line of a script begins."""
    return datetime.fromtimestamp(START_S + hours * HOUR_S, UTC).isoformat()


@fault("T1", "boot 3 h in the past, sync after 10 min")
def booted_in_the_past(bed: Bed) -> str:
    """The clock is three hours behind and says so, until it is set at 00:20: anchor, correction, windows dated anew."""
    script = f"{moment(-1)} step_s=-10800 trust=U\n{moment(1 / 3)} step_s=10800 trust=S\n"
    bed.open(Story(hours=6, window_s=300, clock=script, speed=20_000))
    bed.start_agent()
    bed.finish()
    anchors, corrections = bed.events("clock_anchor"), bed.events("clock_correction")
    bed.check(distrusted=[("m1", 0, START_S + HOUR_S), ("m2", 0, START_S + HOUR_S), ("m3", 0, START_S + HOUR_S)])
    early = bed.count("SELECT count(*) FROM summary WHERE start_s < ?", START_S)
    assert anchors, "no anchor"
    assert corrections, "no correction"
    assert not early, f"{early} windows still stand three hours early"
    return f"{len(anchors)} anchor; {corrections[0]['text']}; all windows stand at their true time"


@fault("T2", "step +1 h / -1 h / +1 day / 1970 / 2038")
def stepped(bed: Bed) -> str:
    """The clock jumps an hour, a day, to 1970 and to 2038, and back each time: ends, no window twice, kWh right."""
    past_s, future_s = 3600 - START_S, 2_147_000_000 - START_S
    steps = [3600, -3600, 86_400, -86_400, past_s, -past_s, future_s, -future_s]
    lines = [f"{moment(3 + 3 * number)} step_s={step}" for number, step in enumerate(steps)]
    bed.open(Story(hours=30, clock="\n".join(lines) + "\n", speed=20_000))
    bed.start_agent()
    bed.finish()
    told = bed.events("clock_step")
    assert len(told) == len(steps), [one["text"] for one in told]
    keys = bed.query("SELECT meter, start_s, part, count(*) FROM summary GROUP BY 1, 2, 3 HAVING count(*) > 1")
    assert not keys, keys
    bed.check(allowed={"lost", "invented", "reordered", "energy_off"}, findings=None)
    measured_wh, true_wh = energy(bed)
    assert abs(measured_wh / true_wh - 1) < 0.02, (measured_wh, true_wh)
    return f"8 steps told; {measured_wh / 1000:.1f} kWh told, {true_wh / 1000:.1f} kWh true"


def energy(bed: Bed) -> tuple[float, float]:
    """Give what all records together tell of energy, and what flowed, in Wh."""
    told = "total(json_extract(CAST(payload AS TEXT), '$.active_power_w') * json_extract(CAST(payload AS TEXT),"
    told += " '$.coverage') * json_extract(CAST(payload AS TEXT), '$.window_s')) / 3600"
    measured = float(bed.query(f"SELECT {told} FROM record WHERE kind = 'summary'")[0][0])
    truth = bed.truth().power_w
    return measured, sum(watts for _, _, watts in truth) * bed.story.window_s / 3600


@fault("T3", "slow drift 200 ppm")
def drifting(bed: Bed) -> str:
    """The clock gains 200 ppm and claims to be synchronised: the receipts' time tells, and trust falls before 60 s."""
    script = f"{moment(-1)} drift_ppm=200\n"
    bed.open(Story(hours=120, clock=script, speed=12_000, period_s=300))
    bed.start_agent()
    bed.finish(200)
    doubts = bed.events("clock_doubt")
    assert doubts, "no receipt was compared"
    off_s = abs(float(doubts[0]["off_s"]))
    unmarked = bed.query(
        "SELECT max(json_extract(CAST(payload AS TEXT), '$.start_s')) FROM record WHERE kind = 'summary'"
        " AND json_extract(CAST(payload AS TEXT), '$.clock') IS NULL"
    )[0][0]
    drift_s = (unmarked - START_S) * 200e-6
    assert drift_s <= 75, f"a record that says synchronised was off by {drift_s:.0f} s"
    bed.check(allowed={"invented", "lost", "energy_off"}, findings=None)
    return f"first told at {off_s:.0f} s; the last record marked synchronised was off by {drift_s:.0f} s"


@fault("T4", "DST spring/autumn, leap second, month/year end")
def calendar(bed: Bed) -> str:
    """Over both changes of Berlin's summer time, a year's end and a leap second: UTC windows, none twice or missing."""
    days = ((2025, 12, 31), (2026, 3, 28), (2026, 10, 24), (2016, 12, 31))
    told = []
    for number, day in enumerate(days):
        start = datetime(*day, 18, tzinfo=UTC)
        part = bed.part(str(number))
        leap = f"{datetime(2017, 1, 1, tzinfo=UTC).isoformat()} step_s=-1\n" if start.year == 2016 else ""
        part.open(Story(start_s=start.timestamp(), hours=16, speed=40_000, clock=leap))
        part.start_agent(environment={"TZ": "Europe/Berlin"})
        part.finish()
        part.check(allowed={"energy_off"} if leap else set())
        told.append(f"{start:%Y-%m-%d}: {part.count('SELECT count(*) FROM summary')} windows")
        part.close()
    return "; ".join(told)


@fault("T5", "suspend 30 min")
def suspended(bed: Bed) -> str:
    """The machine sleeps for 30 minutes: the pause is told, no window of it is invented, energy goes by boot time."""
    bed.open(Story(hours=9, clock=f"{moment(5.1)} suspend_s=1800\n", speed=20_000))
    bed.start_agent()
    bed.finish()
    told = bed.events("pause")
    assert len(told) == 1, told
    bed.check()
    return f"{told[0]['text'][:60]}; {round(float(told[0]['pause_s']))} s"


@fault("T6", "LAN NTP lies by 6 h")
def lying_server(bed: Bed) -> str:
    """A time server lies by six hours and the kernel believes it: the receipts' time disagrees, an event says so."""
    bed.open(Story(hours=12, clock=f"{moment(4.05)} step_s=21600\n", speed=4_000))
    bed.start_agent()
    bed.finish()
    doubts = bed.events("clock_doubt")
    assert doubts, "nothing was told"
    assert doubts[0]["state"] == "distrusted", doubts
    bed.check(allowed={"invented", "lost"}, findings=None)
    return str(doubts[0]["text"])
