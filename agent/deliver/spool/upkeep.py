"""Looks after the spool: says where its stream changed and why, takes over what can be read, keeps it in bounds.

A spool knows bytes only. What has to be said in messages when it moves, from a damaged file to a new
one, from a disk that cannot be written to memory, and back, is said here.
"""

import json
import logging
from collections.abc import Callable

from agent.deliver.identity.keys import GatewayKey
from agent.deliver.spool import damage as spool_damage
from agent.deliver.spool.damage import LOSS, Loss
from agent.deliver.spool.entry import enter_event
from agent.deliver.spool.sacrifice import Bounds, Sacrifice
from agent.deliver.spool.spool import Batch, Spool
from agent.deliver.spool.takeover import take_over
from agent.records import ClockReading

logger = logging.getLogger(__name__)

_SALVAGED = "salvaged"  # the slot that keeps how far the records of a damaged file are taken over
_SLICE = 500  # records of it at a time: measuring waits for no more than these, 50 ms on a Pi


class Upkeep:
    """Looks after one spool."""

    def __init__(self, spool: Spool, key: GatewayKey, bounds: Bounds, read_clock: Callable[[], ClockReading]) -> None:
        self._spool = spool
        self._sacrifice = Sacrifice(spool, key, bounds)
        self._read_clock = read_clock
        spool.on_new_stream = self._say
        if spool.storage == "memory" and not spool.last_seq:
            self._say(None)
        self._say_loss()

    def tend(self) -> None:
        """Return to the disk where that is possible, and drop what the bounds leave no room for: once a window."""
        if self._spool.storage == "memory":
            self._return()
        self._sacrifice.make_room(int(self._read_clock().utc_s))

    def salvage(self) -> bool:
        """Take over some records of a damaged file; False when all are."""
        loss, spool = self._spool.loss, self._spool
        if loss is None or spool.storage == "memory":
            return False
        _, after, read, told = self._salvaged()
        rows, end = spool_damage.readable(loss.file, after, loss.floor or 0, _SLICE) if loss.file else ([], None)
        if end is not None and end >= (loss.last_seq or after) and not rows:
            end = None
        with spool.batch() as batch:
            read, told = read + len(rows), told + take_over(batch, spool.gateway, rows)
            self._note_salvaged(batch, loss, end, read, told)
            if end is None:
                self._tell_salvaged(batch, loss, read, told)
        return end is not None

    def _salvaged(self) -> tuple[bytes | None, int, int, int]:
        """Give the loss that was told, the record of it that was looked at last, and how many were read and told."""
        loss, after, read, told = json.loads(self._spool.slots.get(_SALVAGED, b"[null, 0, 0, 0]"))
        return loss and loss.encode(), after, read, told

    def _note_salvaged(self, batch: Batch, loss: Loss, end: int | None, read: int, told: int) -> None:
        batch.slots[_SALVAGED] = json.dumps([loss.encode().decode(), end, read, told]).encode()

    def _tell_salvaged(self, batch: Batch, loss: Loss, read: int, told: int) -> None:
        """Say what was taken over, and how many records are lost; checkpoints are read, and told no more."""
        lost = None if loss.last_seq is None else max(0, loss.last_seq - (loss.floor or 0) - read)
        data = {"stream": loss.stream, "last_seq": loss.last_seq, "salvaged": told, "lost": lost}
        text = f"{told} records of the spool that was put aside are told again; lost are {lost}"
        self._tell("spool_salvaged", batch, text, {**data})
        batch.slots |= {LOSS: b"", _SALVAGED: b""}
        logger.warning("%s", text)

    def _say_loss(self) -> None:
        """Say what was put aside, where that is not said yet."""
        loss = self._spool.loss
        if self._spool.storage == "disk" and loss is not None and self._salvaged()[0] != loss.encode():
            self._say(None)

    def _say(self, failed: Batch | None) -> None:
        """Begin the new stream with the reason for it, and with what could not be committed to the old one."""
        spool = self._spool
        with spool.batch() as batch:
            if spool.storage == "memory":
                self._tell_storage(batch, "memory", spool.why_memory)
            elif (loss := spool.loss) is not None:
                self._tell_loss(batch, loss)
            if failed is not None and failed.dropped is None:
                take_over(batch, spool.gateway, failed.rows)
                batch.slots |= failed.slots

    def _tell_storage(self, batch: Batch, storage: str, text: str) -> None:
        self._tell("storage", batch, text, {"storage": storage})

    def _tell(self, name: str, batch: Batch, text: str, data: dict[str, float | int | str | None]) -> None:
        now = self._read_clock()
        enter_event(batch, self._spool.gateway, name, int(now.utc_s), now.trust, text, data)

    def _tell_loss(self, batch: Batch, loss: Loss) -> None:
        kept = f"it is kept as {loss.file.name}" if loss.file else "nothing is left of it"
        text = f"the spool was damaged: {loss.why}; {kept}, and a new stream begins"
        data = {"stream": loss.stream, "last_seq": loss.last_seq, "receipted": loss.floor}
        self._tell("spool_corrupt", batch, text, {**data})
        self._note_salvaged(batch, loss, loss.floor or 0, 0, 0)
        logger.warning("%s", text)

    def _return(self) -> None:
        """Write what memory holds to the disk, if it takes it."""
        spool = self._spool
        rows, slots = spool.unconfirmed(), {**spool.slots}
        for name in (LOSS, _SALVAGED):  # the file on the disk knows better
            slots.pop(name, None)

        def bring(batch: Batch) -> None:
            self._tell_storage(batch, "disk", "records are kept on the disk again; those told in memory follow")
            take_over(batch, spool.gateway, rows)
            batch.slots |= slots

        if spool.return_to_disk(bring):
            logger.warning("records are kept on the disk again; %d were in memory", len(rows))
            self._say_loss()
