import base64
from pathlib import Path

import msgspec
import pytest

from agent.deliver import chain, wire
from agent.deliver.receipts import ReceiptDesk
from agent.deliver.spool import Spool
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
        (lambda s: receipt(11, s.head, stream=s.stream, key=KEY), "has written 10 only"),
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
        "future",
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

    with pytest.raises(EvidenceError, match="takes back its receipt: 3 now, 7 before"):
        desk.accept(less, 0.0)


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
