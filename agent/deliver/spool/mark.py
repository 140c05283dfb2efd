"""The mark beside a spool: the newest record that was ever written, forced to the disk before anybody hears of it.

SQLite cuts a write-ahead log at its first damaged frame without a word, and a file that was put back
from a backup is as sound as any. Both would number new records like old ones: a fork. The mark shows
it, because it lies elsewhere and is written in place: one block a commit.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from agent.deliver.durable import sync_folder

_WORDS = ("flatwatt", "spool", "1")
_BYTES = 256  # of the file, always: below a sector, so a power cut leaves the old text or the new


@dataclass(frozen=True, slots=True)
class Mark:
    """The newest record of a stream, with the chain head after it."""

    stream: str
    seq: int
    head: bytes


def read_mark(path: Path) -> Mark | None:
    """Give what the mark beside the spool ``path`` says; None where there is none that can be read."""
    with contextlib.suppress(OSError, ValueError):
        *words, stream, seq, head = _file(path).read_text("ascii").split()
        if tuple(words) == _WORDS:
            return Mark(stream, int(seq), bytes.fromhex(head))
    return None


def write_mark(path: Path, mark: Mark) -> None:
    """Write it in place and force it to the disk. Raises OSError."""
    file = _file(path)
    is_new = not file.exists()
    text = " ".join((*_WORDS, mark.stream, str(mark.seq), mark.head.hex()))
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, text.ljust(_BYTES).encode("ascii"), 0)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        sync_folder(path.parent)


def forget_mark(path: Path) -> None:
    """Remove the mark of a spool that is put aside. Raises OSError."""
    _file(path).unlink(missing_ok=True)
    sync_folder(path.parent)


def _file(path: Path) -> Path:
    return path.with_name(f"{path.name}-mark")
