"""Which receipts to believe. Only a believed one lets the spool forget.

A receipt must be signed by the collector that we trust, speak of our stream, and repeat our own
chain head: then the centre provably holds what we said. Whatever else arrives under the topic is
refused with a reason, and changes nothing. Two contradictions are news of their own: the centre
knows records that our spool has not written (the spool was put back from a backup, or there are two
of us), and the centre lacks what it confirmed (its database was put back).

Where no key file is configured, the first collector whose receipt fits our chain is trusted from
then on, and its key kept with the spool.
"""

from typing import Literal

from agent.deliver import chain, wire
from agent.deliver.spool.spool import Spool
from agent.errors import EvidenceError
from agent.records import Receipt

_KEY = "collector_key"
_TIME = "receipt_s"
_TIME_STEP_S = 600  # the newest receipt's time is kept on the disk so seldom: a memory card wears out by writing
_SURE_S = 60.0  # a record that was altered on its way is settled by the next checkpoint; a fork stays


Reason = Literal["unreadable", "kind", "key", "signature", "gateway", "stream", "range", "future", "head"]


class ReceiptRefusedError(EvidenceError):
    """A receipt that changes nothing; ``reason`` in one word."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class SpoolBehindError(EvidenceError):
    """The centre holds other records of this stream than the spool, or more of them."""


class CollectorBehindError(EvidenceError):
    """The centre confirmed more before than it does now: ``through`` now."""

    def __init__(self, through: int, text: str) -> None:
        super().__init__(text)
        self.through = through


class ReceiptDesk:
    """Checks the receipts of one spool against a configured key, or the first one that fits."""

    def __init__(self, spool: Spool, collector_key: str | None) -> None:
        self._spool = spool
        self._key = collector_key or spool.note(_KEY)
        self._kept_s = _whole(spool.note(_TIME))
        self._newest_s = self._kept_s and self._kept_s + _TIME_STEP_S  # it was not later: that would have been kept
        self._other_head_since_s: float | None = None

    @property
    def key_id(self) -> str | None:
        """Name the trusted key; None before the first receipt."""
        return chain.key_id(self._key) if self._key else None

    def accept(self, payload: bytes, now_s: float) -> Receipt | None:
        """Give what one message confirms; None where a later receipt overtook it. ``now_s`` on any clock that goes on.

        Raises :class:`ReceiptRefusedError`, :class:`SpoolBehindError` or :class:`CollectorBehindError`.
        """
        message = _read(payload)
        self._check_signature(message)
        self._check_range(message)
        if message.through < self._spool.receipted:
            self._check_old(message)
            return None
        if not self._check_head(message, now_s):
            return None
        self._trust(message.public_key)
        self._note_time(message.time_s)
        return Receipt(
            gateway=message.gateway,
            stream=message.stream,
            through=message.through,
            missing=tuple(message.missing),
            head=message.head,
            time_s=message.time_s,
        )

    def _check_signature(self, message: wire.ReceiptMessage) -> None:
        if self._key is not None and message.public_key != self._key:
            raise ReceiptRefusedError("key", f"receipt by another key, not the trusted {self.key_id}")
        text = chain.receipt_text(
            message.gateway, message.stream, message.through, message.missing, message.head, message.time_s
        )
        try:
            chain.verify(message.public_key, text, message.sig)
        except EvidenceError as error:
            raise ReceiptRefusedError("signature", f"receipt refused: {error}") from None

    def _check_range(self, message: wire.ReceiptMessage) -> None:
        spool = self._spool
        if message.gateway != spool.gateway:
            raise ReceiptRefusedError("gateway", f"receipt for gateway {message.gateway}, ours is {spool.gateway}")
        if message.stream != spool.stream:
            raise ReceiptRefusedError(
                "stream",
                f"receipt for stream {message.stream}, ours is {spool.stream}; ignored: it is of an earlier spool",
            )
        highest = max((last for _, last in message.missing), default=message.through)
        if max(message.through, highest) > spool.last_seq:
            text = f"receipt up to record {highest}, of which this spool has written {spool.last_seq} only"
            if self._key is not None and message.through > spool.last_seq:
                raise SpoolBehindError(f"{text}: the spool was put back, or a second gateway has our key")
            raise ReceiptRefusedError("future", text)
        below = message.through
        for first, last in message.missing:
            if not below < first <= last:
                raise ReceiptRefusedError("range", f"receipt with a senseless missing range {first}-{last}")
            below = last

    def _check_head(self, message: wire.ReceiptMessage, now_s: float) -> bool:
        """Compare the chain heads; False where the record was dropped, and with it the head."""
        head = self._spool.head_at(message.through)
        if head is not None and head.hex() == message.head:
            self._other_head_since_s = None
            return True
        if head is None and message.through < self._spool.floor:
            return False
        text = f"receipt with another chain head at record {message.through}: what arrived is not ours"
        since_s = self._other_head_since_s
        if self._key is not None and since_s is not None and now_s - since_s >= _SURE_S:
            raise SpoolBehindError(f"{text}, for a minute now: the spool was put back, or a second gateway has our key")
        self._other_head_since_s = now_s if since_s is None else since_s
        raise ReceiptRefusedError("head", text)

    def _check_old(self, message: wire.ReceiptMessage) -> None:
        """Overtaken receipts are daily life; a newer one that takes back an older says that the centre lost records."""
        if 0 < self._newest_s < message.time_s:
            raise CollectorBehindError(
                message.through,
                f"the collector takes back its receipt: {message.through} now, {self._spool.receipted} before",
            )

    def _trust(self, public_key: str) -> None:
        if self._key is None:
            self._spool.keep_note(_KEY, public_key)
            self._key = public_key

    def _note_time(self, time_s: int) -> None:
        self._newest_s = max(self._newest_s, time_s)
        if time_s >= self._kept_s + _TIME_STEP_S:
            self._kept_s = time_s
            self._spool.keep_note(_TIME, str(self._kept_s))


def _read(payload: bytes) -> wire.ReceiptMessage:
    try:
        message = wire.decode(payload)
    except EvidenceError as error:
        raise ReceiptRefusedError("unreadable", str(error)) from None
    if not isinstance(message, wire.ReceiptMessage):
        raise ReceiptRefusedError("kind", f"a {message.kind} arrived where receipts are expected")
    return message


def _whole(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0
