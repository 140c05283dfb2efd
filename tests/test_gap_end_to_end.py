"""Gaps from the spool to the collector: the chain goes on behind them, and every kWh is there once."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from agent.deliver import wire
from agent.deliver.identity.keys import GatewayKey
from agent.deliver.link.receipts import ReceiptDesk
from agent.deliver.spool.sacrifice import Sacrifice
from agent.deliver.spool.spool import Spool
from agent.records import Envelope
from tests.agent.deliver.centre import GATEWAY
from tests.agent.deliver.spool.windows import LOOSE, START_S, WINDOW_S, key_in, tell
from tests.collector.desk import Desk

DAY = 12  # windows, of every second hour


def birth(spool: Spool, key: GatewayKey) -> tuple[str, bytes]:
    """Give the status by which the collector pins the gateway's key."""
    status = wire.Status(
        v=1, kind="status", state="online", gateway=GATEWAY, name="", site="", site_kind="office", software="",
        boot_id="b", stream=spool.stream, delivery="collector", clock="synchronised", time_s=START_S,
        window_s=WINDOW_S, public_key=key.public_key, meters=[],
    )  # fmt: skip
    return wire.topic(GATEWAY, "status"), wire.encode(status)


def deliver(spool: Spool, centre: Desk, desk: ReceiptDesk, envelopes: list[Envelope]) -> None:
    """Hand records to the collector, and its receipts to the spool."""
    for receipt in centre.commit(*[(envelope.topic, envelope.payload) for envelope in envelopes]):
        believed = desk.accept(wire.encode(receipt), 0.0)
        if believed is not None:
            spool.receipt(believed.through)


@pytest.mark.parametrize("seed", range(2))
def test_a_collector_that_was_away_for_too_long_gets_all_energy_once(tmp_path: Path, seed: int) -> None:
    """Some of what was dropped had arrived, gaps overtake and are joined, and records come in any order."""
    chance = Random(seed)
    spool, key = Spool(tmp_path / "spool.db", GATEWAY), key_in(tmp_path)
    centre, desk = Desk(tmp_path / "collector.db"), ReceiptDesk(spool, None)
    sacrifice = Sacrifice(spool, key, replace(LOOSE, windows=DAY))
    centre.commit(birth(spool, key))
    arrived: list[Envelope] = []
    for window in range(6 * DAY):
        tell(spool, key, 8 * window)
        arrived += [envelope for envelope in spool.pending(spool.last_seq - 3, 3) if chance.random() < 0.2]
        sacrifice.make_room(START_S)
        if window == 4 * DAY:
            deliver(spool, centre, desk, spool.pending(0, 100_000, kinds=("gap",)))
    chance.shuffle(arrived)

    deliver(spool, centre, desk, arrived)
    rest = spool.pending(0, 100_000)
    chance.shuffle(rest)
    deliver(spool, centre, desk, rest)

    assert (spool.receipted, spool.pending(0, 1)) == (spool.last_seq, [])
    with sqlite3.connect(tmp_path / "collector.db") as db:
        sums = dict(db.execute("SELECT meter, sum(load_wh) FROM meter_day GROUP BY meter"))
    assert sums == {meter: pytest.approx(6 * DAY * 250.0, rel=1e-6) for meter in ("m0", "m1")}
