"""Arrays that lie in a temporary file, so that a recording may be longer than the memory is large."""

import mmap
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.errors import FlatwattError

_BLOCK = 1 << 20  # values that are written at once


class Spill:
    """Arrays of one shape and type in one file, mapped into memory.

    The file has no name, and is gone with the last of its arrays. What was touched stays in memory
    until :meth:`release`, or until the system needs the room.
    """

    def __init__(self, names: Sequence[str], shape: tuple[int, ...], fill: float, dtype: str = "f8") -> None:
        count = int(np.prod(shape))
        size = count * np.dtype(dtype).itemsize
        with tempfile.TemporaryFile() as file:
            try:
                for block in _blocks(count * len(names), fill, dtype):
                    file.write(block)  # a hole would be quicker, but a full disk would then end the process
                file.flush()
            except OSError as error:
                raise no_room(error, size * len(names)) from None
            self._map = mmap.mmap(file.fileno(), size * len(names))
        self.arrays: dict[str, NDArray[Any]] = {
            name: np.frombuffer(self._map, dtype, count, number * size).reshape(shape)
            for number, name in enumerate(names)
        }

    def release(self) -> None:
        """Keep in memory no more than the system likes to."""
        self._map.madvise(mmap.MADV_DONTNEED)


def _blocks(count: int, fill: float, dtype: str) -> Iterator[memoryview]:
    block = np.full(min(count, _BLOCK), fill, dtype=dtype)
    for start in range(0, count, _BLOCK):
        yield block[: count - start].data


def no_room(error: OSError, size: int) -> FlatwattError:
    """Say that the temporary files need more room, with the next step."""
    why = error.strerror or error
    return FlatwattError(
        f"{tempfile.gettempdir()}: {size / 1e6:,.0f} MB of the recording cannot be kept here ({why}); "
        "set TMPDIR to a folder with more room"
    )
