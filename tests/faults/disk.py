"""A file system in memory that forgets, at a power cut, whatever was not forced to the disk.

    python -m tests.faults.disk MOUNTPOINT

What was written counts as kept only after ``fsync``; a name counts as kept only after its folder was
synchronised, as POSIX has it and `ext4` is kinder than. Orders are written into ``/.control``:

    cut SEED       all that is not forced is gone, but for pages that chance had written back already
    full           no byte more can be written: ENOSPC
    full_after N   the same, from the N-th write on
    broken         writing and forcing fail: EIO
    read_only      as a card that the kernel has remounted: EROFS
    well           everything works again

After ``cut`` the file system is to be unmounted; it mounts itself again, with what was kept. It needs
libfuse and the right to mount.
"""

import errno
import os
import stat
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from random import Random
from typing import Any

_PAGE = 4096
_CONTROL = "/.control"
_BYTES = 4 << 30  # what it says it holds


@dataclass(eq=False)
class File:
    """Bytes as the programs see them, and as the disk has them. ``dirty`` pages differ."""

    data: bytearray = field(default_factory=bytearray)
    kept: bytearray = field(default_factory=bytearray)
    dirty: set[int] = field(default_factory=set)
    mode: int = 0o600

    def write(self, data: bytes, offset: int) -> None:
        """Change some bytes; a hole before them is zeros."""
        if offset > len(self.data):
            self.resize(offset)
        self.data[offset : offset + len(data)] = data
        self.dirty.update(range(offset // _PAGE, (offset + max(1, len(data)) - 1) // _PAGE + 1))

    def resize(self, size: int) -> None:
        """Cut or stretch."""
        low, high = sorted((len(self.data), size))
        self.dirty.update(range(low // _PAGE, high // _PAGE + 1))
        self.data = self.data[:size] + bytearray(max(0, size - len(self.data)))

    def force(self) -> None:
        """Write everything to the disk."""
        self._write_back(self.dirty)
        del self.kept[len(self.data) :]
        self.dirty.clear()

    def forget(self, chance: Random) -> None:
        """Lose what is not on the disk; some pages had been written back by chance."""
        self._write_back({page for page in self.dirty if chance.random() < 0.5})
        self.data = bytearray(self.kept)
        self.dirty.clear()

    def _write_back(self, pages: set[int]) -> None:
        for page in sorted(pages):
            start = page * _PAGE
            content = self.data[start : start + _PAGE]
            if content and len(self.kept) < start:
                self.kept += bytearray(start - len(self.kept))
            self.kept[start : start + len(content)] = content


@dataclass(eq=False)
class Folder:
    """Names as the programs see them, and as the disk has them."""

    names: dict[str, "File | Folder"] = field(default_factory=dict)
    kept: dict[str, "File | Folder"] = field(default_factory=dict)
    mode: int = 0o700

    def force(self) -> None:
        """Write the names to the disk."""
        self.kept = dict(self.names)

    def forget(self, chance: Random) -> None:
        """Lose the names that are not on the disk, and in what remains what is not on it."""
        self.names = dict(self.kept)
        for node in self.names.values():
            node.forget(chance)


class ForgetfulDisk:
    """The operations that SQLite, and whoever writes files whole, need; errors are those of the system."""

    use_ns = True

    def __init__(self) -> None:
        self.root = Folder()
        self.cut = False  # a power cut: mount again
        self._error = 0
        self._writes_left = -1  # until the disk is full; -1: it is not filling

    def _node(self, path: str) -> File | Folder:
        node: File | Folder = self.root
        for part in PurePosixPath(path).parts[1:]:
            if not isinstance(node, Folder) or part not in node.names:
                raise _failure(errno.ENOENT)
            node = node.names[part]
        return node

    def _file(self, path: str) -> File:
        node = self._node(path)
        if isinstance(node, Folder):
            raise _failure(errno.EISDIR)
        return node

    def _folder(self, path: str) -> Folder:
        node = self._node(path)
        if not isinstance(node, Folder):
            raise _failure(errno.ENOTDIR)
        return node

    def _parent(self, path: str) -> tuple[Folder, str]:
        place = PurePosixPath(path)
        return self._folder(str(place.parent)), place.name

    def _change(self, *, bytes_more: bool = True) -> None:
        """Fail as the disk is told to fail."""
        if self._writes_left > 0:
            self._writes_left -= 1
            if not self._writes_left:
                self._error = errno.ENOSPC
        if self._error and (bytes_more or self._error != errno.ENOSPC):
            raise _failure(self._error)

    def _obey(self, order: str) -> None:
        word, _, number = order.strip().partition(" ")
        self._writes_left = int(number) if word == "full_after" else -1
        codes = {"full": errno.ENOSPC, "broken": errno.EIO, "read_only": errno.EROFS}
        self._error = codes.get(word, 0)
        if word == "cut":
            self.root.forget(Random(int(number or 0)))
            self.cut = True

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """Describe a file or folder."""
        node = File(mode=0o600) if path == _CONTROL else self._node(path)
        is_folder = isinstance(node, Folder)
        now_ns = int(time.time() * 1e9)
        return {
            "st_mode": node.mode | (stat.S_IFDIR if is_folder else stat.S_IFREG),
            "st_nlink": 2 if is_folder else 1,
            "st_size": 0 if isinstance(node, Folder) else len(node.data),
            "st_mtime": now_ns,
            "st_ctime": now_ns,
            "st_atime": now_ns,
        }

    def readdir(self, path: str, fh: int) -> list[str]:
        """Give the names in a folder."""
        return [".", "..", *self._folder(path).names]

    def statfs(self, path: str) -> dict[str, int]:
        """Say how much is free."""
        free = 0 if self._error == errno.ENOSPC else _BYTES // _PAGE
        return {"f_bsize": _PAGE, "f_frsize": _PAGE, "f_blocks": _BYTES // _PAGE, "f_bavail": free, "f_bfree": free}

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        """Make a file."""
        if path != _CONTROL:
            self._change()
            folder, name = self._parent(path)
            folder.names[name] = File(mode=mode & 0o777)
        return 0

    def open(self, path: str, flags: int) -> int:
        """Open; nothing to do."""
        return 0

    def mkdir(self, path: str, mode: int) -> None:
        """Make a folder."""
        self._change()
        folder, name = self._parent(path)
        folder.names[name] = Folder(mode=mode & 0o777)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Read."""
        return bytes(self._file(path).data[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """Write, or take an order."""
        if path == _CONTROL:
            self._obey(data.decode())
            return len(data)
        self._change()
        self._file(path).write(data, offset)
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        """Cut or stretch a file."""
        if path == _CONTROL:
            return
        file = self._file(path)
        self._change(bytes_more=length > len(file.data))
        file.resize(length)

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        """Force a file to the disk."""
        self._change(bytes_more=False)
        if path != _CONTROL:
            self._file(path).force()

    def fsyncdir(self, path: str, datasync: int, fh: int) -> None:
        """Force the names of a folder to the disk."""
        self._change(bytes_more=False)
        self._folder(path).force()

    def unlink(self, path: str) -> None:
        """Remove a file."""
        self._change(bytes_more=False)
        folder, name = self._parent(path)
        folder.names.pop(name, None)

    rmdir = unlink

    def rename(self, old: str, new: str) -> None:
        """Give a file another name."""
        self._change(bytes_more=False)
        folder, name = self._parent(old)
        if name not in folder.names:
            raise _failure(errno.ENOENT)
        node = folder.names.pop(name)
        target, new_name = self._parent(new)
        target.names[new_name] = node

    def chmod(self, path: str, mode: int) -> None:
        """Set the mode."""
        self._node(path).mode = mode & 0o777

    def chown(self, path: str, uid: int, gid: int) -> None:
        """Keep the owner as it is."""

    def utimens(self, path: str, times: Any = None) -> None:
        """Times are not kept."""


def _failure(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def main() -> None:
    """Mount, and mount again after each power cut."""
    import mfusepy  # loads libfuse, which a machine that only runs `make test` need not have

    class Served(ForgetfulDisk, mfusepy.Operations):  # type: ignore[misc] # mfusepy has no types
        """The same, with what FUSE asks besides."""

    disk = Served()
    mountpoint = Path(sys.argv[1])
    while True:
        disk.cut = False
        mfusepy.FUSE(disk, str(mountpoint), foreground=True, nothreads=True, default_permissions=False)
        if not disk.cut:
            return


if __name__ == "__main__":
    main()
