"""What arrives, in whatever order and state, is stored once, chained, checked and receipted."""

import json
import logging
import random
import sqlite3
from contextlib import closing

import pytest

from agent.deliver import chain, wire
from collector.evidence import evidence
from collector.store.reader import reading
from tests.collector.desk import Desk
from tests.collector.gateway import FakeGateway, Sent


def altered(sent: Sent, old: bytes = b"12000.0", new: bytes = b"12001.0") -> Sent:
    """Give the message with a number changed on its way."""
    topic, payload = sent
    assert old in payload
    return topic, payload.replace(old, new)


def kinds(desk: Desk) -> list[str]:
    """Give the kinds of the open findings."""
    with reading(desk.database) as reader:
        return [row["kind"] for row in reader.findings(100) if row["resolved_s"] is None]


def stored(desk: Desk) -> dict[int, bytes]:
    """Give the payloads of the table `record` by seq."""
    with closing(sqlite3.connect(desk.database)) as database:
        return dict(database.execute("SELECT seq, payload FROM record"))


def test_a_receipt_covers_what_is_contiguous_with_the_head_of_the_chain(desk: Desk) -> None:
    """After a commit the collector signs how far the stream is here, and the head that its bytes give."""
    gateway = FakeGateway()

    (receipt,) = desk.commit(gateway.status(), *gateway.windows(3))

    text = chain.receipt_text("campus-01", "9f86d081", 6, [], gateway.head.hex(), receipt.time_s)
    chain.verify(desk.signer.public_key, text, receipt.sig)
    assert (receipt.through, receipt.missing, receipt.head) == (6, [], gateway.head.hex())
    assert kinds(desk) == []


@pytest.mark.parametrize("seed", range(5))
def test_order_and_repetition_do_not_matter(desk: Desk, seed: int) -> None:
    """Shuffled, sent twice and cut into commits anywhere, the same records give the same chain, each stored once."""
    gateway, chance = FakeGateway(), random.Random(seed)
    records = gateway.windows(20)
    messages = [gateway.status(), *records, *records]
    chance.shuffle(messages)
    while messages:
        cut = chance.randint(1, 9)
        receipts = desk.commit(*messages[:cut])
        messages = messages[cut:]

    (receipt,) = desk.commit(every_stream=True)
    assert receipts is not None
    assert (receipt.through, receipt.missing, receipt.head) == (40, [], gateway.head.hex())
    assert stored(desk) == {seq: payload for seq, (_, payload) in enumerate(records, 1)}
    assert kinds(desk) == []


def test_a_receipt_names_the_holes(desk: Desk) -> None:
    """Later records are kept while earlier ones are missing, and the receipt asks for exactly these."""
    gateway = FakeGateway()
    records = gateway.windows(5)

    (receipt,) = desk.commit(*(records[n - 1] for n in (1, 2, 5, 6, 9)))

    assert (receipt.through, receipt.missing) == (2, [(3, 4), (7, 8)])
    (receipt,) = desk.commit(records[2], records[3])
    assert (receipt.through, receipt.missing) == (6, [(7, 8)])


def test_an_altered_record_is_named_and_asked_for_again_and_healed(desk: Desk) -> None:
    """A changed number breaks the signed head; the receipt steps back, and the true bytes settle it."""
    gateway = FakeGateway()
    records = gateway.windows(3)
    desk.commit(gateway.status(), *records[:2])

    (receipt,) = desk.commit(altered(records[2]), *records[3:])

    assert (receipt.through, receipt.missing) == (2, [(3, 3)])
    assert kinds(desk) == ["chain"]
    (receipt,) = desk.commit(records[2])
    assert (receipt.through, receipt.missing, receipt.head) == (6, [], gateway.head.hex())
    assert stored(desk)[3] == records[2][1]
    assert kinds(desk) == ["fork"]  # the altered bytes stay on record


def test_a_flipped_byte_that_makes_it_unreadable_is_kept_and_the_hole_asked_for(desk: Desk) -> None:
    """Garbage is rejected with topic and reason, and its number stays wanted."""
    gateway = FakeGateway()
    records = gateway.windows(2)

    (receipt,) = desk.commit(records[0], records[1], altered(records[2], b'{"v"', b"{\xffv\xff"), records[3])

    assert (receipt.through, receipt.missing) == (2, [(3, 3)])
    with reading(desk.database) as reader:
        shown = evidence(reader, 0)
    assert shown.rejected_count == 1
    assert shown.rejected[0].topic == "flatwatt/v1/campus-01/up/summary/feeder-1"
    assert shown.rejected[0].payload.startswith("{\\xffv\\xff")


def test_a_number_that_comes_twice_with_other_bytes_is_a_fork(desk: Desk) -> None:
    """The first bytes stay, the others are evidence, and it is said once however often it comes."""
    gateway = FakeGateway()
    records = gateway.windows(1)
    desk.commit(gateway.status(), *records)

    desk.commit(altered(records[0]))
    desk.commit(altered(records[0]))

    assert kinds(desk) == ["fork"]
    assert stored(desk)[1] == records[0][1]


def test_a_checkpoint_of_another_key_is_a_finding(desk: Desk) -> None:
    """Who knows the topics but not the key cannot certify anything."""
    gateway, forger = FakeGateway(), FakeGateway()

    desk.commit(gateway.status(), *forger.windows(1))

    assert kinds(desk) == ["signature"]
    with reading(desk.database) as reader:
        assert reader.streams(1)[0]["verified"] == 0


def test_a_signature_that_was_altered_on_its_way_is_settled_by_the_true_one(desk: Desk) -> None:
    """The next head shows that the checkpoint was not the gateway's; its true bytes carry the true signature."""
    gateway = FakeGateway()
    records = gateway.windows(2)
    desk.commit(gateway.status(), records[0], altered(records[1], b'"time_s":1', b'"time_s":2'))
    before = kinds(desk)

    (receipt,) = desk.commit(*records[2:])
    assert (receipt.through, receipt.missing) == (0, [(1, 3)])
    (receipt,) = desk.commit(*records)

    assert (before, kinds(desk)) == (["signature"], ["fork"])
    assert (receipt.through, receipt.missing, receipt.head) == (4, [], gateway.head.hex())


def test_a_changed_key_is_refused(desk: Desk) -> None:
    """The first status pins the key; another one changes nothing but the findings."""
    gateway, impostor = FakeGateway(), FakeGateway()
    desk.commit(gateway.status(site="North campus"))

    desk.commit(impostor.status(site="Elsewhere"))

    assert kinds(desk) == ["key"]
    with reading(desk.database) as reader:
        status = wire.decode(reader.gateways()[0]["status"])
    assert isinstance(status, wire.Status)
    assert (status.site, status.public_key) == ("North campus", gateway.public_key)


def test_checkpoints_that_come_before_the_key_are_checked_with_it(desk: Desk) -> None:
    """A status that arrives last still certifies, or convicts, what is here already."""
    gateway = FakeGateway()
    records = gateway.windows(2)
    desk.commit(records[0], records[1], altered(records[2]), records[3])

    (receipt,) = desk.commit(gateway.status())

    assert kinds(desk) == ["chain"]
    assert (receipt.through, receipt.missing) == (2, [(3, 3)])


def test_at_a_new_connection_the_stream_of_the_last_status_comes_last(desk: Desk) -> None:
    """One receipt is retained per gateway: it must be that of the stream which the gateway writes now."""
    old, new = FakeGateway(stream="ffff"), FakeGateway(stream="0000")
    desk.commit(new.status(), *new.windows(1))
    desk.commit(*old.windows(1))

    receipts = desk.commit(every_stream=True)

    assert [receipt.stream for receipt in receipts] == ["ffff", "0000"]


def _with(**fields: object) -> bytes:
    summary = json.loads(FakeGateway().summary()[1])
    return json.dumps(summary | fields).encode()


@pytest.mark.parametrize(
    ("topic", "payload", "why"),
    [
        ("campus-01/up/summary/feeder-1", b"", "not a flatwatt message"),
        ("campus-01/up/summary/feeder-1", b"\xff\x00garbage", "not a flatwatt message"),
        ("campus-01/up/summary/feeder-1", b"[" * 5000, "not a flatwatt message"),
        ("campus-01/up/summary/feeder-1", b" " * 300_000, "at most 262144"),
        ("campus-01/up/summary/feeder-1", _with(v=2), "version 2"),
        ("campus-01/up/summary/feeder-2", _with(), "the payload belongs to"),
        ("campus-01/up/alarm/feeder-1", _with(), "the payload belongs to"),
        ("campus-01/up/summary/<b>", _with(meter="<b>"), "is no meter id"),
        ("Campus 01/up/summary/feeder-1", _with(), "names no gateway"),
        ("campus-01/up/summary/feeder-1", _with(stream="../x"), "is no stream id"),
        ("campus-01/up/summary/feeder-1", _with(seq=0), "the first record has 1"),
        ("campus-01/up/summary/feeder-1", _with(seq=10**30), "out of range"),
        ("campus-01/up/summary/feeder-1", _with(active_power_w=-1e308), "out of range"),
        ("campus-01/up/summary/feeder-1", _with(mining_w=[0, 1e308, 0]), "out of range"),
        ("campus-01/up/summary/feeder-1", _with(start_s=253402300800), "out of range"),
        ("campus-01/up/summary/feeder-1", _with(start_s=-1), "out of range"),
        ("campus-01/up/summary/feeder-1", _with(window_s=0), "window_s must be"),
        ("campus-01/up/summary/feeder-1", _with(start_s="now"), "not a flatwatt message"),
        ("campus-02/up/status", FakeGateway().status()[1], "is of gateway 'campus-01'"),
        ("campus-02/up/checkpoint", FakeGateway().checkpoint()[1], "is of gateway 'campus-01'"),
    ],
)
def test_what_is_no_message_of_ours_is_one_clear_line(
    desk: Desk, caplog: pytest.LogCaptureFixture, topic: str, payload: bytes, why: str
) -> None:
    """The line names the topic and the reason; the payload is kept, and nothing else happens."""
    with caplog.at_level(logging.WARNING):
        receipts = desk.commit((f"flatwatt/v1/{topic}", payload))

    (line,) = caplog.messages
    assert f"'flatwatt/v1/{topic}'" in line
    assert why in line
    assert "\n" not in line
    assert receipts == []
    with reading(desk.database) as reader:
        assert reader.rejected(1)[0]["bytes"] == len(payload)


@pytest.mark.parametrize("place", ["status", "alarm/feeder-1"])
def test_a_retained_state_that_is_cleared_is_no_garbage(
    desk: Desk, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    """Who takes a gateway out of service clears its topics with empty payloads; the evidence stays."""
    with caplog.at_level(logging.WARNING):
        desk.commit((f"flatwatt/v1/campus-01/up/{place}", b""))

    assert caplog.messages == []


def test_the_rejected_are_bounded(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A flood of garbage is counted whole and kept in part."""
    with caplog.at_level(logging.WARNING):
        desk.commit(*[("flatwatt/v1/campus-01/up/x", b"x" * 5000)] * 1500)

    assert len(caplog.messages) == 21
    assert caplog.messages[-1] == "rejected 1480 more messages at once"
    with reading(desk.database) as reader:
        rejected = reader.rejected(5000)
    assert (len(rejected), rejected[0]["id"], len(rejected[0]["payload"])) == (1000, 1500, 1024)
