"""The disk of the campaign forgets what was not forced, and nothing else."""

import errno
import os

import pytest

from tests.faults.disk import ForgetfulDisk


def disk_with(kept: bytes, more: bytes) -> ForgetfulDisk:
    """Make a disk with one file, of which only the first part was forced."""
    disk = ForgetfulDisk()
    disk.create("/spool", 0o600)
    disk.write("/spool", kept, 0, 0)
    disk.fsync("/spool", 0, 0)
    disk.fsyncdir("/", 0, 0)
    disk.write("/spool", more, len(kept), 0)
    return disk


def order(disk: ForgetfulDisk, words: str) -> None:
    """Give it an order."""
    disk.write("/.control", words.encode(), 0, 0)


def test_what_was_forced_survives_a_power_cut_and_what_was_not_is_gone_or_there_by_pages() -> None:
    """Over some seeds, each page that was not forced is lost in some and kept in others."""
    seen = set()
    for seed in range(20):
        disk = disk_with(b"a" * 4096, b"b" * 8192)
        order(disk, f"cut {seed}")
        content = disk.read("/spool", 99_999, 0, 0)
        assert content[:4096] == b"a" * 4096
        seen.add(content[4096:])

    assert b"" in seen
    assert b"b" * 8192 in seen
    assert len(seen) > 2


def test_a_name_that_its_folder_did_not_keep_is_gone() -> None:
    """Though the file itself was forced."""
    disk = ForgetfulDisk()
    disk.create("/spool", 0o600)
    disk.write("/spool", b"a", 0, 0)
    disk.fsync("/spool", 0, 0)
    order(disk, "cut 1")

    with pytest.raises(FileNotFoundError):
        disk.getattr("/spool")


@pytest.mark.parametrize(("words", "code"), [("full", errno.ENOSPC), ("broken", errno.EIO), ("read_only", errno.EROFS)])
def test_a_sick_disk_fails_until_it_is_well(words: str, code: int) -> None:
    """With the error of the system, and without a byte of it written."""
    disk = disk_with(b"a", b"")
    order(disk, words)
    with pytest.raises(OSError, match=os.strerror(code)) as failed:
        disk.write("/spool", b"b", 0, 0)
    order(disk, "well")
    disk.write("/spool", b"c", 1, 0)

    assert failed.value.errno == code
    assert disk.read("/spool", 9, 0, 0) == b"ac"


def test_a_disk_that_fills_up_takes_so_many_writes_and_no_more() -> None:
    """The third one fails."""
    disk = disk_with(b"", b"")
    order(disk, "full_after 3")
    for place in range(2):
        disk.write("/spool", b"x", place, 0)

    with pytest.raises(OSError, match="No space"):
        disk.write("/spool", b"x", 2, 0)
