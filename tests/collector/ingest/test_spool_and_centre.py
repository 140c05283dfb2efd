"""The agent's own spool and the collector's intake, hand to hand: what one gives up, the other must understand."""

import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from agent.deliver import wire
from agent.deliver.link.receipts import CollectorBehindError, ReceiptDesk
from agent.deliver.link.restored_centre import declare_loss
from agent.deliver.spool.sacrifice import Sacrifice
from agent.deliver.spool.spool import Spool
from collector.ingest.enrolled import Enrolled
from collector.store.reader import reading
from tests.agent.deliver.centre import GATEWAY
from tests.agent.deliver.spool.windows import DAY_S, LOOSE, START_S, key_in, tell
from tests.collector.desk import Desk
from tests.collector.gateway import FakeGateway, Sent

DAY = 96  # windows
SEED = 5  # of what reaches the centre and in which order


def birth(spool: Spool, public_key: str) -> Sent:
    """Give the status by which the collector learns the key."""
    gateway = FakeGateway(GATEWAY, spool.stream)
    gateway.public_key, gateway.seq, gateway.receipted = public_key, spool.last_seq, spool.receipted
    return gateway.status()


def test_a_centre_that_lost_its_database_goes_on(tmp_path: Path) -> None:
    """The gateway meets a receipt that takes back an older one, signs what is gone, and is confirmed again."""
    key, spool, desk = key_in(tmp_path), Spool(tmp_path / "spool.db", GATEWAY), Desk(tmp_path / "first.db")
    receipts = ReceiptDesk(spool, desk.signer.public_key)

    def deliver(at: Desk) -> None:
        (message,) = at.commit(
            birth(spool, key.public_key), *((one.topic, one.payload) for one in spool.pending(0, 1000))
        )
        if (receipt := receipts.accept(wire.encode(message), message.time_s)) is not None:
            spool.receipt(receipt.through)

    for window in range(3):
        tell(spool, key, window)
    deliver(desk)
    desk.close()
    empty = Desk(tmp_path / "empty.db")
    empty.signer, empty.now_s = desk.signer, desk.now_s + 60
    empty.enrol(Enrolled())
    receipted = spool.receipted
    tell(spool, key, 3)
    with pytest.raises(CollectorBehindError) as behind:
        deliver(empty)
    declare_loss(spool, key, behind.value.through, START_S)
    deliver(empty)

    assert spool.receipted == spool.last_seq > receipted
    with reading(empty.database) as reader:
        assert [(row["kind"], row["to_seq"]) for row in reader.findings(9)] == [("lost", receipted)]


def loads(database: Path) -> list[tuple[int, float, float, float]]:
    """Give the sums of each day of the meter m0."""
    with closing(sqlite3.connect(database)) as opened:
        rows = opened.execute(
            "SELECT (day_s - ?) / 86400, round(load_wh, 3), round(mining_wh, 3), active_energy_import_wh"
            " FROM meter_day WHERE meter = 'm0' ORDER BY day_s",
            (START_S,),
        )
        return list(rows)


def test_days_without_a_centre_cost_no_energy(desk: Desk, tmp_path: Path) -> None:
    """The spool keeps a day; what it dropped is declared, gaps of gaps too; all days have their kWh, once."""
    chance, key, spool = random.Random(SEED), key_in(tmp_path), Spool(tmp_path / "spool.db", GATEWAY)
    sacrifice, receipts = Sacrifice(spool, key, replace(LOOSE, windows=DAY)), ReceiptDesk(spool, None)
    reached: list[Sent] = []
    for window in range(4 * DAY):
        tell(spool, key, window, alarms=[("stands", "raised")] if window == 3 else [])
        if chance.random() < 0.1:  # some records reach the centre, but no receipt comes back
            reached += [(one.topic, one.payload) for one in spool.pending(spool.last_seq - 2, 2)]
        sacrifice.make_room(START_S + window * 900)

    messages = [(envelope.topic, envelope.payload) for envelope in spool.pending(0, 1_000_000)]
    chance.shuffle(messages)
    desk.commit(birth(spool, key.public_key), *reached)
    for begin in range(0, len(messages), 200):
        for message in desk.commit(*messages[begin : begin + 200]):
            if (receipt := receipts.accept(wire.encode(message), message.time_s)) is not None:
                spool.receipt(receipt.through)

    assert spool.receipted == spool.last_seq
    assert desk.commit(birth(spool, key.public_key), every_stream=True)[0].missing == []
    assert [load for _, load, _, _ in loads(desk.database)] == pytest.approx([DAY * 250.0] * 4)
    assert [mining for _, _, mining, _ in loads(desk.database)] == pytest.approx([DAY * 125.0] * 4)
    assert loads(desk.database)[3][3] == 4 * DAY_S - 900
    with closing(sqlite3.connect(desk.database)) as opened:
        assert opened.execute("SELECT count(*) FROM alarm").fetchone() == (1,)
