import base64
from pathlib import Path

import msgspec
import pytest

from agent.deliver import chain, wire
from agent.deliver.link.receipts import CollectorBehindError, ReceiptDesk, ReceiptRefusedError, SpoolBehindError
from agent.deliver.spool.spool import Spool
from agent.errors import EvidenceError
from tests.agent.deliver.centre import GATEWAY, event, fill, receipt

KEY = chain.new_key()
EC_PUBLIC_KEY = bytes.fromhex("2a8648ce3d0201")  # the kind of every key of ours, as DER spells it


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Ten records."""
    spool = Spool(tmp_path / "spool.db", GATEWAY)
    fill(spool, 10)
    return spool


@pytest.fixture
def desk(spool: Spool) -> ReceiptDesk:
    """Trusts KEY."""
    return ReceiptDesk(spool, chain.public_text(KEY))


def good(spool: Spool, through: int, *, time_s: int = 1, missing: tuple[tuple[int, int], ...] = ()) -> bytes:
    """Sign what the collector that we trust would say."""
    head = spool.head_at(through)
    assert head is not None
    return receipt(through, head, stream=spool.stream, key=KEY, time_s=time_s, missing=missing)


def test_a_receipt_that_repeats_our_head_is_believed(spool: Spool, desk: ReceiptDesk) -> None:
    """It says how far the centre has come and what it lacks."""
    accepted = desk.accept(good(spool, 4, missing=((6, 7),)), 0.0)

    assert accepted is not None
    assert (accepted.through, accepted.missing) == (4, ((6, 7),))


def test_a_receipt_for_nothing_yet_may_ask_for_everything(spool: Spool, desk: ReceiptDesk) -> None:
    """A collector that saw record 10 first has none of the others."""
    accepted = desk.accept(good(spool, 0, missing=((1, 9),)), 0.0)

    assert accepted is not None
    assert accepted.missing == ((1, 9),)


@pytest.mark.parametrize(
    ("forgery", "reason"),
    [
        (lambda s: receipt(4, s.head_at(4), stream=s.stream, key=chain.new_key()), "another key"),
        (lambda s: good(s, 4).replace(b'"through":4', b'"through":9'), "signature does not fit"),
        (lambda s: receipt(4, s.head_at(4), stream="0" * 12, key=KEY), "ours is"),
        (lambda s: good(s, 4).replace(b'"gateway":"campus-01"', b'"gateway":"campus-02"'), "signature does not fit"),
        (lambda s: good(s, 4, missing=((6, 11),)), "has written 10 only"),
        (lambda s: good(s, 4, missing=((3, 5),)), "senseless"),
        (lambda s: good(s, 4, missing=((8, 7),)), "senseless"),
        (lambda s: receipt(4, s.head_at(5), stream=s.stream, key=KEY), "another chain head at record 4"),
        (lambda s: event(s.stream, 1), "where receipts are expected"),
        (lambda _: b"\xff garbage", "not a flatwatt message"),
        (lambda _: b'{"v":1,"kind":"receipt","x":' + b"[" * 100_000, "not a flatwatt message"),
    ],
    ids=[
        "key",
        "altered",
        "stream",
        "gateway",
        "missing future",
        "below",
        "backwards",
        "head",
        "kind",
        "garbage",
        "deep",
    ],
)
def test_any_other_receipt_is_refused_with_its_reason(
    spool: Spool, desk: ReceiptDesk, forgery: object, reason: str
) -> None:
    """And nothing is forgotten."""
    assert callable(forgery)

    with pytest.raises(EvidenceError, match=reason):
        desk.accept(forgery(spool), 0.0)

    assert len(spool.pending(0, 100)) == 10


def test_overtaken_and_repeated_receipts_are_daily_life(spool: Spool, desk: ReceiptDesk) -> None:
    """MQTT may deliver twice and late: neither is an incident."""
    early, late = good(spool, 3), good(spool, 7)
    spool.receipt(7)

    assert desk.accept(late, 0.0) is not None
    assert desk.accept(late, 0.0) is not None
    assert desk.accept(early, 0.0) is None


def test_a_collector_that_takes_back_its_word_is_reported(spool: Spool, desk: ReceiptDesk) -> None:
    """A newer receipt for less means that the centre has lost what it confirmed."""
    less, more = good(spool, 3, time_s=9), good(spool, 7, time_s=5)
    spool.receipt(7)
    desk.accept(more, 0.0)

    with pytest.raises(CollectorBehindError, match="takes back its receipt: 3 now, 7 before") as caught:
        desk.accept(less, 0.0)

    assert caught.value.through == 3


def test_a_stale_receipt_is_told_from_one_that_takes_back_after_a_restart_too(spool: Spool, desk: ReceiptDesk) -> None:
    """The time of the newest receipt outlives the agent; what is older was only overtaken."""
    stale, back = good(spool, 3, time_s=5000), good(spool, 3, time_s=99_999)
    desk.accept(good(spool, 7, time_s=10_000), 0.0)
    spool.receipt(7)

    restarted = ReceiptDesk(spool, chain.public_text(KEY))

    assert restarted.accept(stale, 0.0) is None
    with pytest.raises(CollectorBehindError):
        restarted.accept(back, 0.0)


def test_a_broker_that_forgot_the_newest_receipts_takes_nothing_back(spool: Spool, desk: ReceiptDesk) -> None:
    """A power cut restarts both: its last receipt is older than ours, and newer than the time that was kept."""
    stale = good(spool, 5, time_s=10_100)
    desk.accept(good(spool, 3, time_s=10_000), 0.0)
    desk.accept(good(spool, 7, time_s=10_300), 0.0)
    spool.receipt(7)

    for _ in range(3):
        assert ReceiptDesk(spool, chain.public_text(KEY)).accept(stale, 0.0) is None
    assert spool.note("receipt_s") == "10000"


def test_a_centre_that_has_more_than_we_wrote_tells_that_the_spool_was_put_back(
    spool: Spool, desk: ReceiptDesk
) -> None:
    """Numbers that were used must not be used again: the caller begins a new stream."""
    ahead = receipt(11, spool.head, stream=spool.stream, key=KEY)

    with pytest.raises(SpoolBehindError, match="has written 10 only: the spool was put back"):
        desk.accept(ahead, 0.0)


def test_another_head_is_an_alteration_first_and_a_fork_if_it_stays(spool: Spool, desk: ReceiptDesk) -> None:
    """What was altered on its way is settled by the next checkpoint; a spool that was put back never is."""
    other = receipt(4, spool.head_at(5) or b"", stream=spool.stream, key=KEY)
    for now_s in (0.0, 59.0):
        with pytest.raises(ReceiptRefusedError, match="another chain head"):
            desk.accept(other, now_s)

    with pytest.raises(SpoolBehindError, match="for a minute now"):
        desk.accept(other, 60.0)


def test_another_head_that_was_settled_is_no_fork(spool: Spool, desk: ReceiptDesk) -> None:
    """A receipt with our own head between the two begins the minute anew."""
    other = receipt(4, spool.head_at(5) or b"", stream=spool.stream, key=KEY)
    with pytest.raises(ReceiptRefusedError):
        desk.accept(other, 0.0)
    desk.accept(good(spool, 3), 30.0)

    with pytest.raises(ReceiptRefusedError, match="another chain head"):
        desk.accept(other, 61.0)


def test_the_first_collector_that_fits_is_trusted_from_then_on(spool: Spool) -> None:
    """Also after a restart; before it fits our chain no key is trusted."""
    desk = ReceiptDesk(spool, None)
    with pytest.raises(EvidenceError, match="another chain head"):
        desk.accept(receipt(4, spool.head, stream=spool.stream, key=chain.new_key()), 0.0)

    desk.accept(good(spool, 4), 0.0)

    stranger = receipt(5, spool.head_at(5) or b"", stream=spool.stream, key=chain.new_key())
    with pytest.raises(EvidenceError, match="another key"):
        ReceiptDesk(spool, None).accept(stranger, 0.0)


def test_a_key_of_an_unknown_kind_is_refused(spool: Spool) -> None:
    """Nobody is trusted yet, and the first receipt carries a key that our library does not know."""
    true = wire.decode(good(spool, 4))
    assert isinstance(true, wire.ReceiptMessage)
    der = base64.b64decode(true.public_key).replace(EC_PUBLIC_KEY, EC_PUBLIC_KEY[:-1] + b"\x09")
    forged = msgspec.structs.replace(true, public_key=base64.b64encode(der).decode())

    with pytest.raises(EvidenceError, match="receipt refused"):
        ReceiptDesk(spool, None).accept(wire.encode(forged), 0.0)
