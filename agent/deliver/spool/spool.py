"""The spool: what was said stays here until the centre has confirmed it.

It keeps bytes; it knows neither messages nor MQTT. Records of a stream are numbered from 1 without a
gap, and each row keeps the chain head after it, so a receipt can be compared and an altered byte is
seen before it is sent.

There is always a stream to write to. A damaged file is put aside, whole, and a new stream begins on
the disk; where the disk cannot be written, one begins in memory, until :meth:`Spool.return_to_disk`.
Who holds a spool sees ``stream`` change; ``on_new_stream`` says at once what happened, and brings what
could not be committed. Without it such trouble ends the process, and the next start deals with it.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Literal

from agent.deliver import chain
from agent.deliver.durable import sync_folder
from agent.deliver.spool import damage as spool_damage
from agent.deliver.spool import file as spool_file
from agent.deliver.spool.damage import LOSS, Loss
from agent.deliver.spool.errors import DiskError, is_environment, translated
from agent.deliver.spool.file import Row, SpoolFile
from agent.deliver.spool.log import hold_log, release_log
from agent.deliver.spool.mark import Mark, forget_mark, read_mark, write_mark
from agent.errors import EvidenceError, FlatwattError
from agent.records import Envelope

logger = logging.getLogger(__name__)


class Batch:
    """Records and the caller's state that are committed together, or not at all."""

    def __init__(self, stream: str, seq: int, head: bytes) -> None:
        self.stream = stream
        self.head = head
        self.slots: dict[str, bytes] = {}  # named parts of the caller's state; what is not named stays, b"" removes
        self.rows: list[Row] = []
        self.dropped: tuple[int, bytes] | None = None
        self._seq = seq

    @property
    def next_seq(self) -> int:
        """The number that the next record must carry."""
        return self._seq + 1

    def add(self, kind: str, topic: str, payload: bytes) -> None:
        """Append one record; its payload carries ``stream`` and ``next_seq`` already."""
        self._seq += 1
        self.head = chain.next_head(self.head, payload)
        self.rows.append((self._seq, kind, topic, payload, self.head))

    def drop(self, through: int, head: bytes) -> None:
        """Give up the oldest records ``..through``; ``head`` is the chain head after them, which stays known."""
        self.dropped = (through, head)


class Spool:
    """The records of one gateway that the centre has not confirmed yet.

    ``loss`` is what became of a file that was put aside, until its slot is removed. Raises
    :class:`FlatwattError` where an operator must act.
    """

    def __init__(self, path: Path, gateway: str) -> None:
        self.path = path
        self.gateway = gateway
        self.why_memory = ""  # what kept it off the disk
        self.on_new_stream: Callable[[Batch | None], None] | None = None
        try:
            with translated(path):
                self._file = self._open()
        except DiskError as error:
            slots = spool_damage.read_notes(path)[1] or spool_damage.newest_aside(path, "", None)[1]
            self._file = self._in_memory(str(error), slots)

    @property
    def storage(self) -> Literal["disk", "memory"]:
        """Where records are kept now."""
        return "memory" if self.why_memory else "disk"

    @property
    def stream(self) -> str:
        """The stream that is written now."""
        return self._file.stream

    @property
    def last_seq(self) -> int:
        """The newest record."""
        return self._file.seq

    @property
    def head(self) -> bytes:
        """The chain head after it."""
        return self._file.head

    @property
    def receipted(self) -> int:
        """The last record that a receipt covers."""
        return self._file.receipted

    @property
    def floor(self) -> int:
        """The last record that is not kept any more: a receipt covers it, or it was dropped and declared."""
        return self._file.floor

    @property
    def slots(self) -> dict[str, bytes]:
        """The caller's state, by name."""
        return self._file.slots

    @property
    def loss(self) -> Loss | None:
        """The file that was put aside, until its slot is removed."""
        return Loss.decode(self.slots.get(LOSS, b""), self.path.parent)

    @property
    def bytes_used(self) -> int:
        """The bytes of the file that records and slots take; what is free in it is not counted, nor is its log."""
        size, free = self._file.pages()
        return size - free

    @property
    def file_bytes(self) -> int:
        """The bytes of the file, without its log, which takes ``LOG_BYTES`` at most."""
        return self._file.pages()[0]

    @contextlib.contextmanager
    def batch(self) -> Iterator[Batch]:
        """Collect records and commit them in one transaction at the end; an exception inside commits nothing."""
        batch = Batch(self.stream, self.last_seq, self.head)
        yield batch
        if batch.stream != self.stream and self.on_new_stream is not None:  # damage was found meanwhile
            self.on_new_stream(batch)
            return
        with self._guarded(batch):
            self._file.commit(batch.rows, batch.next_seq - 1, batch.head, batch.slots, batch.dropped)
            self._leave_mark()

    def pending(
        self, after_seq: int, limit: int, *, kinds: Collection[str] = (), through: int | None = None
    ) -> list[Envelope]:
        """Give at most ``limit`` unconfirmed records above ``after_seq``, in order, of some rare kinds or of all.

        Each is checked against the chain; where one does not fit, the spool is damaged and a new stream begins.
        """
        last = self.last_seq if through is None else through
        with self._guarded():
            found = self._file.rows(after_seq, last, limit, kinds)
            for row, before in found:
                self._check(row, before)
            return [Envelope(self.stream, *row[:4]) for row, _ in found]
        return []

    def head_at(self, seq: int) -> bytes | None:
        """Give the chain head after record ``seq``; None where it is not known (any more, or yet)."""
        with self._guarded():
            head = self._file.head_at(seq)
            if head is not None and not isinstance(head, bytes):
                raise EvidenceError(f"the chain head of record {seq} is no chain head")
            return head
        return None

    def count(self, kind: str) -> int:
        """Count the records of a rare kind that are kept."""
        with self._guarded():
            return self._file.count(kind)
        return 0

    def receipt(self, through: int) -> None:
        """Forget records ``..through``."""
        if not self.receipted < through <= self.last_seq or (head := self.head_at(through)) is None:
            return
        with self._guarded():
            self._file.receipt(through, head)

    def note(self, key: str) -> str | None:
        """Give a short text that was kept under ``key``."""
        value = self.slots.get(f"note:{key}")
        return None if value is None else value.decode()

    def keep_note(self, key: str, text: str) -> None:
        """Keep a short text, on the disk before this returns (see ``storage``); it outlives the damage of records."""
        with self.batch() as batch:
            batch.slots[f"note:{key}"] = text.encode()

    def begin_anew(self, why: str) -> None:
        """Put the file aside and begin a new stream: the centre knows more of this one than the file does."""
        self._give_way(EvidenceError(why), None)

    def return_to_disk(self, bring: Callable[[Batch], None]) -> bool:
        """Go on with the disk's own stream, with the batch that ``bring`` fills; False where it cannot be written."""
        try:
            with translated(self.path):
                file = self._open()
                batch = Batch(file.stream, file.seq, file.head)
                bring(batch)
                try:
                    file.commit(batch.rows, batch.next_seq - 1, batch.head, batch.slots, None)
                except sqlite3.Error:
                    file.close()
                    raise
        except FlatwattError as error:
            logger.info("%s", error)
            return False
        self._file.close()
        self._file, self.why_memory = file, ""
        self._leave_mark()
        return True

    def unconfirmed(self) -> list[Row]:
        """Give all records that are kept, to be taken elsewhere."""
        return [row for row, _ in self._file.rows(self.floor, self.last_seq, self.last_seq, ())]

    def close(self) -> None:
        """Close the file; nothing is lost by not calling it."""
        self._file.close()

    def _open(self) -> SpoolFile:
        """Open the file on the disk, or put it aside and make a new one."""
        path, mark = self.path, read_mark(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        existed = path.is_file()
        if existed and not path.stat().st_size and mark is not None:  # before SQLite sees it and deletes its log
            return self._renew("the file is empty", mark)
        if not existed and mark is not None:
            return self._renew("the file is gone", mark)
        hold_log(path)
        try:
            db = spool_file.connect(path)
            try:
                if not spool_file.has_tables(db):
                    if mark is not None:
                        raise EvidenceError("the file holds nothing")
                    return self._made(db, self._left_aside())
                spool_file.migrate(db)
                spool_damage.check(db, self.gateway, mark, path.stat().st_size)
                release_log(path)
                return SpoolFile(db)
            except BaseException:
                db.close()
                raise
        except (sqlite3.DatabaseError, EvidenceError) as error:
            if isinstance(error, sqlite3.Error) and is_environment(error, path):
                raise
            return self._renew(str(error), mark)

    def _renew(self, why: str, mark: Mark | None, slots: Mapping[str, bytes] | None = None) -> SpoolFile:
        """Put the file aside and make a new one, which starts with these slots or with what can be read of the old."""
        loss, kept = spool_damage.put_aside(self.path, why, mark)
        forget_mark(self.path)
        return self._made(spool_file.connect(self.path), {**(slots or kept), LOSS: loss.encode()})

    def _left_aside(self) -> dict[str, bytes]:
        """Give the slots of a first file: those of one that was put aside where a crash, or a full disk, came next."""
        loss, slots = spool_damage.newest_aside(self.path, "the new file was not finished", None)
        return {**slots, LOSS: loss.encode()} if loss.file else {}

    def _made(self, db: sqlite3.Connection, slots: Mapping[str, bytes]) -> SpoolFile:
        try:
            file = spool_file.create(db, self.gateway, slots)
            sync_folder(self.path.parent)
            write_mark(self.path, Mark(file.stream, file.seq, file.head))
        except BaseException:
            db.close()  # else the file stays locked behind the error
            raise
        return file

    def _check(self, row: Row, before: bytes | None) -> None:
        if before is None and row[0] - 1 == self.floor:
            before = self._file.floor_head
        if not spool_damage.fits(row, before):
            raise EvidenceError(f"the hash chain breaks at record {row[0]}")

    @contextlib.contextmanager
    def _guarded(self, batch: Batch | None = None) -> Iterator[None]:
        """Let trouble with the file move the stream instead of ending the process."""
        try:
            with translated(self.path):
                yield
        except FlatwattError as error:
            self._give_way(error, batch)

    def _give_way(self, error: FlatwattError, batch: Batch | None) -> None:
        """Begin a stream elsewhere, and say so; raise where that is not possible."""
        if self.on_new_stream is None or self.why_memory or not isinstance(error, DiskError | EvidenceError):
            raise error
        slots = self.slots
        self._file.close()
        try:
            if isinstance(error, DiskError):
                raise error
            with translated(self.path):
                self._file = self._renew(str(error), Mark(self.stream, self.last_seq, self.head), slots)
        except DiskError as disk_error:
            self._file = self._in_memory(str(disk_error), slots)
        self.on_new_stream(batch)

    def _in_memory(self, why: str, slots: dict[str, bytes]) -> SpoolFile:
        logger.warning("%s; records are kept in memory until it can be written again", why)
        self.why_memory = why
        return spool_file.create(spool_file.connect(None), self.gateway, slots)

    def _leave_mark(self) -> None:
        if self.why_memory:
            return
        try:
            write_mark(self.path, Mark(self.stream, self.last_seq, self.head))
        except (
            OSError
        ) as error:  # the record is kept all the same; the next commit shows whether the disk is in trouble
            logger.warning("%s: the mark of its newest record cannot be written: %s", self.path, error.strerror)
