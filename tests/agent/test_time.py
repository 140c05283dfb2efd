"""The pipeline under clocks that are wrong, are set, drift and sleep: nothing is lost, doubled or dated wrongly."""

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.clock_script import ScriptedClock, read_script
from agent.deliver.spool.spool import Spool
from agent.pipeline import Pipeline
from agent.records import Receipt, Sample
from tests.agent.test_pipeline import at_work, told

HOUR_S, DAY_S = 3600.0, 86_400.0
START_S = 1_767_571_200.0  # 2026-01-05
PERIOD_S, WINDOW_S = 60.0, 900
TICKS = 15


class TruePoller:
    """One meter whose power says what true time it is: minutes since the start, in kilowatts."""

    def __init__(self, clock: ScriptedClock) -> None:
        self._clock = clock
        self.polls: list[float] = []

    async def poll(self, tick_s: float, _patience_s: float | None) -> list[Sample]:
        """Give a sample."""
        kilowatts = (self._clock.driven_s() - START_S) / 60.0
        self.polls.append(kilowatts)
        return [Sample("m", tick_s, "ok", {"active_power_w": 1000.0 * kilowatts})]


@contextmanager
def gateway(folder: Path, script: str) -> Iterator[tuple[Pipeline, Spool, TruePoller]]:
    """Compose a gateway whose clock goes by a script."""
    (folder / "script").write_text(script)
    clock = ScriptedClock(folder / "clock", START_S, 1e12, read_script(folder / "script"))
    poller = TruePoller(clock)
    with at_work(folder, clock, poller) as (pipeline, spool):
        yield pipeline, spool, poller


def at(hours: float) -> str:
    """Give a moment of the script, in hours since the start."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START_S + hours * HOUR_S))


def minutes_told(spool: Spool) -> list[float]:
    """Give the polls that the windows hold, by how much each window covers."""
    return [summary["coverage"] * TICKS for summary in told(spool, "summary")]


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S, DAY_S, -400 * DAY_S, -START_S, 2**31 - START_S, 2**32 - START_S])
async def test_a_step_loses_no_poll_and_doubles_no_window(tmp_path: Path, step_s: float) -> None:
    """An hour, a day, to 1970, to 2038 and to 2106, for two hours and back: every poll is told once."""
    there, back = f"{at(3.1)} step_s={step_s}\n", f"{at(5.1)} step_s={-step_s}\n"
    with gateway(tmp_path, there + back) as (pipeline, spool, poller):
        await pipeline.run(START_S + 8 * HOUR_S)

        keys = [(summary["start_s"], summary.get("part", 0)) for summary in told(spool, "summary")]
        assert len(keys) == len(set(keys)) <= 8 * 4 + 2
        assert sum(minutes_told(spool)) == pytest.approx(len(poller.polls), abs=0.1)
        assert len(poller.polls) >= 8 * 60 - 2
        steps = [event["data"]["step_s"] for event in told(spool, "event") if event["event"] == "clock_step"]
    assert steps == [step_s, -step_s]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 200), st.sampled_from([-7200, -901, -3, -0.6, 0.4, 0.7, 59, 900, 5400, 90_000, -100_000])
        ),
        max_size=6,
        unique_by=lambda change: change[0],
    ),
    st.sampled_from([0, 200, -500]),
)
@example([(20, -900), (40, 900), (60, -900)], 0)
async def test_whatever_is_done_to_the_clock_every_poll_is_told_once(
    changes: list[tuple[int, float]], ppm: int
) -> None:
    """Energy of all windows and parts equals the truth, up to the window that is still open."""
    lines = [f"{at(-1)} drift_ppm={ppm}"]
    lines += [f"{at(minute / 60)} step_s={step_s}" for minute, step_s in sorted(changes)]
    with TemporaryDirectory() as folder, gateway(Path(folder), "\n".join(lines)) as (pipeline, spool, poller):
        await pipeline.run(START_S + 4 * HOUR_S)

        summaries = told(spool, "summary")
        keys = [(summary["start_s"], summary.get("part", 0)) for summary in summaries]
        minutes = sum(minutes_told(spool))
        wh = sum(s["active_power_w"] * s["coverage"] * s["window_s"] / 3600 for s in summaries)
        events = len(told(spool, "event"))
    assert len(keys) == len(set(keys)) <= 4 * 4 + 2 + 2 * len(changes)
    assert len(poller.polls) - TICKS <= minutes + 0.1 <= len(poller.polls) + 0.2
    assert wh == pytest.approx(sum(poller.polls[: round(minutes)]) * 1000 / 60, rel=0.002)
    assert events <= 3 * len(changes) + 2


async def test_windows_before_the_first_synchronisation_are_dated_right_by_the_correction(tmp_path: Path) -> None:
    """Booted three hours in the past, set right after ten minutes: each window lands where it was measured."""
    script = f"{at(-1)} step_s=-10800 trust=U\n{at(1 / 6)} step_s=10800 trust=S\n"
    with gateway(tmp_path, script) as (pipeline, spool, _):
        await pipeline.run(START_S + 2 * HOUR_S)

        corrections = [event["data"] for event in told(spool, "event") if event["event"] == "clock_correction"]
        summaries = told(spool, "summary")
        anchors = [event["data"]["utc_s"] for event in told(spool, "event") if event["event"] == "clock_anchor"]
    dated = {}
    for summary in summaries:
        offset_s = sum(c["offset_s"] for c in corrections if c["from_seq"] <= summary["seq"] <= c["through_seq"])
        middle_s = START_S + summary["active_power_w"] * 60 / 1000
        dated[summary["start_s"] + offset_s, summary.get("part", 0)] = middle_s
    assert anchors == [START_S + 600]
    assert len(dated) == len(summaries)
    assert all(start_s <= middle_s < start_s + WINDOW_S for (start_s, _), middle_s in dated.items())
    assert [summary.get("clock", "S") for summary in summaries] == ["U"] + ["S"] * 8


async def test_a_checkpoint_tells_utc_and_boot_time_of_one_moment(tmp_path: Path) -> None:
    """Also that of the part which a step ends: it is still of the time before."""
    with gateway(tmp_path, f"{at(0.6)} step_s=7000\n") as (pipeline, spool, _):
        await pipeline.run(START_S + 2 * HOUR_S)

        pairs = [(point["time_s"] - point["boot_s"], point["boot_id"]) for point in told(spool, "checkpoint")]
    assert pairs[:3] == [(0.0, "driven0")] * 3
    assert set(pairs[3:]) == {(7000.0, "driven0")}


async def test_half_an_hour_of_sleep_is_declared_and_adds_no_energy(tmp_path: Path) -> None:
    """Boot time runs through it: no step, and the windows say how much of them was measured."""
    with gateway(tmp_path, f"{at(1.1)} suspend_s=1800\n") as (pipeline, spool, poller):
        await pipeline.run(START_S + 3 * HOUR_S)

        (pause,) = told(spool, "event")
        assert sum(minutes_told(spool)) == pytest.approx(len(poller.polls), abs=0.1)
    assert len(poller.polls) == 3 * 60 - 30
    assert (pause["event"], pause["data"]["pause_s"]) == ("pause", pytest.approx(1800, abs=PERIOD_S))


async def test_a_restart_after_a_boot_in_the_past_tells_other_parts(tmp_path: Path) -> None:
    """Without a battery-backed clock the time goes back to the last shutdown's: no window replaces an earlier one."""
    script = f"{at(1.99)} boot step_s=-4000 trust=U\n{at(2.5)} step_s=4000 trust=S\n"
    with gateway(tmp_path, script) as (pipeline, _, _):
        await pipeline.run(START_S + 2 * HOUR_S)
    with gateway(tmp_path, script) as (pipeline, spool, _):
        await pipeline.run(START_S + 4 * HOUR_S)

        keys = [(summary["start_s"], summary.get("part", 0)) for summary in told(spool, "summary")]
        told_events = [event["event"] for event in told(spool, "event")]
    assert len(keys) == len(set(keys))
    assert told_events == ["clock_step", "clock_anchor", "clock_correction"]


async def test_records_say_so_when_the_collector_contradicts_the_clock(tmp_path: Path) -> None:
    """An hour ahead of the receipts: from the next look on nothing is called synchronised."""
    with gateway(tmp_path, f"{at(-1)} step_s=3600\n") as (pipeline, spool, _):
        await pipeline.run(START_S + 0.6 * HOUR_S)
        through, time_s = spool.last_seq, int(START_S + 0.6 * HOUR_S)
        pipeline.on_receipt(Receipt(gateway="gw", stream="s", through=through, missing=(), head="", time_s=time_s))
        pipeline.tell([])

        (doubt,) = [event for event in told(spool, "event") if event["event"] == "clock_doubt"]
    assert (doubt["data"]["state"], doubt["clock"]) == ("distrusted", "I")


@pytest.fixture
def berlin() -> Iterator[None]:
    """Let the process live in a zone with daylight saving."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize("night", ["2026-03-29", "2026-10-25", "2026-12-31", "2028-02-29"])
async def test_no_zone_and_no_calendar_shows_in_the_data(tmp_path: Path, night: str) -> None:
    """Daylight saving begins and ends, a year and a leap month end: every quarter of an hour is told once, in UTC."""
    offset_s = math.floor((time.mktime(time.strptime(night, "%Y-%m-%d")) - START_S) / DAY_S) * DAY_S + 20 * HOUR_S
    with gateway(tmp_path, f"{at(-1)} step_s={offset_s}\n") as (pipeline, spool, _):
        await pipeline.run(START_S + 12 * HOUR_S)

        starts = [summary["start_s"] for summary in told(spool, "summary")]
        parts = [summary.get("part", 0) for summary in told(spool, "summary")]
    assert starts[0] == START_S + offset_s
    assert {after - before for before, after in pairwise(starts)} == {WINDOW_S}
    assert (len(starts), set(parts)) == (48, {0})
