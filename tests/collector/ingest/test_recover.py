"""A collector's database that was lost, set back or damaged: what is readable counts, what is not is told."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.errors import EvidenceError, FlatwattError
from collector.ingest.recover import recover
from collector.store import database
from collector.store.ledger import Ledger
from collector.store.reader import reading
from tests.collector.desk import Desk
from tests.collector.gateway import FakeGateway, total

OURS = "collector_rolled_back"  # a gap's cause: not the gateway lost it


def rows(path: Path, table: str) -> list[tuple[object, ...]]:
    """Give what a table holds, but for what depends on the hour."""
    with closing(sqlite3.connect(path)) as opened:
        return sorted(opened.execute(f"SELECT * FROM {table}"), key=str)


def open_findings(path: Path) -> list[tuple[str, int, int]]:
    """Give kind and range of each open finding."""
    with reading(path) as reader:
        return [(row["kind"], row["seq"], row["to_seq"]) for row in reader.findings(100) if row["resolved_s"] is None]


def told(desk: Desk) -> FakeGateway:
    """Let a gateway tell something of every kind."""
    gateway = FakeGateway()
    desk.commit(gateway.status(), gateway.event("first start", None, "start"), *gateway.windows(300))
    gateway.summary()
    desk.commit(gateway.gap(602, 602, total("feeder-1", 0, 0, 3000.0)), gateway.reply(), gateway.alarm())
    desk.commit(gateway.checkpoint(), gateway.status())
    return gateway


def recovered(damaged: Path, target: Path) -> None:
    """Take over a database."""
    ledger = Ledger(target)
    recover(damaged, ledger)
    ledger.close()


def test_a_whole_database_is_taken_over_whole(desk: Desk, tmp_path: Path) -> None:
    """Every table that is derived is derived anew, and ends the same."""
    told(desk)

    recovered(desk.database, tmp_path / "new.db")

    for table in ("record", "summary", "meter_day", "alarm", "event", "reply", "gap", "gap_total", "finding"):
        assert rows(tmp_path / "new.db", table) == rows(desk.database, table)
    with reading(tmp_path / "new.db") as reader:
        assert [(row["through"], row["verified"]) for row in reader.streams(5)] == [(606, 606)]


def test_damaged_pages_cost_what_was_on_them(desk: Desk, tmp_path: Path) -> None:
    """The rest is taken over; the chain goes on behind what is lost for good, which is told for ever."""
    gateway = told(desk)
    desk.close()
    content = bytearray(desk.database.read_bytes())
    page = content.index(b'"seq":301,') // 4096
    content[page * 4096 : (page + 1) * 4096] = b"\xa5" * 4096
    desk.database.write_bytes(content)

    recovered(desk.database, tmp_path / "new.db")
    again = Desk(tmp_path / "new.db")
    (receipt,) = again.commit(gateway.status(), every_stream=True)
    declared = gateway.gap(receipt.through + 1, gateway.seq, cause=OURS)
    receipts = again.commit(declared, *gateway.windows(1))

    again.close()
    (lost, gap) = sorted(open_findings(tmp_path / "new.db"), reverse=True)
    assert (lost[0], gap[0]) == ("lost", "gap")
    assert lost[1] <= 301
    assert [(receipt.through, receipt.head) for receipt in receipts] == [(609, gateway.head.hex())]
    assert 500 < len(rows(tmp_path / "new.db", "record")) < 608


def test_a_lost_database_does_not_stop_the_gateways(desk: Desk) -> None:
    """They hold receipts for what they have no more: they declare it, and the chain goes on behind."""
    gateway = FakeGateway()
    gateway.windows(10)
    later = gateway.windows(2)

    (early,) = desk.commit(gateway.status(), *later)
    (receipt,) = desk.commit(gateway.gap(1, 20, cause=OURS))

    assert (early.through, receipt.through, receipt.head) == (0, 25, gateway.head.hex())
    assert open_findings(desk.database) == [("lost", 1, 20)]


def test_what_the_gateway_still_has_is_waited_for(desk: Desk) -> None:
    """Only what it holds a receipt for is gone."""
    gateway = FakeGateway()
    told = gateway.windows(10)
    pending = gateway.windows(2)

    (early,) = desk.commit(gateway.status(), *pending, gateway.gap(1, 19, cause=OURS))
    (receipt,) = desk.commit(told[19])

    assert (early.through, early.missing) == (19, [(20, 20)])
    assert (receipt.through, open_findings(desk.database)) == (25, [("lost", 1, 19)])


def test_without_a_signature_nothing_is_skipped(desk: Desk) -> None:
    """A status is not signed: a broker that keeps records back and makes one up lets no gateway forget them."""
    gateway = FakeGateway()
    gateway.windows(10)
    later = gateway.windows(1)
    gateway.receipted = 20

    (receipt,) = desk.commit(gateway.status(), *later)

    assert (receipt.through, receipt.missing) == (0, [(1, 20)])


def test_what_is_here_is_not_lost(desk: Desk) -> None:
    """A receipt that goes back for altered records makes a gateway declare what it has no more; all of it is here."""
    gateway = FakeGateway()

    (receipt,) = desk.commit(gateway.status(), *gateway.windows(2), gateway.gap(1, 4, cause=OURS))

    assert (receipt.through, open_findings(desk.database)) == (5, [("gap", 1, 4)])


def test_what_arrived_later_is_taken_over_too(desk: Desk, tmp_path: Path) -> None:
    """Records are taken over in the order of their arrival; none is called lost because it stands further on."""
    gateway = FakeGateway()
    told = gateway.windows(300)
    desk.commit(gateway.status(), *told[-2:], *told[:598])
    gateway.receipted = 598
    desk.commit(gateway.status())

    recovered(desk.database, tmp_path / "new.db")

    assert open_findings(tmp_path / "new.db") == []
    with reading(tmp_path / "new.db") as reader:
        assert reader.streams(1)[0]["verified"] == 600


def test_a_database_of_an_earlier_version_says_the_next_step(desk: Desk) -> None:
    """Its records are taken over in the same way."""
    told(desk)
    desk.close()
    with closing(sqlite3.connect(desk.database)) as opened:
        opened.execute("PRAGMA user_version = 1")

    with pytest.raises(FlatwattError, match=r"--recover .*collector\.db\.old"):
        database.open_writer(desk.database)


def test_a_file_in_which_nothing_can_be_read_is_said_to_be(tmp_path: Path) -> None:
    """With the next step, and no traceback."""
    (tmp_path / "garbage.db").write_bytes(b"garbage" * 1000)

    with pytest.raises(EvidenceError, match="nothing of a collector's database can be read"):
        recovered(tmp_path / "garbage.db", tmp_path / "new.db")
