"""What is done with receipts as they arrive: believed, refused aloud, or taken as news of a restored backup."""

import logging
from collections.abc import Callable
from pathlib import Path

from agent.deliver.identity.keys import load_public_key
from agent.deliver.link.complaints import Complaints
from agent.deliver.link.receipts import CollectorBehindError, ReceiptDesk, ReceiptRefusedError, SpoolBehindError
from agent.deliver.spool.spool import Spool
from agent.records import Receipt

logger = logging.getLogger(__name__)


class Inbox:
    """Takes the receipts of one gateway. Raises :class:`InputError` where the key file cannot be used."""

    def __init__(
        self,
        spool: Spool,
        collector_key_file: Path | None,
        complaints: Complaints,
        on_receipt: Callable[[Receipt], None],
        on_loss: Callable[[int], None],
    ) -> None:
        self._spool = spool
        self._desk = ReceiptDesk(spool, load_public_key(collector_key_file) if collector_key_file else None)
        self._complaints = complaints
        self._on_receipt = on_receipt
        self._on_loss = on_loss
        self._taken_s: float | None = None
        self._lost_below = 0  # the collector's loss of records up to this one is declared

    def age_s(self, now_s: float) -> float | None:
        """Give the time since the last receipt that was believed."""
        return None if self._taken_s is None else now_s - self._taken_s

    def take(self, payload: bytes, now_s: float) -> Receipt | None:
        """Give what one message confirms; None where it confirms nothing."""
        first = self._desk.key_id is None
        try:
            receipt = self._desk.accept(payload, now_s)
        except ReceiptRefusedError as error:
            self._refuse(error, now_s)
            return None
        except SpoolBehindError as error:
            self._spool.begin_anew(str(error))
            self._complaints.tell("spool_rolled_back", self._spool.stream, str(error), now_s)
            return None
        except CollectorBehindError as error:
            self._declare(error, now_s)
            return None
        if receipt is None:
            return None
        self._taken_s = now_s
        if first:
            text = f"the collector with key {self._desk.key_id} is trusted from now on"
            self._complaints.tell("collector_pinned", "", text, now_s)
        if receipt.stream != self._spool.stream:  # damage was found, or the disk full, when the key was noted
            return None
        self._on_receipt(receipt)
        return receipt

    def _refuse(self, error: ReceiptRefusedError, now_s: float) -> None:
        if error.reason == "stream":  # daily life after a spool was damaged: the centre confirms its old stream, too
            logger.info("%s", error)
        else:
            self._complaints.tell("receipt_refused", error.reason, str(error), now_s)

    def _declare(self, error: CollectorBehindError, now_s: float) -> None:
        """Say that records which only the centre had are gone, once."""
        if self._lost_below == self._spool.receipted:
            return
        self._lost_below = self._spool.receipted
        lost = f"records {error.through + 1} to {self._spool.receipted} are gone here, too"
        self._complaints.tell("collector_rolled_back", str(error.through), f"{error}; {lost}", now_s)
        self._on_loss(error.through)
