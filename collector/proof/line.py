"""One line of a stream: where it belongs, and in a few words what it tells of."""

from datetime import UTC, datetime

import msgspec


class Head(msgspec.Struct):
    """What places a record."""

    kind: str
    stream: str
    seq: int


class _Told(msgspec.Struct):
    kind: str
    meter: str | None = None
    start_s: int | None = None
    time_s: int | None = None


_head = msgspec.json.Decoder(Head)
_told = msgspec.json.Decoder(_Told)


def head_of(payload: bytes) -> Head:
    """Read what places a record; ValueError says what is wrong with a line that is none."""
    try:
        return _head.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def described(payload: bytes) -> str:
    """Say in a few words what a record tells of.

    >>> described(b'{"kind":"summary","meter":"lab-b","start_s":1769040000}')
    'summary of lab-b, 2026-01-22 00:00 UTC'
    """
    try:
        told = _told.decode(payload)
        time_s = told.time_s if told.start_s is None else told.start_s
        when = "" if time_s is None else f", {datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M} UTC"
    except (msgspec.DecodeError, ValueError, OverflowError, OSError, RecursionError):
        return "record"
    return f"{told.kind[:20]}{f' of {told.meter[:64]}' if told.meter else ''}{when}"
