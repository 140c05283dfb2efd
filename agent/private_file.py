"""Files that nobody but their owner may read: private keys and passwords. One that others may read is refused."""

import os
import stat
from pathlib import Path

from agent.errors import InputError

_OTHERS = 0o077
_MOST_BYTES = 65_536  # a key has 250, a chain of certificates a few thousand; a device file has no end


def refuse_shared(path: Path, what: str) -> None:
    """Raise :class:`InputError` where others than the owner may read or write the file.

    Not asked of what systemd hands over as a credential: its folder is the service's own, whatever the modes in it.
    """
    if str(path.resolve().parent) == os.environ.get("CREDENTIALS_DIRECTORY"):
        return
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot read {what}: {error.strerror}") from None
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISREG(status.st_mode) and mode & _OTHERS:
        raise InputError(f"{path}: others may read {what} (mode {mode:04o}): chmod 600 {path}")


def read_private(path: Path, what: str) -> bytes:
    """Give the bytes of a file that only its owner may read; :class:`InputError` says what is wrong with it."""
    refuse_shared(path, what)
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot read {what}: {error.strerror}") from None
