"""What a write-ahead log holds behind its first damaged frame, where SQLite stops reading, and forgets the rest.

Windows of days lie in the log before it is merged into the file. The checksum of a frame goes on from
that of the frame before, which is stored, so each frame can be judged by itself: those that fit are
merged as a checkpoint would, and one flipped bit costs one version of one page. The format is SQLite's
(https://www.sqlite.org/fileformat2.html#the_write_ahead_log). Whether a row is what was written, the
hash chain decides.
"""

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_PAGE_BYTES = 4096  # of every spool
_HEADER = struct.Struct(">I12x8s8s")  # magic, salts, checksum
_FRAME = struct.Struct(">II8s8s")  # page, size of the file where a transaction ends, salts, checksum
_BIG_ENDIAN = 0x377F0683  # the magic of a log whose checksums are over such words


def hold_log(path: Path) -> None:
    """Give the log a second name until the file is known to be sound: whoever closes a file deletes its log."""
    log = path.with_name(f"{path.name}-wal")
    with contextlib.suppress(OSError):  # a file system without links: the log is read as far as SQLite reads it
        if log.exists():
            release_log(path)
            os.link(log, _held(path))


def release_log(path: Path) -> None:
    """Take the second name away. Raises OSError."""
    _held(path).unlink(missing_ok=True)


def merge_log(file: Path) -> None:
    """Write what its log holds into a file that was put aside, and keep the log beside it. Raises OSError."""
    log, held = file.with_name(f"{file.name}-wal"), _held(file)
    if not held.exists() and not log.exists():
        return
    pages = _sound_pages((held if held.exists() else log).read_bytes())
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for number, page in pages:
            os.pwrite(descriptor, page, (number - 1) * _PAGE_BYTES)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if log.exists():
        log.replace(held)


def _held(path: Path) -> Path:
    return path.with_name(f"{path.name}-log")


def _sound_pages(log: bytes) -> list[tuple[int, bytes]]:
    """Give the pages whose frames fit, with their numbers, through the last that ends a transaction."""
    pages: list[tuple[int, bytes]] = []
    committed = 0
    for number, size, page in _sound_frames(log):
        pages.append((number, page))
        if size:
            committed = len(pages)
    return pages[:committed]


def _sound_frames(log: bytes) -> Iterator[tuple[int, int, bytes]]:
    if len(log) < _HEADER.size + _FRAME.size + _PAGE_BYTES:
        return
    magic, _, before = _HEADER.unpack_from(log)
    words = struct.Struct(">II" if magic == _BIG_ENDIAN else "<II")
    generation = _FRAME.unpack_from(log, _HEADER.size)[2]  # frames of an earlier one may follow
    for start in range(_HEADER.size, len(log) - _FRAME.size - _PAGE_BYTES + 1, _FRAME.size + _PAGE_BYTES):
        number, size, salts, after = _FRAME.unpack_from(log, start)
        page = log[start + _FRAME.size : start + _FRAME.size + _PAGE_BYTES]
        if salts == generation and number and _checksum(before, log[start : start + 8] + page, words) == after:
            yield number, size, page
        before = after


def _checksum(before: bytes, data: bytes, words: struct.Struct) -> bytes:
    one, two = struct.unpack(">II", before)
    for even, odd in words.iter_unpack(data):
        one = (one + even + two) & 0xFFFFFFFF
        two = (two + odd + one) & 0xFFFFFFFF
    return struct.pack(">II", one, two)
