"""What can go wrong, as a tree.

::

    FlatwattError             an operator reads it: what, where, why, next step
    ├── InputError            a file or an argument is wrong (exit code 2); carries every complaint at once
    ├── BusError              one Modbus request got no usable answer; counted by reason, never fatal
    │   └── BusDownError      the bus itself cannot be opened, so no meter on it can answer
    ├── LinkError             the connection to the broker failed; never fatal (agent/deliver/link/link.py)
    └── EvidenceError         the spool, the history or a chain is damaged or contradicts itself

A library's exceptions are translated into these once, at the seam where the library is used.
Only the command line prints them, and it picks the exit code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class FlatwattError(Exception):
    """An error that an operator can act on: the text says what, where, why and what to do next."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One located mistake in a file, printed as ``file:line: key: what is wrong``."""

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.text}"


class InputError(FlatwattError):
    """A file or an argument is wrong. ``complaints`` holds every mistake, in the order of the file."""

    def __init__(self, complaints: Sequence[Complaint] | str) -> None:
        self.complaints: tuple[Complaint, ...] = () if isinstance(complaints, str) else tuple(complaints)
        super().__init__(complaints if isinstance(complaints, str) else "\n".join(map(str, self.complaints)))


class BusReason(StrEnum):
    """Why a request got no usable answer. Statistics and statuses count by these words."""

    TIMEOUT = "timeout"  # nothing arrived within the time-out
    DISCONNECTED = "disconnected"  # no connection, or it broke during the request
    EXCEPTION = "exception"  # the device answered with a Modbus exception code
    WRONG_UNIT = "wrong_unit"  # another unit id answered
    WRONG_FUNCTION = "wrong_function"  # the answer carries another function code
    WRONG_LENGTH = "wrong_length"  # fewer or more registers than asked for
    WRONG_TRANSACTION = "wrong_transaction"  # Modbus TCP transaction id of another request
    GARBAGE = "garbage"  # bytes that are no Modbus frame, or a bad checksum


class BusError(FlatwattError):
    """One request got no usable answer. ``code`` is the Modbus exception code where there is one."""

    def __init__(self, reason: BusReason, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.code = code


class BusDownError(BusError):
    """The bus itself cannot be opened, so no meter on it can answer."""

    def __init__(self, text: str) -> None:
        super().__init__(BusReason.DISCONNECTED, text)


class EvidenceError(FlatwattError):
    """A store or a chain is damaged; the text names the first record that does not fit."""
