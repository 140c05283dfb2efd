"""Which receipts to believe. Only a believed one lets the spool forget.

A receipt must be signed by the collector that we trust, speak of our stream, and repeat our own
chain head: then the centre provably holds what we said. Whatever else arrives under the topic is
refused with a reason, and changes nothing.

Where no key file is configured, the first collector whose receipt fits our chain is trusted from
then on, and its key kept with the spool.
"""

from agent.deliver import chain, wire
from agent.deliver.spool import Spool
from agent.errors import EvidenceError
from agent.records import Receipt

_KEY = "collector_key"


class ReceiptDesk:
    """Checks the receipts of one stream against a configured key, or the first one that fits."""

    def __init__(self, spool: Spool, collector_key: str | None) -> None:
        self._spool = spool
        self._key = collector_key or spool.note(_KEY)
        self._newest_s = 0

    @property
    def key_id(self) -> str | None:
        """Name the trusted key; None before the first receipt."""
        return chain.key_id(self._key) if self._key else None

    def accept(self, payload: bytes) -> Receipt | None:
        """Give what one message confirms; None where a later receipt overtook it.

        Raises :class:`EvidenceError` with the reason where it is refused.
        """
        message = wire.decode(payload)
        if not isinstance(message, wire.ReceiptMessage):
            raise EvidenceError(f"a {message.kind} arrived where receipts are expected")
        self._check_signature(message)
        self._check_range(message)
        if message.through < self._spool.receipted:
            self._check_old(message)
            return None
        self._check_head(message)
        self._trust(message.public_key)
        self._newest_s = max(self._newest_s, message.time_s)
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
            raise EvidenceError(f"receipt by another key, not the trusted {self.key_id}")
        text = chain.receipt_text(
            message.gateway, message.stream, message.through, message.missing, message.head, message.time_s
        )
        try:
            chain.verify(message.public_key, text, message.sig)
        except EvidenceError as error:
            raise EvidenceError(f"receipt refused: {error}") from None

    def _check_range(self, message: wire.ReceiptMessage) -> None:
        spool = self._spool
        if (message.gateway, message.stream) != (spool.gateway, spool.stream):
            raise EvidenceError(
                f"receipt for {message.gateway}/{message.stream}, ours is {spool.gateway}/{spool.stream}; "
                "ignored: the broker may still hold one of an earlier spool"
            )
        highest = max((last for _, last in message.missing), default=message.through)
        if max(message.through, highest) > spool.last_seq:
            raise EvidenceError(
                f"receipt up to record {highest}, of which this spool has written {spool.last_seq} only"
            )
        below = message.through
        for first, last in message.missing:
            if not below < first <= last:
                raise EvidenceError(f"receipt with a senseless missing range {first}-{last}")
            below = last

    def _check_head(self, message: wire.ReceiptMessage) -> None:
        head = self._spool.head_at(message.through)
        if head is None or head.hex() != message.head:
            raise EvidenceError(
                f"receipt with another chain head at record {message.through}: what arrived is not ours"
            )

    def _check_old(self, message: wire.ReceiptMessage) -> None:
        """Overtaken receipts are daily life; a newer one that takes back an older says that the centre lost records."""
        if 0 < self._newest_s < message.time_s:
            raise EvidenceError(
                f"the collector takes back its receipt: {message.through} now, {self._spool.receipted} before"
            )

    def _trust(self, public_key: str) -> None:
        if self._key is None:
            self._spool.keep_note(_KEY, public_key)
            self._key = public_key
