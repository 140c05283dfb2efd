"""How often receipts go out."""

from agent.deliver import wire
from collector.ingest.pace import Pace


def receipt(through: int, stream: str = "s1") -> wire.ReceiptMessage:
    """What the collector would say of one gateway's stream."""
    return wire.ReceiptMessage(
        v=1, kind="receipt", gateway="gw", stream=stream, through=through, missing=[], head="", time_s=0,
        public_key="", sig="",
    )  # fmt: skip


def test_the_first_receipt_goes_at_once_and_then_the_newest_each_second() -> None:
    """A flood of records is confirmed by few receipts, and the last of it is never left out."""
    pace, out = Pace(), []
    for tenth in range(35):
        if tenth <= 23:
            pace.put([receipt(tenth)])
        out += [(tenth, message.through) for message in pace.take(tenth / 10)]

    assert out == [(0, 0), (10, 10), (20, 20), (30, 23)]


def test_the_pause_ends_when_the_next_one_is_due() -> None:
    """Whoever waits for messages wakes up for it."""
    pace = Pace()
    pace.put([receipt(1)])
    pace.take(10.0)

    before = pace.pause_s(10.2, 30.0)
    pace.put([receipt(2)])

    assert before == 30.0
    assert abs(pace.pause_s(10.2, 30.0) - 0.8) < 1e-9


def test_streams_do_not_wait_for_each_other() -> None:
    """And keep the order in which they came."""
    pace = Pace()
    pace.put([receipt(1, "s1")])
    pace.take(0.0)

    pace.put([receipt(5, "s3"), receipt(2, "s1"), receipt(9, "s2")])

    assert [message.stream for message in pace.take(0.5)] == ["s3", "s2"]
    assert [message.stream for message in pace.take(1.0)] == ["s1"]
