"""What a gateway had to drop is declared, signed, and costs neither the chain nor the kilowatt-hours."""

import sqlite3
from contextlib import closing

import pytest

from agent.deliver import chain
from collector.store.reader import reading
from tests.collector.desk import Desk
from tests.collector.gateway import FakeGateway, Sent, total


def findings(desk: Desk) -> list[tuple[str, bool]]:
    """Give the kind of each finding and whether it is open."""
    with reading(desk.database) as reader:
        return sorted((row["kind"], row["resolved_s"] is None) for row in reader.findings(100))


def day(desk: Desk, number: int = 0) -> tuple[float, float, float | None]:
    """Give load, mining and import register of one day of the meter feeder-1."""
    with closing(sqlite3.connect(desk.database)) as database:
        rows = database.execute("SELECT load_wh, mining_wh, active_energy_import_wh FROM meter_day ORDER BY day_s")
        load_wh, mining_wh, import_wh = rows.fetchall()[number]
        return load_wh, mining_wh, import_wh


def dropped(gateway: FakeGateway, kept: int = 2, lost: int = 8) -> tuple[list[Sent], Sent, list[Sent]]:
    """Give the records before a gap, the gap over as many as were ``lost``, and those behind it."""
    before = [gateway.summary(window=window) for window in range(kept)]
    for window in range(kept, kept + lost):
        gateway.summary(window=window)
    gap = gateway.gap(kept + 1, kept + lost, total("feeder-1", kept, kept + lost - 1, lost * 3000.0, import_wh=5e6))
    return before, gap, [gateway.checkpoint(), gateway.summary(window=20), gateway.checkpoint()]


def test_the_chain_goes_on_behind_a_declared_gap(desk: Desk) -> None:
    """The receipt covers what follows, asks for nothing of the gap, and the next checkpoint certifies it."""
    gateway = FakeGateway()
    before, gap, after = dropped(gateway)

    receipts = desk.commit(gateway.status(), *before, *after, gap)

    assert [(receipt.through, receipt.missing) for receipt in receipts] == [(14, [])]
    assert receipts[0].head == gateway.head.hex()
    assert findings(desk) == [("gap", True)]
    with reading(desk.database) as reader:
        assert reader.streams(1)[0]["verified"] == 14


def test_a_gap_is_believed_as_soon_as_it_arrives(desk: Desk) -> None:
    """Its own signature makes it good: receipts go on before the checkpoint that covers it."""
    gateway = FakeGateway()
    before, gap, _ = dropped(gateway)

    (receipt,) = desk.commit(gateway.status(), *before, gap)

    assert (receipt.through, receipt.head) == (11, gateway.heads[11].hex())


def test_a_gap_that_overtook_the_change_of_key_is_settled(desk: Desk) -> None:
    """It is signed by a key that is named in a record which is still under way."""
    gateway = FakeGateway()
    told = [gateway.status(), gateway.summary(), gateway.rotate(), gateway.checkpoint()]
    gateway.use_next_key()
    gateway.summary()
    gap = gateway.gap(4, 4, total("feeder-1", 4, 4, 3000.0))
    desk.commit(told[0], gap)
    early = findings(desk)

    desk.commit(*told[1:])
    (receipt,) = desk.commit(gateway.checkpoint())

    assert (early, findings(desk)) == ([("signature", True)], [("gap", True), ("signature", False)])
    assert receipt.through == 6


@pytest.mark.parametrize("instead", ["another signature", "no gap at all"])
def test_the_true_gap_wins_over_what_came_in_its_place(desk: Desk, instead: str) -> None:
    """The chain waits for it: kept for ever, one message that somebody altered would stop the stream for ever."""
    gateway = FakeGateway()
    before, gap, after = dropped(gateway)
    other = FakeGateway()
    other.heads, other.seq = gateway.heads, 10
    false = other.gap(3, 10) if instead == "another signature" else other.event("x")
    desk.commit(gateway.status(), *before, false)

    (receipt,) = desk.commit(gap, *after)
    desk.commit(false)

    assert (receipt.through, receipt.head) == (14, gateway.head.hex())
    assert ("gap", True) in findings(desk)
    assert ("fork", True) in findings(desk)


def test_what_nobody_signed_is_looked_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that floods us with gaps must not cost the others more at each of its records."""
    gateway, forger = FakeGateway(), FakeGateway()
    desk.commit(gateway.status(), *gateway.windows(1))
    forger.seq, forger.heads = 4, gateway.heads
    flood = [forger.gap(1, 2) for _ in range(20)]
    looks: list[str] = []
    verify = chain.verify

    def counted(key: str, text: bytes, signature: str) -> None:
        looks.append(key)
        verify(key, text, signature)

    monkeypatch.setattr(chain, "verify", counted)

    for message in flood:
        desk.commit(message)

    assert len(looks) == 20


def test_a_gap_waits_for_the_key(desk: Desk) -> None:
    """Before the first status nobody can say who signed it."""
    gateway = FakeGateway()
    before, gap, after = dropped(gateway)
    (early,) = desk.commit(*before, gap, *after)

    (late,) = desk.commit(gateway.status())

    assert (early.through, late.through) == (2, 14)


def test_a_gap_of_another_key_is_a_finding_and_skips_nothing(desk: Desk) -> None:
    """Else whoever may publish could make the collector forget to ask."""
    gateway, forger = FakeGateway(), FakeGateway()
    before, gap, _ = dropped(forger)

    (receipt,) = desk.commit(gateway.status(), *before, gap)

    assert (receipt.through, receipt.missing) == (2, [(3, 10)])
    assert findings(desk) == [("signature", True)]


@pytest.mark.parametrize("late", [[], [2, 3], list(range(2, 10))])
def test_energy_survives_a_gap_and_is_counted_once(desk: Desk, late: list[int]) -> None:
    """Whatever of the dropped windows arrived all the same: the day has what all of them told."""
    gateway = FakeGateway()
    lost = [gateway.summary(window=window) for window in range(10)]
    gap = gateway.gap(3, 10, total("feeder-1", 2, 9, 8 * 3000.0, import_wh=5e6))

    desk.commit(gateway.status(), lost[0], lost[1], gap)
    desk.commit(*(lost[window] for window in late))

    assert day(desk) == pytest.approx((30_000.0, 0.0, 5e6))


def test_a_gap_over_midnight_is_shared_between_the_days(desk: Desk) -> None:
    """By the time without a window in each; the register's last reading belongs to the last day."""
    gateway = FakeGateway()
    for window in range(90, 100):
        gateway.summary(window=window)
    gap = gateway.gap(1, 10, total("feeder-1", 90, 99, 30_000.0, 10_000.0, import_wh=5e6))

    desk.commit(gateway.status(), gap)

    assert (day(desk, 0), day(desk, 1)) == ((18_000.0, 6_000.0, None), (12_000.0, 4_000.0, 5e6))


def test_a_gap_that_was_dropped_itself_is_not_counted_twice(desk: Desk) -> None:
    """Its totals live on in those of the gap that covers it."""
    gateway = FakeGateway()
    for window in range(10):
        gateway.summary(window=window)
    first = gateway.gap(1, 10, total("feeder-1", 0, 9, 30_000.0))
    gateway.summary(window=10)
    second = gateway.gap(1, 12, total("feeder-1", 0, 10, 33_000.0))

    desk.commit(gateway.status(), first)
    (receipt,) = desk.commit(second)

    assert day(desk)[0] == 33_000.0
    assert receipt.through == 13


def test_an_altered_record_that_is_dropped_before_it_is_healed_holds_up_nothing(desk: Desk) -> None:
    """The contradiction stands as a finding; the chain goes on behind the gap."""
    gateway = FakeGateway()
    records = gateway.windows(2)
    topic, payload = records[0]
    desk.commit(gateway.status(), (topic, payload.replace(b"12000.0", b"12001.0")), *records[1:])

    (receipt,) = desk.commit(gateway.gap(1, 4), gateway.checkpoint())

    assert (receipt.through, receipt.missing, receipt.head) == (6, [], gateway.head.hex())
    assert set(findings(desk)) == {("chain", True), ("gap", True)}


def test_a_gap_whose_record_was_altered_is_taken_back(desk: Desk) -> None:
    """The signed head convicts it; with the true bytes its true totals count."""
    gateway = FakeGateway()
    for window in range(2):
        gateway.summary(window=window)
    topic, payload = gateway.gap(1, 2, total("feeder-1", 0, 1, 6000.0))
    checkpoint = gateway.checkpoint()

    (receipt,) = desk.commit(gateway.status(), (topic, payload.replace(b"6000.0", b"9000.0")), checkpoint)
    wrong_wh = day(desk)[0]
    (healed,) = desk.commit((topic, payload))

    assert (receipt.missing, healed.through) == ([(3, 3)], 4)
    assert (wrong_wh, day(desk)[0]) == (9000.0, 6000.0)
