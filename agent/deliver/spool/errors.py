"""What SQLite and the system say of a spool, as one line for an operator, and of which kind it is.

:class:`DiskError` says something about the disk now, :class:`EvidenceError` about the file, and plain
:class:`FlatwattError` is a mistake that an operator must mend.
"""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from agent.errors import EvidenceError, FlatwattError

_DISK_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_DISK_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})
_ENVIRONMENT = frozenset(  # these say something about the machine, not about the file
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)


class DiskError(FlatwattError):
    """The disk cannot be written now: it is full, failing, or mounted read-only."""


def is_environment(error: sqlite3.Error, path: Path) -> bool:
    """Tell whether an error says something about the machine, not about the file."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_IOERR_SHORT_READ:
        return False
    if code & 0xFF == sqlite3.SQLITE_READONLY:
        return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
    return code & 0xFF in _ENVIRONMENT


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the database's and the system's errors into one line for an operator."""
    try:
        yield
    except sqlite3.Error as error:
        raise _told(error, path) from None
    except OSError as error:
        kind = DiskError if error.errno in _DISK_ERRNOS else FlatwattError
        raise kind(f"{path}: the spool cannot be used: {error.strerror}") from None


def _told(error: sqlite3.Error, path: Path) -> FlatwattError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    hint = {
        sqlite3.SQLITE_FULL: "free some space",
        sqlite3.SQLITE_IOERR: "check the disk, and the owner and mode of the file",
        sqlite3.SQLITE_BUSY: "another process has it open: is a second `flatwatt run` active?",
        sqlite3.SQLITE_CANTOPEN: "check that it is no folder, and that its own folder is writable",
        sqlite3.SQLITE_READONLY: "check the owner and mode of the file and its folder",
    }.get(code, "restart: a damaged file is put aside and reported")
    hint = "its file system is mounted read-only" if _is_read_only(path) else hint
    text = f"{path}: the spool cannot be used: {error}: {hint}"
    if not is_environment(error, path):
        return EvidenceError(text)
    return DiskError(text) if code in _DISK_CODES or _is_read_only(path) else FlatwattError(text)


def _is_read_only(path: Path) -> bool:
    """Tell a file system that is mounted read-only from a mistake of owner and mode."""
    try:
        return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except OSError:
        return False
