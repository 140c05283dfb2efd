"""What becomes of receipts: records that may be forgotten, complaints, and news of restored backups."""

from pathlib import Path

import pytest

from agent.deliver import chain, wire
from agent.deliver.identity.keys import GatewayKey
from agent.deliver.link.complaints import Complaints
from agent.deliver.link.inbox import Inbox
from agent.deliver.link.restored_centre import declare_loss
from agent.deliver.spool.spool import Batch, Spool
from tests.agent.deliver.centre import GATEWAY, fill, receipt

KEY = chain.new_key()


class Office:
    """An inbox whose pieces of news are kept."""

    def __init__(self, spool: Spool) -> None:
        self.reports: list[str] = []
        self.believed: list[int] = []
        self.losses: list[int] = []
        complaints = Complaints(lambda event, _text: self.reports.append(event))
        self.inbox = Inbox(spool, None, complaints, lambda r: self.believed.append(r.through), self.losses.append)
        self._spool = spool

    def take(self, through: int, *, time_s: int = 1, now_s: float = 0.0) -> None:
        """Take a receipt of the collector that is trusted."""
        head = self._spool.head_at(through) or self._spool.head
        self.inbox.take(receipt(through, head, stream=self._spool.stream, key=KEY, time_s=time_s), now_s)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Ten records."""
    spool = Spool(tmp_path / "spool.db", GATEWAY)
    fill(spool, 10)
    return spool


def test_each_believed_receipt_is_handed_on(spool: Spool) -> None:
    """Whoever holds the clock against the collector's sees them all; a repeated one is believed as often."""
    office = Office(spool)

    for through in (3, 7, 7):
        office.take(through)

    assert office.believed == [3, 7, 7]
    assert office.reports == ["collector_pinned"]


def test_a_receipt_confirms_nothing_of_another_stream(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills up while the collector's key is noted: what a new stream numbers alike is not confirmed."""
    office = Office(spool)
    spool.on_new_stream = lambda _failed: fill(spool, 10)
    monkeypatch.setattr(spool, "keep_note", lambda _key, _text: spool.begin_anew("for a test"))
    head = spool.head_at(7)
    assert head is not None

    taken = office.inbox.take(receipt(7, head, stream=spool.stream, key=KEY), 0.0)

    assert (taken, office.believed) == (None, [])


def test_a_flood_of_forgeries_does_not_fill_the_spool(spool: Spool) -> None:
    """Each has another text, so another reason: one complaint a sort and hour."""
    office = Office(spool)
    office.take(3)
    for number in range(500):
        forged = receipt(4 + number, spool.head, stream=spool.stream, key=chain.new_key() if number < 2 else KEY)
        office.inbox.take(forged[:-9] + b'xxxx"}' if number > 1 else forged, float(number))
        office.inbox.take(b"nonsense %d" % number, float(number))

    assert office.reports == ["collector_pinned", "receipt_refused", "receipt_refused", "receipt_refused"]
    office.inbox.take(b"nonsense", 4000.0)
    assert len(office.reports) == 5


def test_a_receipt_for_an_earlier_stream_is_no_incident(spool: Spool) -> None:
    """After damage of the spool the centre goes on confirming the stream of before."""
    office = Office(spool)

    office.inbox.take(receipt(5, spool.head, stream="earlier", key=KEY), 0.0)

    assert office.reports == []


def test_a_spool_that_was_put_back_begins_a_new_stream(spool: Spool) -> None:
    """Instead of numbering other records alike; what waits is taken over by whoever looks after the spool."""
    office = Office(spool)
    office.take(3)
    before, handed = spool.stream, []

    def on_new_stream(batch: Batch | None) -> None:
        handed.append(batch)

    spool.on_new_stream = on_new_stream
    office.take(11)

    assert spool.stream != before
    assert handed == [None]
    assert office.reports == ["collector_pinned", "spool_rolled_back"]


def test_what_a_restored_collector_lost_is_declared_once(spool: Spool) -> None:
    """Its receipts say less until the declaration has reached it; more losses are declared anew."""
    office = Office(spool)
    office.take(7, time_s=100)
    spool.receipt(7)

    office.take(3, time_s=200)
    office.take(3, time_s=201)
    office.take(5, time_s=202)

    assert office.losses == [3]
    assert office.reports == ["collector_pinned", "collector_rolled_back"]


def test_the_declaration_lets_the_chain_be_carried_on(spool: Spool) -> None:
    """It is signed, names the records that are gone, and gives the head behind them."""
    spool.receipt(7)
    own = chain.new_key()
    key = GatewayKey(own, chain.public_text(own), chain.key_id(chain.public_text(own)))

    declare_loss(spool, key, 3, 1000)

    gap = wire.decode(spool.pending(10, 1)[0].payload)
    assert isinstance(gap, wire.Gap)
    assert (gap.from_seq, gap.through_seq, gap.cause) == (4, 7, "collector_rolled_back")
    assert gap.head == (spool.head_at(7) or b"").hex()
    text = chain.gap_text(GATEWAY, spool.stream, 4, 7, gap.head, 1000)
    chain.verify(key.public_key, text, gap.sig)
