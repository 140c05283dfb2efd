"""The pipeline under a clock that people and time servers set."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from agent.acquire.poll.poller import Poller
from agent.analyse.analyst import Analyst
from agent.analyse.history import History
from agent.analyse.quality.inspector import Inspector
from agent.analyse.site import Site
from agent.analyse.site_day import SiteBook
from agent.analyse.window import WindowBuilder
from agent.clock import Clock
from agent.deliver import wire
from agent.deliver.identity.keys import load_gateway_key
from agent.deliver.spool.spool import Spool
from agent.emission_factors import factors
from agent.pipeline import Pipeline, remembered
from agent.records import ClockReading, Sample
from tests.agent.analyse.stories import RULES, facts

DAY_S = 86_400
START_S = 20_500 * DAY_S
PERIOD_S = 60.0
WINDOW_S = 900


class SetClock:
    """A clock that is set by hand: ``settings``, in order, are when it is set and what it says then."""

    is_simulated = is_shared = False

    def __init__(self, start_s: float, settings: Sequence[tuple[float, float]]) -> None:
        self._time_s, self._boot_s = start_s, 0.0
        self._settings = list(settings)
        self.longest_s = 0.0

    def now_s(self) -> float:
        """Give what it says."""
        return self._time_s

    def read(self) -> ClockReading:
        """Give the time since the start beside it, which nobody sets."""
        return ClockReading(utc_s=self._time_s, boot_s=self._boot_s, boot_id="b1", trust="S", error_s=0.0)

    async def sleep_until(self, time_s: float) -> None:
        """Wait by the monotonic time, as a real one does; it may be set meanwhile."""
        wait_s = max(0.0, time_s - self._time_s)
        self.longest_s = max(self.longest_s, wait_s)
        self._time_s, self._boot_s = self._time_s + wait_s, self._boot_s + wait_s
        if self._settings and self._time_s >= self._settings[0][0]:
            self._time_s = self._settings.pop(0)[1]

    def true_s(self, time_s: float) -> float:
        """Give the same."""
        return time_s

    def patience_s(self, time_s: float) -> float | None:
        """Give the seconds that remain."""
        self.longest_s = max(self.longest_s, min(time_s - self._time_s, PERIOD_S))
        return 0.0


class SteadyPoller:
    """One meter that always answers."""

    async def poll(self, tick_s: float, _patience_s: float | None) -> list[Sample]:
        """Give a sample; it flickers as a real one."""
        values = {"active_power_w": 1000.0 + tick_s % 7, "voltage_l1_v": 230.0 + tick_s % 11 / 10}
        return [Sample("m", tick_s, "ok", values)]


@contextmanager
def at_work(
    folder: Path, clock: Clock, poller: object = None, period_s: float = PERIOD_S
) -> Iterator[tuple[Pipeline, Spool]]:
    """Compose a gateway of one meter whose state lies in ``folder``."""
    site = Site("office", (facts("m"),))
    with closing(Spool(folder / "spool.db", "gw")) as spool:
        memory = remembered(spool)
        with closing(Analyst("gw", site, RULES, folder / "history.db", spool.slots.get("analyst", b""))) as analyst:
            yield (
                Pipeline(
                    gateway="gw",
                    clock=clock,
                    poller=cast(Poller, poller or SteadyPoller()),
                    windows=WindowBuilder(("m",), period_s, WINDOW_S),
                    inspector=Inspector(site.meters, None, spool.slots.get("inspector", b"")),
                    analyst=analyst,
                    site_book=SiteBook(site, memory.stored_wh),
                    factors=factors("NO", ()),
                    spool=spool,
                    memory=memory,
                    key=load_gateway_key(folder / "key.pem"),
                    outlet=Listener(),
                    period_s=period_s,
                ),
                spool,
            )


class Listener:
    """Takes notice of new records and does nothing."""

    def notify(self) -> None:
        """Take notice."""


def told(spool: Spool, kind: str) -> list[dict[str, Any]]:
    """Give the records of a kind."""
    return [msgspec.json.decode(record.payload) for record in spool.pending(0, 10_000) if record.kind == kind]


def starts(spool: Spool) -> list[float]:
    """Give the starts of the windows that were told, in windows since the story began."""
    return [(summary["start_s"] - START_S) / WINDOW_S for summary in told(spool, "summary")]


def parts(spool: Spool) -> list[tuple[float, int, float]]:
    """Give start, part and coverage of what was told, starts in windows since the story began."""
    return [
        ((summary["start_s"] - START_S) / WINDOW_S, summary.get("part", 0), summary["coverage"])
        for summary in told(spool, "summary")
    ]


async def test_a_step_that_is_seen_while_something_else_is_told_does_not_stop_polling(tmp_path: Path) -> None:
    """The link reports its troubles at any time, and each record looks at the clock first."""
    clock = SetClock(START_S, [(START_S + 2 * 3600 + 300, START_S + 3600 + 300)])

    class Reporting(SetClock):
        async def sleep_until(self, time_s: float) -> None:
            await clock.sleep_until(time_s)
            pipeline.tell([])

    reporting = Reporting(0, [])
    reporting.now_s, reporting.read = clock.now_s, clock.read  # type: ignore[method-assign]
    with at_work(tmp_path, reporting) as (pipeline, spool):
        await pipeline.run(START_S + 3 * 3600)

        coverage = sum(part[2] for part in parts(spool))
    assert clock.longest_s <= PERIOD_S
    assert coverage == pytest.approx(16, abs=0.2)  # four hours were lived through


async def test_a_clock_set_back_by_an_hour_is_said_and_what_comes_again_is_told_as_another_part(tmp_path: Path) -> None:
    """Polling goes on at once, and no window replaces another that was measured an hour before."""
    clock = SetClock(START_S, [(START_S + 2 * 3600 + 300, START_S + 3600 + 300)])
    with at_work(tmp_path, clock) as (pipeline, spool):
        await pipeline.run(START_S + 3 * 3600)

        once = [(start, 0, 1.0) for start in range(8)]
        again = [(start, 2, 1.0) for start in range(5, 9)]
        assert parts(spool) == [
            *once,
            (8, 0, 0.333),
            (4, 2, 0.667),
            *again,
            *((start, 0, 1.0) for start in range(9, 12)),
        ]
        (step,) = told(spool, "event")
    assert (step["event"], step["data"]["step_s"]) == ("clock_step", -3600)
    assert clock.longest_s <= PERIOD_S


async def test_a_small_correction_loses_nothing(tmp_path: Path) -> None:
    """Ten minutes back within the open window: both parts of it are told."""
    clock = SetClock(START_S, [(START_S + WINDOW_S + 800, START_S + WINDOW_S + 200)])
    with at_work(tmp_path, clock) as (pipeline, spool):
        await pipeline.run(START_S + 3 * WINDOW_S)

        assert parts(spool) == [(0, 0, 1.0), (1, 0, 0.933), (1, 2, 0.8), (2, 0, 1.0)]


async def test_a_clock_set_forward_leaves_out_what_was_not_measured(tmp_path: Path) -> None:
    """Ticks go on from the new time; the two windows that were cut short are no fault of the meter."""
    clock = SetClock(START_S, [(START_S + WINDOW_S + 120, START_S + 9 * WINDOW_S + 120)])
    with at_work(tmp_path, clock) as (pipeline, spool):
        await pipeline.run(START_S + 11 * WINDOW_S)

        assert parts(spool) == [(0, 0, 1.0), (1, 0, 0.133), (9, 2, 0.867), (10, 0, 1.0)]
        assert [event["event"] for event in told(spool, "event")] == ["clock_step"]


async def test_a_clock_that_was_years_ahead_costs_only_the_time_it_was_wrong(tmp_path: Path) -> None:
    """Back in the present, windows are told at once and days are judged as if nothing had been."""
    ahead_s = START_S + 20 * 365 * DAY_S
    end_s = ahead_s + DAY_S
    lapse = [(START_S + 2 * DAY_S, ahead_s), (ahead_s + 3600, START_S + 2 * DAY_S + 3600), (START_S + 4 * DAY_S, end_s)]
    with at_work(tmp_path, SetClock(START_S, lapse)) as (pipeline, spool):
        await pipeline.run(end_s)

        assert [start for start in starts(spool) if start < 5 * 96] == [*range(2 * 96), *range(196, 4 * 96)]
        assert len(starts(spool)) == 4 * 96 - 4 + 4
        assert [event["event"] for event in told(spool, "event") if event["event"] != "site_day"] == ["clock_step"] * 3
    with closing(History(tmp_path / "history.db", ("m",))) as history:
        assert (history.first_day, history.days) == (START_S // DAY_S, 4)


async def test_a_gateway_that_starts_after_years_ahead_goes_on(tmp_path: Path) -> None:
    """The state on disk knows of a time to come; the next start in the present does not wait for it."""
    with at_work(tmp_path, SetClock(START_S + 9000 * DAY_S, [])) as (pipeline, _):
        await pipeline.run(START_S + 9000 * DAY_S + 2 * WINDOW_S)
    with at_work(tmp_path, SetClock(START_S, [])) as (pipeline, spool):
        await pipeline.run(START_S + 2 * WINDOW_S)

        assert starts(spool)[-2:] == [0, 1]


async def test_each_day_of_the_site_is_told_when_it_is_over(tmp_path: Path) -> None:
    """Load, mining and its sources, once a day, without a meter; the factor's year and source stand beside it."""
    with at_work(tmp_path, SetClock(START_S, [])) as (pipeline, spool):
        await pipeline.run(START_S + 2 * DAY_S + 2 * WINDOW_S)

        days = [event for event in told(spool, "event") if event["event"] == "site_day"]
    assert [event["time_s"] for event in days] == [START_S + DAY_S, START_S + 2 * DAY_S]
    assert {event["meter"] for event in days} == {None}
    assert days[0]["data"]["grid_load_wh"] == days[0]["data"]["load_wh"] == pytest.approx(24 * 1003, rel=0.001)
    assert days[0]["data"]["grid_factor"].startswith("0.015 kg/kWh (direct, 2023, NVE")
    assert days[0]["text"] == "the site drew 24 kWh, 100% of the time measured; no mining seen"


async def test_measuring_that_is_to_end_with_the_window_tells_it_whole(tmp_path: Path) -> None:
    """What takes effect at the next window, as a new interval, cuts none in two."""
    with at_work(tmp_path, SetClock(START_S, [])) as (pipeline, spool):
        pipeline.end_at(START_S + WINDOW_S)
        await pipeline.run()

        assert [summary["coverage"] for summary in told(spool, "summary")] == [1.0]


async def test_a_reply_is_signed_at_once(tmp_path: Path) -> None:
    """Who ordered something does not wait for the end of the window to know that the gateway said it."""
    reply = wire.Reply(
        v=1, kind="reply", stream="", seq=0, counter=7, command="diagnose", state="done",
        time_s=int(START_S), text="", data={},
    )  # fmt: skip
    with at_work(tmp_path, SetClock(START_S, [])) as (pipeline, spool):
        pipeline.reply([reply], {"commands": b"book"})

        assert [(record["seq"], record["counter"]) for record in told(spool, "reply")] == [(1, 7)]
        assert [checkpoint["through"] for checkpoint in told(spool, "checkpoint")] == [1]
        assert spool.pending(0, 1)[0].topic == "flatwatt/v1/gw/up/reply"
        assert spool.slots["commands"] == b"book"


@pytest.mark.parametrize("period_s", [0.1, 0.2, 0.3])
async def test_ticks_of_a_fraction_of_a_second_come_once_each(tmp_path: Path, period_s: float) -> None:
    """A tenth is no binary number: a tick that is rounded down must not be taken for the one before."""
    polled: list[float] = []

    class Poller(SteadyPoller):
        async def poll(self, tick_s: float, patience_s: float | None) -> list[Sample]:
            polled.append(tick_s)
            return await super().poll(tick_s, patience_s)

    with at_work(tmp_path, SetClock(START_S, []), Poller(), period_s) as (pipeline, _):
        await pipeline.run(START_S + 30)

    gaps = [later - earlier for earlier, later in pairwise(polled)]
    assert gaps == pytest.approx([period_s] * round(30 / period_s - 1), abs=1e-5)
