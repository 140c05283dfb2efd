"""The state of the fleet: each watt once, nothing invented."""

import pytest

from agent.deliver import wire
from collector.fleet import fleet
from collector.series import Series, meter
from collector.state import Fleet
from collector.store.database import open_reader
from collector.store.reader import Reader, reading
from tests.collector.desk import Desk
from tests.collector.gateway import START_S, WINDOW_S, FakeGateway, named

MINING = (38_000.0, 42_000.0, 46_000.0)


def seen(desk: Desk) -> Fleet:
    """Give the fleet as it stands."""
    with reading(desk.database) as reader:
        return fleet(reader, START_S)


def series(desk: Desk, from_s: int | None = None, to_s: int | None = None) -> Series:
    """Give the series of the meter feeder-1."""
    with reading(desk.database) as reader:
        found = meter(reader, "campus-01", "feeder-1", from_s, to_s)
    assert found is not None
    return found


def test_loads_are_taken_at_the_top_and_mining_adds_up(desk: Desk) -> None:
    """A meter upstream reads the load of those below again, but is judged by what they do not see."""
    gateway = FakeGateway()
    desk.commit(
        gateway.status(named("main"), named("lab", parent="main"), named("pv", role="generation", parent="main")),
        gateway.summary("main", 0, 100_000.0, (7_000.0, 8_000.0, 9_000.0)),
        gateway.summary("lab", 0, 60_000.0, MINING, verdict="mining"),
        gateway.summary("pv", 0, -30_000.0),
    )

    (site,) = seen(desk).sites

    assert (site.load_w, site.mining_w) == (130_000.0, (45_000.0, 50_000.0, 55_000.0))  # 100 bought, 30 from the roof
    assert site.mining_share == pytest.approx(50 / 130)
    assert [meter.meter for meter in site.meters] == ["lab", "main", "pv"]


def test_meters_below_stand_for_a_silent_one(desk: Desk) -> None:
    """A dead main meter does not make the load unknown where its feeders are metered."""
    gateway = FakeGateway()
    desk.commit(
        gateway.status(named("main"), named("a", parent="main"), named("b", parent="main")),
        gateway.summary("main", 0, None, quality="T"),
        gateway.summary("a", 0, 1000.0),
        gateway.summary("b", 0, 2000.0),
    )

    assert seen(desk).sites[0].load_w == 3000.0


def test_sites_are_ranked_by_mining_load(desk: Desk) -> None:
    """The largest farm first, whatever the load."""
    small, big = FakeGateway("a-small"), FakeGateway("z-big")
    desk.commit(small.summary(watts=900_000.0), big.summary(watts=50_000.0, mining_w=MINING))

    assert [(site.gateway, site.state) for site in seen(desk).sites] == [("z-big", "unknown"), ("a-small", "unknown")]


def test_a_faulty_window_adds_no_mining_energy(desk: Desk) -> None:
    """No fault may create mining kWh: what was not measured well is not counted."""
    gateway = FakeGateway()
    desk.commit(
        gateway.summary(window=0, watts=50_000.0, mining_w=MINING),
        gateway.summary(window=1, watts=50_000.0, mining_w=MINING, quality="K"),
    )

    (site,) = seen(desk).sites

    assert site.meters[0].mining_kwh == 42.0 / 4
    assert site.meters[0].load_kwh == 50.0 / 2


def test_mining_energy_counts_from_the_start_that_the_alarm_named(desk: Desk) -> None:
    """What nobody knew before the alarm is counted with it: never more than was measured, each window once."""
    gateway = FakeGateway()
    desk.commit(
        gateway.summary(window=0, watts=50_000.0),  # before the start
        gateway.summary(window=1, watts=50_000.0),
        gateway.summary(window=2, watts=10_000.0),  # the farm cannot have drawn more than this
        gateway.summary(window=3, watts=50_000.0, quality="T"),
        gateway.summary(window=4, watts=50_000.0, mining_w=MINING),
        *(
            gateway.alarm(alarm=alarm, state="raised", since_s=START_S + WINDOW_S, raised_s=START_S + 5 * WINDOW_S)
            for alarm in ("aaaaaaaaaaaa", "bbbbbbbbbbbb")
        ),
    )

    assert seen(desk).sites[0].meters[0].mining_kwh == (42.0 + 10.0 + 42.0) / 4


def test_energy_comes_from_the_register_where_it_can(desk: Desk) -> None:
    """A day without windows still shows in the step of the register; a reset falls back to power."""
    gateway, day = FakeGateway(), 86_400 // WINDOW_S
    desk.commit(
        gateway.summary(window=0, watts=4000.0, energy_wh=10_000.0),  # 1 kWh, by power
        gateway.summary(window=2 * day, watts=4000.0, energy_wh=90_000.0),  # 80 kWh, by the register
        gateway.summary(window=3 * day, watts=4000.0, energy_wh=500.0),  # reset: 1 kWh, by power
        gateway.summary(window=4 * day, watts=4000.0, energy_wh=7500.0),  # 7 kWh, by the register
    )

    assert seen(desk).sites[0].meters[0].load_kwh == 89.0


@pytest.mark.parametrize("letter", ["X", "R"])
def test_an_exchanged_meter_brings_no_energy_with_it(letter: str, desk: Desk) -> None:
    """The new meter's reading is higher by megawatt-hours that nobody consumed here; from then on its steps count."""
    gateway, day = FakeGateway(), 86_400 // WINDOW_S
    desk.commit(
        gateway.summary(window=0, watts=4000.0, energy_wh=10_000.0),  # 1 kWh, by power
        gateway.summary(window=day, watts=4000.0, energy_wh=5_000_000.0, quality=letter),  # 1 kWh, by power
        gateway.summary(window=2 * day, watts=4000.0, energy_wh=5_007_000.0),  # 7 kWh, by the new register
    )

    assert seen(desk).sites[0].meters[0].load_kwh == 9.0


def test_the_curve_shows_gaps_as_gaps(desk: Desk) -> None:
    """A step without a window is null, never zero, and the newest value is last."""
    gateway = FakeGateway()
    desk.commit(
        gateway.summary(window=0, watts=1000.0),
        gateway.summary(window=3, watts=None),
        gateway.summary(window=5, watts=500.0),
    )

    assert seen(desk).sites[0].meters[0].curve == [1000.0, None, None, None, None, 500.0]


def test_the_curve_is_short_however_long_the_history(desk: Desk) -> None:
    """At most sixty means of at most two weeks."""
    gateway = FakeGateway()
    desk.commit(*(gateway.summary(window=window, watts=float(window)) for window in range(0, 96 * 30, 4)))

    curve = seen(desk).sites[0].meters[0].curve

    assert 50 <= len(curve) <= 60
    assert min(value for value in curve if value is not None) >= 96 * 16 - 1


def test_an_alarm_shows_its_last_state(desk: Desk) -> None:
    """Whatever order its messages came in; open alarms stand before cleared ones."""
    gateway = FakeGateway()
    raised, cleared = gateway.alarm(time_s=START_S), gateway.alarm(state="cleared", time_s=START_S + 9000)
    other = gateway.alarm(alarm="a2", time_s=START_S)
    desk.commit(cleared, other, raised)

    assert [(alarm.alarm, alarm.state) for alarm in seen(desk).alarms] == [("a2", "raised"), ("a1", "cleared")]
    assert seen(desk).alarms[0].reasons[0] == wire.Reason(
        "baseload_step", 42_000.0, 3.1, "the night load rose by 42 kW and stayed"
    )


def test_a_status_that_names_a_circle_does_not_hang_the_page(desk: Desk) -> None:
    """A parent of itself, and two of each other, are nonsense that must cost nothing."""
    gateway = FakeGateway()
    desk.commit(
        gateway.status(named("a", parent="b"), named("b", parent="a"), named("c", parent="c")), gateway.summary("a")
    )

    assert len(seen(desk).sites[0].meters) == 3


def test_a_long_series_is_thinned_and_hides_nothing(desk: Desk) -> None:
    """At most 2000 steps; a step keeps the extremes and the most serious verdict of its windows."""
    gateway = FakeGateway()
    desk.commit(
        *(
            gateway.summary(
                window=window, watts=1e6 if window == 2501 else 1e3, verdict="mining" if window == 2501 else "normal"
            )
            for window in range(5000)
        )
    )

    found = series(desk)

    assert (len(found.start_s), found.step_s) == (1667, 3 * WINDOW_S)
    assert max(value for value in found.active_power_max_w if value is not None) == pytest.approx(1.1e6)
    assert found.verdict.count("mining") == 1


def test_a_part_of_a_series_can_be_asked_for(desk: Desk) -> None:
    """From and to are on the grid of the windows, and a gap in it stays a gap."""
    gateway = FakeGateway()
    desk.commit(*(gateway.summary(window=window, watts=float(window)) for window in (0, 1, 2, 4, 5)))

    found = series(desk, START_S + WINDOW_S + 7, START_S + 5 * WINDOW_S)

    assert found.active_power_w == [1.0, 2.0, None, 4.0]
    assert found.verdict == ["normal", "normal", None, "normal"]


def test_a_senseless_range_is_empty(desk: Desk) -> None:
    """To before from gives no step, and no error."""
    gateway = FakeGateway()
    desk.commit(gateway.summary())

    assert series(desk, START_S + 9, START_S - 9).start_s == []


def test_a_site_shows_its_gateways_own_account_of_the_last_day(desk: Desk) -> None:
    """The newest one; and it is no news among the events."""
    gateway = FakeGateway()
    days = [gateway.event(f"the site drew {kwh} kWh", None, "site_day") for kwh in (900, 1200)]
    desk.commit(gateway.summary(), *days, gateway.event("meter feeder-1 answers again"))

    assert [site.last_day for site in seen(desk).sites] == ["the site drew 1200 kWh"]
    with reading(desk.database) as reader:
        assert [row["text"] for row in reader.events(10)] == ["meter feeder-1 answers again"]


def test_no_query_of_events_walks_through_years_of_them(desk: Desk) -> None:
    """The page asks after each commit: indices hold the newest, so nothing is sorted."""
    asked: list[str] = []
    db = open_reader(desk.database)
    db.set_trace_callback(asked.append)
    reader = Reader(db)
    reader.events(10)
    reader.site_day("campus-01")
    db.set_trace_callback(None)

    plans = [row["detail"] for sql in asked for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")]
    db.close()

    assert [plan for plan in plans if "B-TREE" in plan] == []
    assert len(plans) == len(asked) == 2
