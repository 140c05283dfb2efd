"""Which record goes out first, and how fast."""

from pathlib import Path

import pytest

from agent.deliver.link.outbox import IN_FLIGHT
from agent.deliver.spool.spool import Spool
from tests.agent.deliver.centre import GATEWAY, fill
from tests.agent.deliver.link.outboxes import outbox, receipt, send_all


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return Spool(tmp_path / "spool.db", GATEWAY)


def test_alarms_go_first_and_everything_goes_once(spool: Spool) -> None:
    """After an outage the centre learns what matters at once, then the rest in order."""
    fill(spool, 200, kinds=("event", "event", "event", "alarm"))

    sent = send_all(outbox(spool), 0.0)

    assert sent[:50] == list(range(4, 201, 4))
    assert sent[50:] == [seq for seq in range(1, 201) if seq % 4]


def test_what_is_measured_now_goes_before_the_backlog(spool: Spool) -> None:
    """Live records wait neither for the backlog nor for its rate; alarms go before both."""
    fill(spool, 300)
    box = outbox(spool, drain_per_s=1.0)
    send_all(box, 0.0)

    fill(spool, 20, kinds=("event", "alarm"))

    assert send_all(box, 0.01) == [*range(302, 321, 2), *range(301, 320, 2)]


def test_the_newest_window_goes_before_one_that_has_waited(spool: Spool) -> None:
    """After a cut, what is now comes first; the window that waited through it is history."""
    box = outbox(spool)
    fill(spool, 2)
    box.look(0.0)
    fill(spool, 2)
    box.look(900.0)

    assert send_all(box, 900.0) == [3, 4, 1, 2]


def test_a_window_is_told_in_order_though_events_follow(spool: Spool) -> None:
    """What was written a moment ago and is not out yet is as live as what was written now."""
    box = outbox(spool)
    fill(spool, 3)
    box.look(0.0)
    fill(spool, 1)

    assert send_all(box, 1.0) == [1, 2, 3, 4]


def test_a_backlog_leaves_at_its_rate(spool: Spool) -> None:
    """Jittered, but right on average: in 60 s at 20 a second 1200, and a first handful."""
    fill(spool, 5000)
    box = outbox(spool, drain_per_s=20.0)

    sent = []
    for twentieth in range(60 * 20 + 1):
        sent += send_all(box, twentieth / 20)
        box.receipted(receipt(spool, sent[-1]), twentieth / 20)

    assert len(sent) == pytest.approx(60 * 20 + IN_FLIGHT, rel=0.05)
    assert box.throttled


def test_a_backlog_does_not_outrun_the_receipts(spool: Spool) -> None:
    """A broker keeps so much for a collector that is away, and drops the rest without a word."""
    fill(spool, 2000)
    box = outbox(spool)

    assert send_all(box, 0.0) == list(range(1, 513))
    box.receipted(receipt(spool, 100), 1.0)
    assert send_all(box, 1.0) == list(range(513, 1025))


def test_few_are_unacknowledged_at_a_time(spool: Spool) -> None:
    """A backlog leaves room for what is more urgent; an acknowledgement makes room for one more."""
    fill(spool, 40)
    box = outbox(spool)

    backlog = len(list(iter(lambda: box.take(0.0), None)))
    fill(spool, 40)
    live = len(list(iter(lambda: box.take(0.0), None)))

    assert (backlog, backlog + live) == (12, IN_FLIGHT)
    box.acknowledged(3, 0.0)
    assert box.take(0.0) is not None
    assert box.take(0.0) is None


def test_by_broker_only_a_record_that_reached_somebody_counts(spool: Spool) -> None:
    """The answer "no matching subscribers" is an acknowledgement and no delivery: one goes alone after a while."""
    fill(spool, 5)
    box = outbox(spool, by_broker=True)
    while envelope := box.take(0.0):
        box.returned(envelope.seq, 0.0, refused=False)

    assert spool.receipted == 0
    assert box.take(0.5) is None
    first = box.take(1.0)
    assert first is not None
    assert box.take(1.0) is None
    box.acknowledged(first.seq, 1.1)
    assert send_all(box, 1.1) == [2, 3, 4, 5]
    assert box.confirmed


def test_by_broker_acknowledgements_may_come_in_any_order(spool: Spool) -> None:
    """The spool forgets up to the first record that is not acknowledged."""
    fill(spool, 4)
    box = outbox(spool, by_broker=True)
    while box.take(0.0):
        pass

    for seq in (4, 2, 1):
        box.acknowledged(seq, 0.0)

    assert spool.receipted == 2


def test_who_ordered_something_gets_the_reply_though_nobody_listens_to_the_rest(spool: Spool) -> None:
    """An operator may come without a collector: the reply waits for no subscriber of summaries."""
    fill(spool, 3)
    box = outbox(spool)
    first = box.take(0.0)
    assert first is not None
    box.returned(first.seq, 0.0, refused=False)

    fill(spool, 1, kinds=("reply",))

    assert [envelope.seq for envelope in iter(lambda: box.take(0.1), None)] == [4]


def test_while_nobody_listens_only_alarms_go_on(spool: Spool) -> None:
    """They are retained, so somebody who comes finds them; everything else waits for whoever listens."""
    fill(spool, 100)
    box = outbox(spool)
    first = box.take(0.0)
    assert first is not None
    box.returned(first.seq, 0.0, refused=False)

    fill(spool, 10, kinds=("event", "alarm"))
    sent = [envelope.seq for envelope in iter(lambda: box.take(0.1), None)]
    for seq in sent:
        box.returned(seq, 0.2, refused=False)
    box.receipted(receipt(spool, 0), 0.3)

    assert sent == [102, 104, 106, 108, 110]
    assert send_all(box, 0.3)[:6] == [102, 104, 106, 108, 110, 101]


def test_what_the_broker_refuses_holds_up_nothing_else(spool: Spool) -> None:
    """One topic that its access rules leave out; it is tried again on the next connection."""
    fill(spool, 5)
    box = outbox(spool)
    got = []
    for second in range(10):
        while envelope := box.take(second):
            if envelope.seq == 2:
                box.returned(2, second, refused=True)
            else:
                box.acknowledged(envelope.seq, second)
                got.append(envelope.seq)

    assert got == [1, 3, 4, 5]
    assert box.set_aside_count == 1
    box.rewind(20.0)
    assert send_all(box, 20.0) == [2]
