"""What goes where a spool reaches a bound, and the signed gap that says so.

In this order: spools that were put aside, then the oldest records, a day of whole windows at a time.
Of these stay the energy of each meter, in a gap record, and the newest state of each alarm, which is
written again. A gap that has become old itself goes the same way: the gaps of many days become one.

Age is counted in windows that were measured, never by the clock: a clock that leaps to 2038, or that
a stranger sets, must not empty a spool.
"""

import contextlib
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from agent.config import DeliveryConfig
from agent.deliver import wire
from agent.deliver.identity.keys import GatewayKey
from agent.deliver.spool import damage as spool_damage
from agent.deliver.spool import totals
from agent.deliver.spool.entry import enter, signed_gap
from agent.deliver.spool.file import LOG_BYTES
from agent.deliver.spool.spool import Spool
from agent.errors import EvidenceError
from agent.records import Envelope

logger = logging.getLogger(__name__)

MEMORY_BYTES = 16 * 2**20  # of a spool in memory: a week of 20 meters, and the agent stays below 150 MB
_FULL = 0.95  # of a bound: then it is time,
_EASED = 0.90  # and this much is left, so that it is seldom time
_STEP_RECORDS = 10_000  # dropped at once, at most: 5 MB, which a Pi reads within a second
_MOST_STEPS = 50  # at a time: measuring goes on, the next window drops more
_RESERVED = 16  # of the bound, as a divisor: a disk that others filled leaves the spool this much
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How large a spool may become."""

    spool_bytes: int
    windows: int  # its age: so many that have records
    disk_free_bytes: int  # are left to others

    @classmethod
    def of(cls, delivery: DeliveryConfig, window_s: int) -> Self:
        """Give what the configuration says."""
        return cls(
            spool_bytes=delivery.spool_bytes,
            windows=delivery.spool_days * _DAY_S // window_s,
            disk_free_bytes=delivery.disk_free_bytes,
        )


class Sacrifice:
    """Keeps one spool within its bounds."""

    def __init__(self, spool: Spool, key: GatewayKey, bounds: Bounds) -> None:
        self._spool = spool
        self._key = key
        self._bounds = bounds

    def make_room(self, time_s: int) -> None:
        """Drop what must go, if anything must."""
        self._delete_aside()
        cause = self._cause(_FULL)
        for _ in range(_MOST_STEPS):
            if cause is None:
                return
            if not self._drop(cause, time_s):
                return
            cause = self._cause(_EASED)

    def _cause(self, share: float) -> str | None:
        """Name the bound that is reached to this share; None where all is well."""
        spool = self._spool
        bound, cause = self._bound()
        if spool.bytes_used > share * bound:
            return cause
        return "spool_age" if spool.count("checkpoint") > self._bounds.windows else None

    def _bound(self) -> tuple[int, str]:
        """Give the bytes that records may take now, and the bound that they come from; the rest is for the log.

        A full disk takes nothing back from it, for pages that are free in the file are no use to others.
        """
        spool, most = self._spool, self._bounds.spool_bytes
        most = max(most // 2, most - LOG_BYTES)
        if spool.storage == "memory":
            return min(most, MEMORY_BYTES), "spool_bytes"
        room = spool.file_bytes + max(0, self._free_bytes() - self._bounds.disk_free_bytes)
        may = max(room, most // _RESERVED)
        return (may, "disk_free") if may < most else (most, "spool_bytes")

    def _free_bytes(self) -> int:
        try:
            disk = os.statvfs(self._spool.path.parent)
        except OSError:
            return 0
        return disk.f_bavail * disk.f_frsize

    def _delete_aside(self) -> None:
        """Give the bytes of damaged spools back where the disk is short of them; not those still being read."""
        loss = self._spool.loss
        for file in spool_damage.files_aside(self._spool.path):
            if self._spool.storage == "memory" or self._free_bytes() >= self._bounds.disk_free_bytes:
                return
            if loss is None or file != loss.file:
                logger.warning("%s is deleted: the disk is nearly full", file)
                with contextlib.suppress(OSError):  # a disk that fails now is told of with the next window
                    spool_damage.delete_aside(file)

    def _drop(self, cause: str, time_s: int) -> bool:
        """Drop the oldest windows; False where that would win nothing."""
        spool, stream = self._spool, self._spool.stream
        oldest = _whole_windows(spool.pending(spool.floor, _STEP_RECORDS), self._bound()[0])
        head = spool.head_at(oldest[-1].seq) if oldest else None
        if head is None:
            return False
        messages = list(_readable(oldest))
        summaries = (message for message in messages if isinstance(message, wire.Summary))
        gone = _Gone(
            oldest[0].seq,
            oldest[-1].seq,
            head.hex(),
            cause,
            Counter(envelope.kind for envelope in oldest),
            totals.added(map(totals.of_summary, summaries)),
        )
        joined = _joined(message for message in messages if isinstance(message, wire.Gap))
        told: list[wire.Record] = [signed_gap(self._gap(one, time_s), self._key) for one in (*joined, gone)]
        told += self._alarms_to_keep(oldest, messages)
        if len(told) >= len(oldest) or spool.stream != stream:  # damage was found meanwhile: all of it lies aside
            return False
        with spool.batch() as batch:
            batch.drop(gone.through_seq, head)
            for message in told:
                enter(batch, spool.gateway, message)
        logger.warning(
            "records %d to %d are dropped (%s); their energy is kept", gone.from_seq, gone.through_seq, cause
        )
        return True

    def _gap(self, gone: "_Gone", time_s: int) -> wire.Gap:
        return wire.Gap(
            v=wire.VERSION,
            kind="gap",
            stream=self._spool.stream,
            seq=0,
            gateway=self._spool.gateway,
            from_seq=gone.from_seq,
            through_seq=gone.through_seq,
            head=gone.head,
            cause=gone.cause,
            time_s=time_s,
            records=dict(gone.records),
            totals=gone.totals,
            key="",
            sig="",
        )

    def _alarms_to_keep(self, oldest: Sequence[Envelope], messages: Iterable[wire.Record]) -> list[wire.Alarm]:
        """Give the newest state of each alarm that is dropped and was told of no more since.

        They may take half of what is dropped: then those that stand come first, and the newest of them.
        """
        later = _readable(self._spool.pending(oldest[-1].seq, _STEP_RECORDS, kinds=("alarm",)))
        told = {message.alarm for message in later if isinstance(message, wire.Alarm)}
        newest = {message.alarm: message for message in messages if isinstance(message, wire.Alarm)}
        room = sum(len(envelope.payload) for envelope in oldest) // 2
        kept = []
        for alarm in sorted(newest.values(), key=lambda alarm: (alarm.state == "cleared", -alarm.seq)):
            room -= len(wire.encode(alarm))
            if alarm.alarm not in told and room > 0:
                kept.append(alarm)
        return sorted(kept, key=lambda alarm: alarm.seq)


@dataclass(frozen=True, slots=True)
class _Gone:
    """Records that are dropped, and what is left of them."""

    from_seq: int
    through_seq: int
    head: str
    cause: str
    records: Counter[str]
    totals: list[wire.MeterTotal]


def _joined(gaps: Iterable[wire.Gap]) -> list[_Gone]:
    """Join gaps that lie one behind the other; what is joined takes the place of its parts."""
    joined: list[_Gone] = []
    for gap in sorted(gaps, key=lambda gap: gap.from_seq):
        one = _Gone(gap.from_seq, gap.through_seq, gap.head, gap.cause, Counter(gap.records), gap.totals)
        if joined and joined[-1].through_seq + 1 == one.from_seq:
            before = joined.pop()
            sums = totals.added([*before.totals, *one.totals])
            one = replace(one, from_seq=before.from_seq, records=before.records + one.records, totals=sums)
        joined.append(one)
    return joined


def _whole_windows(oldest: list[Envelope], bound: int) -> list[Envelope]:
    """Cut behind a checkpoint: at most a day, and a twentieth of the bound; take all where there is none."""
    first_day, size, cut = None, 0, 0
    for index, envelope in enumerate(oldest, start=1):
        size += len(envelope.payload)
        for message in _readable([envelope] if envelope.kind == "checkpoint" else []):
            assert isinstance(message, wire.Checkpoint)
            day = (message.time_s - 1) // _DAY_S  # a window ends with the first second of the next
            first_day = day if first_day is None else first_day
            if cut and (day != first_day or size > bound // 20):
                return oldest[:cut]
            cut = index
    return oldest[: cut or len(oldest)]


def _readable(envelopes: Iterable[Envelope]) -> Iterator[wire.Record]:
    for envelope in envelopes:
        try:
            message = wire.decode(envelope.payload)
        except EvidenceError:  # written by another version; its number is counted all the same
            continue
        if isinstance(message, wire.Record):
            yield message
