"""What an outbox sends for the second time: as little as possible, as much as is needed."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.deliver.link.outbox import Outbox
from agent.deliver.link.ranges import Ranges
from agent.deliver.spool.spool import Spool
from tests.agent.deliver.centre import GATEWAY, fill
from tests.agent.deliver.link.outboxes import outbox, receipt, send_all


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return Spool(tmp_path / "spool.db", GATEWAY)


def test_a_new_connection_repeats_only_what_was_under_way(spool: Spool) -> None:
    """What the old one took is in good hands; what was not acknowledged may be lost."""
    fill(spool, 20)
    box = outbox(spool)
    for seq in range(1, 11):
        box.take(0.0)
        box.acknowledged(seq, 0.0)
    under_way = [envelope.seq for envelope in iter(lambda: box.take(0.0), None)]

    box.rewind(1.0)

    assert under_way == list(range(11, 21))
    assert send_all(box, 1.0) == under_way
    assert (box.sent, box.sent_again) == (30, 10)


def test_a_line_that_comes_and_goes_makes_progress_each_time(spool: Spool) -> None:
    """Twenty connections that carry 30 records each: 600 are out, and only the last ones of each went twice."""
    fill(spool, 1000)
    box = outbox(spool)
    taken: set[int] = set()

    for connection in range(20):
        box.rewind(10.0 * connection)
        for _ in range(30):
            envelope = box.take(10.0 * connection)
            assert envelope is not None
            taken.add(envelope.seq)
            box.acknowledged(envelope.seq, 10.0 * connection)
        while box.take(10.0 * connection):
            pass
        box.receipted(receipt(spool, max(taken)), 10.0 * connection + 5)

    assert taken == set(range(1, 601))
    assert box.sent_again == 19 * 12


def test_what_the_collector_misses_goes_again_once(spool: Spool) -> None:
    """However often its receipts repeat the wish while the repetition is on its way."""
    fill(spool, 20)
    box = outbox(spool)
    send_all(box, 0.0)

    box.receipted(receipt(spool, 5, (6, 8), (10, 10)), 5.0)
    box.tick(5.0)
    assert send_all(box, 5.0) == [6, 7, 8, 10]
    box.receipted(receipt(spool, 6, (7, 8), (10, 10)), 5.1)
    box.tick(5.1)

    assert send_all(box, 5.1) == []
    box.tick(8.0)
    assert send_all(box, 8.0) == [7, 8, 10]


def test_an_alarm_that_got_lost_does_not_wait_for_a_backlog(spool: Spool) -> None:
    """The broker took it and dropped it; behind days of records it would be told tomorrow."""
    fill(spool, 200)
    fill(spool, 1, kinds=("alarm",))
    box = outbox(spool, drain_per_s=1.0)
    sent = send_all(box, 0.0)
    assert sent[0] == 201

    box.receipted(receipt(spool, 0, (1, 201)), 5.0)
    box.tick(5.0)

    assert send_all(box, 5.0)[0] == 201


def test_a_record_that_the_centre_will_not_have_is_sent_ever_more_rarely(spool: Spool) -> None:
    """It asks for it with every receipt, and refuses it each time: that must not go round in circles."""
    fill(spool, 20)
    box = outbox(spool)
    send_all(box, 0.0)

    again = 0
    for second in range(1, 601):
        box.receipted(receipt(spool, 5, (6, 6)), second)
        box.tick(second)
        again += send_all(box, second).count(6)

    assert 5 <= again <= 15


def test_holes_of_a_backlog_are_not_missing(spool: Spool) -> None:
    """Live records overtake a backlog, so each receipt names all of it: nothing goes twice for that."""
    fill(spool, 2000)
    box = outbox(spool, drain_per_s=100.0)
    there = Ranges()

    for tenth in range(300):
        if tenth % 50 == 0:
            fill(spool, 20)
        for seq in send_all(box, tenth / 10):
            there.add(seq)
        through = next(iter(there))[1] if 1 in there else 0
        holes = [(low[1] + 1, high[0] - 1) for low, high in itertools.pairwise([(0, through), *list(there)[1:]])]
        box.receipted(receipt(spool, through, *holes), tenth / 10)
        box.tick(tenth / 10)

    assert box.confirmed
    assert (box.sent, box.sent_again) == (2120, 0)


def test_silence_is_asked_with_one_record_and_ever_more_rarely(spool: Spool) -> None:
    """A collector that is away must not be flooded, nor the line it would come back on."""
    fill(spool, 300)
    box = outbox(spool)
    send_all(box, 0.0)

    asked = {}
    for second in range(1, 500):
        box.tick(second)
        if found := send_all(box, second):
            asked[second] = found

    assert asked == {5: [300], 15: [300], 35: [300], 75: [300], 155: [300], 315: [300]}


def test_a_collector_that_came_back_empty_is_asked_and_gets_everything(spool: Spool) -> None:
    """One record tells it that there are others; it names them, and they come."""
    fill(spool, 300)
    box = outbox(spool)
    send_all(box, 0.0)
    box.tick(5.0)
    assert send_all(box, 5.0) == [300]

    box.receipted(receipt(spool, 0, (1, 299)), 6.0)
    box.tick(6.0)

    assert send_all(box, 6.0) == list(range(1, 300))


def test_what_makes_the_broker_hang_up_keeps_no_other_record_back(spool: Spool) -> None:
    """Whatever is under way when connections break goes last and alone, the least suspect first; the one ever less."""
    fill(spool, 20)
    box = outbox(spool)
    got: set[int] = set()
    offered = []

    for second in range(0, 600, 2):
        box.rewind(second)
        sent = [envelope.seq for envelope in iter(lambda now_s=second: box.take(now_s), None)]  # type: ignore[misc]
        while sent and 5 not in sent:
            for seq in sent:
                box.acknowledged(seq, second)
            got.update(sent)
            sent = [envelope.seq for envelope in iter(lambda now_s=second: box.take(now_s), None)]  # type: ignore[misc]
        offered += [second] if sent else []

    assert got == set(range(1, 21)) - {5}
    assert len(offered) <= 15


def test_what_an_operator_asks_for_is_sent_again(spool: Spool) -> None:
    """Once more, in order, whether or not the collector misses it."""
    fill(spool, 100)
    box = outbox(spool)
    send_all(box, 0.0)

    box.send_again(40, 42)

    assert send_all(box, 1.0) == [40, 41, 42]


@pytest.mark.parametrize("ask", [lambda box: box.look(1.0), lambda box: box.take(1.0), lambda box: box.tick(1.0)])
def test_a_new_stream_is_noticed(spool: Spool, tmp_path: Path, ask: Callable[[Outbox], object]) -> None:
    """Whatever is asked next, the records of the new one count."""
    fill(spool, 100)
    box = outbox(spool)
    send_all(box, 0.0)
    other = Spool(tmp_path / "other.db", GATEWAY)
    fill(other, 3)

    spool.__dict__.update(other.__dict__)
    ask(box)

    assert 1 <= len(send_all(box, 1.0)) <= 3
    assert box.sent <= 103
