from pathlib import Path

import pytest

from agent.deliver.outbox import IN_FLIGHT, Outbox
from agent.deliver.spool import Spool
from agent.records import Receipt
from tests.agent.deliver.centre import GATEWAY, fill


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return Spool(tmp_path / "spool.db", GATEWAY)


def outbox(spool: Spool, *, by_broker: bool = False) -> Outbox:
    """Repeat after a minute."""
    return Outbox(spool, 60.0, by_broker=by_broker)


def send_all(box: Outbox, now_s: float, *, reached: bool = True) -> list[int]:
    """Take and acknowledge whatever wants to go out now."""
    sent = []
    while envelope := box.take(now_s):
        sent.append(envelope.seq)
        box.acknowledged(envelope.seq, reached=reached)
    return sent


def receipt(spool: Spool, through: int, *missing: tuple[int, int]) -> Receipt:
    """A believed receipt."""
    return Receipt(gateway=GATEWAY, stream=spool.stream, through=through, missing=missing, head="", time_s=0)


def test_alarms_go_first_and_everything_goes_once(spool: Spool) -> None:
    """After an outage the centre learns what matters at once, then the rest in order."""
    fill(spool, 200, kinds=("event", "event", "event", "alarm"))

    sent = send_all(outbox(spool), 0.0)

    assert sent[:50] == list(range(4, 201, 4))
    assert sent[50:] == [seq for seq in range(1, 201) if seq % 4]


def test_a_new_alarm_overtakes_the_backlog(spool: Spool) -> None:
    """It waits for no more than the records that were read already."""
    fill(spool, 1000)
    box = outbox(spool)
    for seq in range(1, 11):
        box.take(0.0)
        box.acknowledged(seq, reached=True)

    fill(spool, 1, kinds=("alarm",))

    assert send_all(box, 0.0).index(1001) < 64


def test_few_are_unacknowledged_at_a_time(spool: Spool) -> None:
    """An acknowledgement makes room for one more."""
    fill(spool, 40)
    box = outbox(spool)

    assert len(list(iter(lambda: box.take(0.0), None))) == IN_FLIGHT
    box.acknowledged(3, reached=True)
    assert box.take(0.0) is not None
    assert box.take(0.0) is None


def test_an_acknowledgement_of_the_broker_is_no_receipt(spool: Spool) -> None:
    """After a new connection everything unconfirmed goes again."""
    fill(spool, 20)
    box = outbox(spool)
    send_all(box, 0.0)
    box.receipted(receipt(spool, 5), 1.0)

    box.rewind(2.0)

    assert send_all(box, 2.0) == list(range(6, 21))


def test_what_the_collector_misses_goes_again_once(spool: Spool) -> None:
    """However often its receipts repeat the wish while the repetition is on its way."""
    fill(spool, 20)
    box = outbox(spool)
    send_all(box, 0.0)

    box.receipted(receipt(spool, 5, (6, 8), (10, 10)), 5.0)
    assert send_all(box, 5.0) == [6, 7, 8, 10]
    box.receipted(receipt(spool, 6, (7, 8), (10, 10)), 5.1)

    assert send_all(box, 5.1) == []
    assert send_all(box, 8.0) == [7, 8, 10]


def test_what_an_alarm_overtook_is_not_missing(spool: Spool) -> None:
    """The gap below an alarm that went first closes by itself."""
    fill(spool, 40)
    fill(spool, 1, kinds=("alarm",))
    box = outbox(spool)
    first = [box.take(0.0) for _ in range(10)]

    box.receipted(receipt(spool, 0, (1, 40)), 0.1)
    rest = send_all(box, 0.2)

    assert first[0] is not None
    assert first[0].seq == 41
    assert sorted(rest) == list(range(10, 41))


def test_silence_repeats_a_few_and_ever_more_rarely(spool: Spool) -> None:
    """A collector that is away must not be flooded, nor the line it would come back on."""
    fill(spool, 1000)
    box = outbox(spool)
    send_all(box, 0.0)

    repeated: dict[int, int] = {}
    for second in range(1, 500):
        box.tick(second)
        repeated[second] = len(send_all(box, second))

    assert {second: count for second, count in repeated.items() if count} == {60: 256, 180: 256, 420: 256}


def test_a_collector_that_came_back_empty_gets_everything_at_its_own_pace(spool: Spool) -> None:
    """Each receipt that covers a repetition, and nothing beyond, calls for the next ones."""
    fill(spool, 1000)
    box = outbox(spool)
    send_all(box, 0.0)
    box.tick(60.0)
    got = send_all(box, 60.0)

    for _ in range(4):
        box.receipted(receipt(spool, got[-1]), 60.0)
        got += send_all(box, 60.0)

    assert got == list(range(1, 1001))


def test_by_broker_only_a_record_that_reached_somebody_counts(spool: Spool) -> None:
    """The answer "no matching subscribers" is an acknowledgement and no delivery."""
    fill(spool, 5)
    box = outbox(spool, by_broker=True)

    assert send_all(box, 0.0, reached=False) == [1, 2, 3, 4, 5]
    assert spool.receipted == 0
    box.tick(1.0)
    box.tick(61.0)
    assert send_all(box, 61.0) == [1, 2, 3, 4, 5]
    assert box.confirmed


def test_by_broker_acknowledgements_may_come_in_any_order(spool: Spool) -> None:
    """The spool forgets up to the first record that is not acknowledged."""
    fill(spool, 4)
    box = outbox(spool, by_broker=True)
    while box.take(0.0):
        pass

    for seq in (4, 2, 1):
        box.acknowledged(seq, reached=True)

    assert spool.receipted == 2


def test_what_an_operator_asks_for_is_sent_again(spool: Spool) -> None:
    """Once more, in order, whether or not the collector misses it."""
    fill(spool, 100)
    box = outbox(spool)
    send_all(box, 0.0)

    box.send_again(40, 42)

    assert send_all(box, 1.0) == [40, 41, 42]
