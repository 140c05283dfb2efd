from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from agent.deliver import chain, wire
from agent.deliver.identity.keys import GatewayKey
from agent.deliver.spool import sacrifice as sacrifice_module
from agent.deliver.spool.file import LOG_BYTES
from agent.deliver.spool.sacrifice import Bounds, Sacrifice
from agent.deliver.spool.spool import Spool
from agent.deliver.spool.upkeep import Upkeep
from tests.agent.deliver.centre import GATEWAY
from tests.agent.deliver.spool.windows import DAY_S, LOOSE, NOW, START_S, key_in, records, tell

DAY = 96  # windows
WINDOW_WH = 250.0  # of one meter
SMALL = replace(LOOSE, spool_bytes=2 * LOG_BYTES)  # half of it for records


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return Spool(tmp_path / "spool.db", GATEWAY)


@pytest.fixture
def key(tmp_path: Path) -> GatewayKey:
    """The gateway's key."""
    return key_in(tmp_path)


def gaps(spool: Spool) -> list[wire.Gap]:
    """Give the gaps that wait, the oldest range first."""
    found = [gap for gap in records(spool, "gap") if isinstance(gap, wire.Gap)]
    return sorted(found, key=lambda gap: gap.from_seq)


def energy_wh(spool: Spool) -> float:
    """Add up what summaries and gaps say."""
    told = sum(s.active_power_w or 0.0 for s in records(spool, "summary") if isinstance(s, wire.Summary)) / 4
    return told + sum(total.load_wh for gap in gaps(spool) for total in gap.totals)


def test_nothing_is_dropped_within_the_bounds(spool: Spool, key: GatewayKey) -> None:
    """A spool with room is left alone."""
    tell(spool, key, 0)

    Sacrifice(spool, key, LOOSE).make_room(START_S)

    assert (spool.floor, gaps(spool)) == (0, [])


def test_too_many_windows_cost_the_oldest_day(spool: Spool, key: GatewayKey) -> None:
    """Age is counted in windows; a signed gap keeps the day's energy, and its head carries the chain on."""
    for window in range(2 * DAY + 1):
        tell(spool, key, window)
    before = spool.head_at(3 * DAY)

    Sacrifice(spool, key, replace(LOOSE, windows=2 * DAY)).make_room(START_S + 3 * DAY_S)

    (gap,) = gaps(spool)
    assert (gap.from_seq, gap.through_seq, gap.cause) == (1, 3 * DAY, "spool_age")
    assert gap.records == {"summary": 2 * DAY, "checkpoint": DAY}
    assert [(total.meter, total.start_s, total.end_s, total.load_wh, total.mining_wh) for total in gap.totals] == [
        (meter, START_S, START_S + DAY_S, DAY * WINDOW_WH, DAY * WINDOW_WH / 2) for meter in ("m0", "m1")
    ]
    assert gap.totals[0].active_energy_import_wh == DAY_S - 900
    assert before is not None
    assert gap.head == before.hex()
    text = chain.gap_text(GATEWAY, spool.stream, 1, 3 * DAY, gap.head, gap.time_s)
    chain.verify(key.public_key, text, gap.sig)


def test_a_clock_that_leaps_empties_no_spool(spool: Spool, key: GatewayKey) -> None:
    """In 2038, or where a stranger sets the clock, no window has become older."""
    for window in (0, 1, 600_000):
        tell(spool, key, window)

    Sacrifice(spool, key, replace(LOOSE, windows=100)).make_room(2**31)

    assert spool.floor == 0


def test_a_full_spool_drops_the_oldest_and_keeps_all_energy(spool: Spool, key: GatewayKey) -> None:
    """However long the collector is away: the bound holds, no kWh is lost, and old gaps join into fewer."""
    sacrifice = Sacrifice(spool, key, SMALL)
    for window in range(320):
        tell(spool, key, window, meters=60)
        sacrifice.make_room(START_S)

    assert spool.bytes_used <= LOG_BYTES
    assert energy_wh(spool) == pytest.approx(320 * 60 * WINDOW_WH)
    ranges = [(gap.from_seq, gap.through_seq) for gap in gaps(spool)]
    assert ranges[0][0] == 1
    assert ranges[-1][1] == spool.floor
    assert all(first[1] + 1 == second[0] for first, second in pairwise(ranges))


def test_gaps_that_have_become_old_are_joined(spool: Spool, key: GatewayKey) -> None:
    """Days that were dropped one by one become one gap when their gaps are dropped."""
    sacrifice = Sacrifice(spool, key, replace(LOOSE, windows=DAY))
    for window in range(6 * DAY):
        tell(spool, key, window)
        sacrifice.make_room(START_S)

    joined = gaps(spool)[0]
    assert joined.from_seq == 1
    assert joined.totals[0].load_wh >= 3 * DAY * WINDOW_WH
    assert energy_wh(spool) == pytest.approx(6 * DAY * 2 * WINDOW_WH)


def test_the_newest_state_of_an_alarm_is_told_again(spool: Spool, key: GatewayKey) -> None:
    """An alarm that was raised on the dropped day and not told of since stays; one that was cleared later does not."""
    tell(spool, key, 0, alarms=[("stands", "raised"), ("ended", "raised")])
    tell(spool, key, 1, alarms=[("stands", "updated")])
    for window in range(2, 2 * DAY):
        tell(spool, key, window)
    tell(spool, key, 2 * DAY, alarms=[("ended", "cleared")])

    Sacrifice(spool, key, replace(LOOSE, windows=2 * DAY)).make_room(START_S)

    alarms = [alarm for alarm in records(spool, "alarm") if isinstance(alarm, wire.Alarm)]
    assert [(alarm.alarm, alarm.state) for alarm in alarms] == [("ended", "cleared"), ("stands", "updated")]


def test_receipts_go_on_behind_a_gap(spool: Spool, key: GatewayKey) -> None:
    """The head at the end of a gap stays known until a receipt covers it, though the record is gone."""
    for window in range(2 * DAY + 1):
        tell(spool, key, window)
    sacrifice = Sacrifice(spool, key, replace(LOOSE, windows=2 * DAY))
    sacrifice.make_room(START_S)
    (gap,) = gaps(spool)

    spool.receipt(gap.through_seq - 1)
    assert spool.receipted == 0  # a receipt inside the gap cannot be compared

    spool.receipt(gap.through_seq)
    assert spool.receipted == gap.through_seq
    spool.receipt(spool.last_seq)
    assert (spool.receipted, spool.pending(0, 1)) == (spool.last_seq, [])


def test_damage_that_is_found_while_dropping_drops_nothing(
    spool: Spool, key: GatewayKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What should go lies aside then, and the new stream's numbers mean other records."""
    upkeep = Upkeep(spool, key, LOOSE, lambda: NOW)
    monkeypatch.setattr(sacrifice_module, "_STEP_RECORDS", 3 * DAY + 10)
    for window in range(2 * DAY):
        tell(spool, key, window)
    tell(spool, key, 2 * DAY, alarms=[("a", "raised")])
    old = spool.stream
    spool._file._db.execute("UPDATE record SET payload = CAST(payload || ' ' AS BLOB) WHERE kind = 'alarm'")

    Sacrifice(spool, key, replace(LOOSE, windows=2 * DAY)).make_room(START_S)
    while upkeep.salvage():
        pass

    assert spool.stream != old
    assert (spool.floor, gaps(spool)) == (0, [])
    assert len(records(spool, "summary")) == 2 * (2 * DAY + 1)


def test_a_disk_that_others_filled_stops_growth(spool: Spool, key: GatewayKey, tmp_path: Path) -> None:
    """Less is free than others shall have: the spool lives on what it has, and spools put aside are deleted."""
    aside = tmp_path / "spool.db.corrupt-1"
    aside.write_bytes(b"x")
    bounds = Bounds(spool_bytes=LOG_BYTES, windows=100_000, disk_free_bytes=2**60)
    sacrifice = Sacrifice(spool, key, bounds)
    for window in range(100):
        tell(spool, key, window, meters=60)
        sacrifice.make_room(START_S)

    assert not aside.exists()
    assert gaps(spool)[0].cause == "disk_free"
    assert spool.file_bytes <= LOG_BYTES // 4
    assert energy_wh(spool) == pytest.approx(100 * 60 * WINDOW_WH)


def test_alarms_alone_are_not_given_up(spool: Spool, key: GatewayKey) -> None:
    """Where nothing but alarms is left to drop, dropping wins nothing and is not done."""
    with spool.batch() as batch:
        batch.slots["large"] = bytes(LOG_BYTES)
    tell(spool, key, 0, meters=0, alarms=[("a", "raised")])

    Sacrifice(spool, key, SMALL).make_room(START_S)

    assert (spool.floor, len(records(spool, "alarm"))) == (0, 1)
